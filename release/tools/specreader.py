"""Runs inside the sealed place: rpm reads specs, one process each, and their facts leave as lines of JSON.

Standard library and rpm's own bindings only; never imported by Slipway. The request is a JSON file that $REQUEST
names: `tree` (a folder that cannot be listed), `macros` (the folder in it of the tree's macro files), `macro_files`,
`lua_modules` (last part of a module's name -> path), `defines`, `arch`, `specs` (path -> the folder in `tree`, of an
unguessable name, that holds its folder and nothing else), `own_macros` (by spec), and `seconds`, `megabytes`,
`processes` for one spec. The first line of the answer is `{"common": digest of the macros that count for every
package, "wrong": macro files that have mistakes -> rpm's words}`, each other one `{"spec", "facts"}` or `{"spec",
"error"}`, in the order of the request; or the only one is `{"error"}`: a macro file has mistakes, and `strict` is set.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
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
PATIENCE = 3  # seconds of the clock for each second of work, because a machine may be busy
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
    macros, shared = _part(f"{request['tree']}/specmacros.py"), f"{request['tree']}/{request['macros']}"
    before = macros.defined()
    macros.offer(shared, request["lua_modules"])
    wrong = macros.load({path: f"{shared}/{path}" for path in request["macro_files"]}, strict=request["strict"])
    if wrong and request["strict"]:
        _answer({"error": "\n".join(f"{path}: {error}" for path, error in wrong.items())})
        return
    for name, value in request["defines"].items():
        rpm.addMacro(name, value)
    common = macros.common(before, macros.defined())
    _answer({"common": _digest(json.dumps(common, sort_keys=True)), "wrong": wrong})
    for name, value in FIXED.items():
        rpm.addMacro(name, value)
    for spec in list(request["specs"]):
        _answer({"spec": spec, **_in_a_child(spec, request)})


def _part(path: str) -> Any:
    """A module by its path: its folder cannot be listed, so that it cannot be imported by name."""
    spec: Any = importlib.util.spec_from_file_location("part", path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _in_a_child(spec: str, request: dict[str, Any]) -> dict[str, Any]:
    """A process of its own for each spec: its %global, its loops, its crash and its shell escapes end with it."""
    facts_out, facts_in = os.pipe()
    errors_out, errors_in = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a spec prints is no answer
        os.dup2(errors_in, 2)
        _limit(request)
        for name, value in request["own_macros"][spec].items():
            rpm.addMacro(name, value)
        _parse_and_leave(spec, f"{request['tree']}/{request['specs'][spec]}", request["arch"], facts_in)
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
        while os.waitpid(-1, 0):
            pass


def _read(facts: int, errors: int, request: dict[str, Any]) -> tuple[dict[int, bytearray], str]:
    """What comes out of both pipes until the facts end, and what was exceeded meanwhile, if anything."""
    written = {facts: bytearray(), errors: bytearray()}
    open_pipes = {facts, errors}
    trouble, deadline = "", time.monotonic() + PATIENCE * request["seconds"]
    while facts in open_pipes and not trouble:
        ready, _, _ = select.select(open_pipes, [], [], POLL_SECONDS)
        for pipe in ready:
            chunk = os.read(pipe, 1 << 16)
            written[pipe] += chunk
            if not chunk:
                open_pipes.remove(pipe)
        trouble = _exceeded(written, deadline, request, idle=not ready)
    trouble = trouble or _crowded(request)  # what it left behind
    while errors in open_pipes and select.select([errors], [], [], 0)[0] and len(written[errors]) < LIMIT_ANSWER_BYTES:
        chunk = os.read(errors, 1 << 16)
        written[errors] += chunk
        open_pipes -= set() if chunk else {errors}
    os.close(facts)
    os.close(errors)
    return written, trouble


def _exceeded(written: dict[int, bytearray], deadline: float, request: dict[str, Any], *, idle: bool) -> str:
    """Which limit a spec is beyond, in words; empty when it is within all of them."""
    if sum(map(len, written.values())) > LIMIT_ANSWER_BYTES:
        return "too much output"
    if time.monotonic() > deadline:
        return f"not parsed after {PATIENCE * request['seconds']} seconds"
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
    limits = {resource.RLIMIT_CPU: request["seconds"], resource.RLIMIT_AS: request["megabytes"] << 20}
    limits |= {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    if request["user_is_ours"]:  # the kernel counts the processes of a user, wherever they run
        limits[resource.RLIMIT_NPROC] = 4 * request["processes"]
    for name, value in limits.items():
        resource.setrlimit(name, (value, value))


def _parse_and_leave(spec: str, tree: str, arch: str, out: int) -> None:
    stable = tree.rpartition("/")[0]
    try:
        facts = json.dumps(_facts(spec, tree, arch)).replace(tree, stable).encode()
        while facts:
            facts = facts[os.write(out, facts) :]
    except Exception as error:  # whatever it was, it belongs to this spec
        os.write(2, f"{error}".encode())
    finally:
        os._exit(0)


def _facts(spec: str, tree: str, arch: str) -> dict[str, Any]:
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
    sections = _files_sections(_utf8(parsed.parsed), _text(source, "NAME"))
    return {
        "name": _text(source, "NAME"),
        "evr": _text(source, "EVR"),
        "expanded": _digest(_utf8(parsed.parsed).replace(tree, tree.rpartition("/")[0])),
        "elsewhere": _elsewhere(source, arch),
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
        "binaries": [_binary(each) for each in parsed.packages if _is_made(each, sections)],
    }


def _elsewhere(source: Any, arch: str) -> bool:
    """Whether the spec says that it is not for this architecture (ExclusiveArch, ExcludeArch)."""
    only, never = _list(source, "EXCLUSIVEARCH"), _list(source, "EXCLUDEARCH")
    return (bool(only) and arch not in only) or arch in never


def _is_made(package: Any, sections: set[str]) -> bool:
    return package.fileList is not None or bool(package.fileFile) or _text(package.header, "NAME") in sections


def _files_sections(text: str, name: str) -> set[str]:
    """The packages that have a `%files` with not even an empty line in it: rpm's bindings say None of those, too."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if words and words[0].lower() == "%files" and line[0] == "%":
            while "-f" in words[:-1]:
                del words[(at := words.index("-f")) : at + 2]
            after = [word for word in words[1:] if word != "-n"]
            found.add(name if not after else after[0] if "-n" in words else f"{name}-{after[0]}")
    return found


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
    names = {each: re.split(r"[ )]", each.lstrip("("), maxsplit=1)[0] for each in requires}
    found = {each: next((n for n, line in spoken if name in line), 0) for each, name in names.items()}
    return {each: number for each, number in found.items() if number}


def _list(header: Any, tag: str) -> list[str]:
    return [line for line in _utf8(header.format(f"[%{{{tag}}}\n]")).split("\n") if line]


def _text(header: Any, tag: str) -> str:
    return _utf8(header[tag] or "")


def _utf8(value: str | bytes) -> str:
    """rpm keeps the bytes of a spec; what is no UTF-8 in them is replaced."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


main()
