"""Runs inside the sealed place: rpm reads specs, one process each, and their facts leave as lines of JSON.

Standard library and rpm's own bindings only; never imported by Slipway. The request is a JSON file that $REQUEST
names: `tree` (a folder that cannot be listed), `macros` (the folder in it of the tree's macro files), `macro_files`,
`defines`, `arch`, `specs` (path -> the folder in `tree`, of an unguessable name, that holds its folder and nothing
else), `seconds`, `megabytes` and `processes` for one spec. Each line of the answer is `{"spec", "facts"}` or
`{"spec", "error"}`, in the order of the request; a line without a spec is about the request itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import resource
import select
import signal
import sys
import time
from typing import Any

import rpm  # type: ignore[import-not-found]  # the distribution's, inside the sealed place

LIMIT_ANSWER_BYTES = 16 << 20
PR_SET_DUMPABLE = 4
POLL_SECONDS = 0.05
PAGE = resource.getpagesize()
# How many processors this machine has is no fact about a spec.
FIXED = {"_smp_build_ncpus": "1", "_smp_mflags": "-j1"}


def main() -> None:
    """Read the request, load the macros once, and answer for each spec."""
    # What a spec's %(...) starts is of the same user: it must not read our memory, our environment and the names in
    # them, or reach into us and forge the answer of another.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
    with open(os.getenv("REQUEST", "")) as file:  # noqa: PTH123 - this program stands alone
        request = json.load(file)
    os.unsetenv("REQUEST")
    rpm.reloadConfig(request["arch"])
    for path in request["macro_files"]:
        try:
            rpm.expandMacro(f"%{{load:{request['tree']}/{request['macros']}/{path}}}")
        except rpm.error as error:
            _answer({"error": f"{path}: {error}"})
            return
    for name, value in {**FIXED, **request["defines"]}.items():
        rpm.addMacro(name, value)
    for spec in list(request["specs"]):
        _answer({"spec": spec, **_in_a_child(spec, request)})


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _in_a_child(spec: str, request: dict[str, Any]) -> dict[str, Any]:
    """A process of its own for each spec: its %global, its loops, its crash and its shell escapes end with it."""
    facts_out, facts_in = os.pipe()
    errors_out, errors_in = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a spec prints is no answer
        os.dup2(errors_in, 2)
        _limit(request)
        _parse_and_leave(spec, f"{request['tree']}/{request['specs'][spec]}", facts_in)
    os.close(facts_in)
    os.close(errors_in)
    written, trouble = _read(facts_out, errors_out, request)
    _end_all()
    if trouble:
        return {"error": trouble}
    if not written[facts_out]:
        text = written[errors_out].decode("utf-8", "replace").strip()
        return {"error": text or "rpm ended without a word: out of memory or time"}
    return {"facts": written[facts_out].decode()}


def _end_all() -> None:
    """Whatever a spec has started, in whatever process group: we are alone with it in our process namespace."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _read(facts: int, errors: int, request: dict[str, Any]) -> tuple[dict[int, bytes], str]:
    """What comes out of both pipes until the facts end, and what was exceeded meanwhile, if anything."""
    written = {facts: b"", errors: b""}
    open_pipes = {facts, errors}
    trouble, deadline = "", time.monotonic() + request["seconds"]
    while facts in open_pipes and not trouble:
        ready, _, _ = select.select(open_pipes, [], [], POLL_SECONDS)
        for pipe in ready:
            chunk = os.read(pipe, 1 << 16)
            written[pipe] += chunk
            if not chunk:
                open_pipes.remove(pipe)
        trouble = _exceeded(written, deadline, request, idle=not ready)
    while errors in open_pipes and select.select([errors], [], [], 0)[0]:
        chunk = os.read(errors, 1 << 16)
        written[errors] += chunk
        if not chunk or len(written[errors]) > LIMIT_ANSWER_BYTES:
            break
    os.close(facts)
    os.close(errors)
    return written, trouble


def _exceeded(written: dict[int, bytes], deadline: float, request: dict[str, Any], *, idle: bool) -> str:
    """Which limit a spec is beyond, in words; empty when it is within all of them."""
    if sum(map(len, written.values())) > LIMIT_ANSWER_BYTES:
        return f"too much output: more than {LIMIT_ANSWER_BYTES >> 20} MB"
    if time.monotonic() > deadline:
        return f"not parsed after {request['seconds']} seconds"
    return _crowded(request) if idle else ""


def _crowded(request: dict[str, Any]) -> str:
    """Whether what a spec started is too much together; the limits that the kernel keeps are for each process."""
    own = ("1", str(os.getpid()))
    pids = [name for name in os.listdir("/proc") if name.isdigit() and name not in own]  # noqa: PTH208 - as above
    if len(pids) > request["processes"]:
        return f"more than {request['processes']} processes"
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/statm") as file:  # noqa: PTH123 - as above
            pages += int(file.read().split()[1])
    return f"more than {request['megabytes']} MB of memory" if pages * PAGE > request["megabytes"] << 20 else ""


def _limit(request: dict[str, Any]) -> None:
    seconds, size = request["seconds"], request["megabytes"] << 20
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if request["user_is_ours"]:  # the kernel counts the processes of a user, wherever they run
        resource.setrlimit(resource.RLIMIT_NPROC, (4 * request["processes"], 4 * request["processes"]))


def _parse_and_leave(spec: str, tree: str, out: int) -> None:
    code = 1
    stable = tree.rpartition("/")[0]
    try:
        facts = json.dumps(_facts(spec, tree)).replace(tree, stable).encode()
        while facts:
            facts = facts[os.write(out, facts) :]
        code = 0
    except Exception as error:  # whatever it was, it belongs to this spec
        os.write(2, f"{error}".encode())
    finally:
        os._exit(code)


def _facts(spec: str, tree: str) -> dict[str, Any]:
    """The facts of one spec in the shape that release/source/specs.py reads."""
    folder = os.path.dirname(f"{tree}/{spec}")  # noqa: PTH120 - this program stands alone
    os.chdir(folder)
    rpm.addMacro("_sourcedir", folder)
    rpm.addMacro("_specdir", folder)
    parsed = rpm.spec(f"{tree}/{spec}")
    source = parsed.sourceHeader
    requires = [each for each in _list(source, "REQUIRENEVRS") if not each.startswith("rpmlib(")]
    files = sorted(parsed.sources, key=lambda each: each[1])
    is_patch = rpm.RPMBUILD_ISPATCH
    return {
        "name": _text(source, "NAME"),
        "evr": _text(source, "EVR"),
        "summary": _text(source, "SUMMARY"),
        "description": _text(source, "DESCRIPTION"),
        "license": _text(source, "LICENSE"),
        "url": _text(source, "URL"),
        # newest first; the time from which every build of this spec takes its time stamps
        "changed": max(source[rpm.RPMTAG_CHANGELOGTIME] or [0]),
        "sources": [_utf8(full) for full, _, flags in files if not flags & is_patch],
        "patches": [_utf8(full) for full, _, flags in files if flags & is_patch],
        "build_requires": sorted(set(requires)),
        "lines": _lines(f"{tree}/{spec}", requires),
        # without a %files section no RPM is made, whatever %package says
        "binaries": [_binary(each) for each in parsed.packages if each.fileList is not None or each.fileFile],
    }


def _binary(package: Any) -> dict[str, Any]:
    header = package.header
    listed = (package.fileList or "").splitlines()
    return {
        "name": _text(header, "NAME"),
        "evr": _text(header, "EVR"),
        "provides": sorted(set(_list(header, "PROVIDENEVRS"))),
        "requires": sorted(set(_list(header, "REQUIRENEVRS"))),
        # plain paths only; what %attr, %dir, globs and lists mean is known when the RPM is built
        "files": sorted({_utf8(line) for line in listed if line.startswith("/") and not set(line) & set("*?[{ ")}),
    }


def _lines(path: str, requires: list[str]) -> dict[str, int]:
    """For messages only: the first line of the spec that speaks of each BuildRequires."""
    with open(path, errors="replace") as file:  # noqa: PTH123 - this program stands alone
        spoken = [(n, line) for n, line in enumerate(file, 1) if line.lower().startswith("buildrequires")]
    found = {}
    for each in set(requires):
        name = re.split(r"[ )]", each.lstrip("("), maxsplit=1)[0]
        numbers = [n for n, line in spoken if name in line]
        if numbers:
            found[each] = numbers[0]
    return found


def _list(header: Any, tag: str) -> list[str]:
    return [line for line in _utf8(header.format(f"[%{{{tag}}}\n]")).split("\n") if line]


def _text(header: Any, tag: str) -> str:
    value = header[tag]
    return "" if value is None else _utf8(value)


def _utf8(value: str | bytes) -> str:
    """rpm keeps the bytes of a spec; what is no UTF-8 in them is replaced."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


main()
