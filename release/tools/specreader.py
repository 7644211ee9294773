"""Runs inside the sealed container: rpm reads specs, one process each, and their facts leave as lines of JSON.

Standard library and rpm's own bindings only; never imported by Slipway. The request is a JSON file (the first
argument): `tree`, `specs`, `macro_files`, `defines`, `arch`, `seconds` and `megabytes` for one spec. Each line of the
answer is `{"spec", "facts"}` or `{"spec", "error"}`; a line without a spec is about the request itself.
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

import rpm  # type: ignore[import-not-found]  # the distribution's, inside the container

LIMIT_ANSWER_BYTES = 16 << 20
PR_SET_DUMPABLE = 4


def main() -> None:
    """Read the request, load the macros once, and answer for each spec."""
    with open(sys.argv[1]) as file:  # noqa: PTH123 - this program stands alone
        request = json.load(file)
    # What a spec's %(...) starts is of the same user: it must not reach into us and forge the answer of another.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
    os.chdir(request["tree"])
    rpm.reloadConfig(request["arch"])
    for path in request["macro_files"]:
        try:
            rpm.expandMacro(f"%{{load:{request['tree']}/{path}}}")
        except rpm.error as error:
            _answer({"error": f"{path}: {error}"})
            return
    for name, value in request["defines"].items():
        rpm.addMacro(name, value)
    for spec in request["specs"]:
        _answer({"spec": spec, **_in_a_child(spec, request)})


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _in_a_child(spec: str, request: dict[str, Any]) -> dict[str, Any]:
    """A process of its own for each spec: its %global, its loops, its crash and its shell escapes end with it."""
    facts_out, facts_in = os.pipe()
    errors_out, errors_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a spec prints is no answer
        os.dup2(errors_in, 2)
        _limit(request["seconds"], request["megabytes"])
        _parse_and_leave(spec, request["tree"], facts_in)
    os.close(facts_in)
    os.close(errors_in)
    written, in_time = _read(facts_out, errors_out, time.monotonic() + request["seconds"])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not in_time:
        return {"error": f"not parsed after {request['seconds']} seconds, or too much output"}
    if not written[facts_out]:
        text = written[errors_out].decode("utf-8", "replace").strip()
        return {"error": text or "rpm ended without a word: out of memory or time"}
    return {"facts": json.loads(written[facts_out])}


def _read(facts: int, errors: int, deadline: float) -> tuple[dict[int, bytes], bool]:
    """What comes out of both pipes until the facts end, and whether that was in time and not too much."""
    written = {facts: b"", errors: b""}
    open_pipes = {facts, errors}
    while facts in open_pipes:
        ready, _, _ = select.select(open_pipes, [], [], max(0.0, deadline - time.monotonic()))
        for pipe in ready:
            chunk = os.read(pipe, 1 << 16)
            written[pipe] += chunk
            if not chunk:
                open_pipes.remove(pipe)
        if not ready or sum(map(len, written.values())) > LIMIT_ANSWER_BYTES:
            break
    while errors in open_pipes and select.select([errors], [], [], 0)[0]:
        chunk = os.read(errors, 1 << 16)
        written[errors] += chunk
        if not chunk or len(written[errors]) > LIMIT_ANSWER_BYTES:
            break
    os.close(facts)
    os.close(errors)
    return written, facts not in open_pipes


def _limit(seconds: int, megabytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _parse_and_leave(spec: str, tree: str, out: int) -> None:
    code = 1
    try:
        facts = json.dumps(_facts(spec, tree)).encode()
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
