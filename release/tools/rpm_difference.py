"""Two builds of a source package, and how their RPMs differ, as text for people in the style of diffoscope.

What the product digest makes equal is no difference here. `diffoscope` itself adds its view where it is installed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from release.errors import Error
from release.interfaces.interface_differences import product_differences
from release.interfaces.interfaces import BinaryInterface, shipped
from release.tools.file_difference import LINES
from release.tools.namespaces import InNamespaces
from release.tools.process import run
from release.tools.rpm_reader import BYTES_A_SECOND, OURS, SECONDS, OpenRpm, open_rpms, read_interfaces
from release.tools.text_difference import text_difference

FILES = 30
"""Of so many files the contents are compared; the others are named."""
TEXT_BYTES = 256 << 10
DIFFOSCOPE_SECONDS = 120.0
_DIFFOSCOPE_BYTES = 64 << 10
_SCRATCH_BYTES = 512 << 20
_WELL = (0, 1, 141)  # the same, different, and: was cut off, because it said too much


def installed_diffoscope() -> Path | None:
    """The program, where this machine has it."""
    found = shutil.which("diffoscope", path="/usr/bin:/usr/local/bin")
    return Path(found) if found else None


async def rpm_difference(
    before: Sequence[Path],
    after: Sequence[Path],
    *,
    diffoscope: Path | None = None,
    seconds: float = DIFFOSCOPE_SECONDS,
) -> str:
    """How the RPMs `after` (from scratch) differ from those `before` (published), at most `TEXT_BYTES` of UTF-8.

    Empty when an installed system cannot tell them apart. `diffoscope` is its program, which gets `seconds` for each
    RPM. `Refused` and `Broken` as in `read_interfaces`.
    """
    old, new = await _by_name(before), await _by_name(after)
    lines, differing = [], []
    for name in sorted(old.keys() | new.keys()):
        one, two = old.get(name), new.get(name)
        if one is None or two is None:
            lines += [f"{name}: the package is {'new' if one is None else 'gone'}", ""]
        elif words := product_differences([one.interface], [two.interface]):
            lines += [f"--- published     {one.rpm.path.name}", f"+++ from scratch  {two.rpm.path.name}"]
            lines += [*await _of_package(one, two, words), ""]
            differing.append((one.rpm.path, two.rpm.path))
    if diffoscope:
        for pair in differing:
            lines += await _by_diffoscope(diffoscope, *pair, seconds)
    return _cut("\n".join(lines), TEXT_BYTES)


class _Package:
    """One RPM with its header and its interface."""

    def __init__(self, rpm: OpenRpm, interface: BinaryInterface) -> None:
        self.rpm = rpm
        self.interface = interface


async def _by_name(paths: Sequence[Path]) -> Mapping[str, _Package]:
    opened, interfaces = await open_rpms(paths), await read_interfaces(paths)
    pairs = zip(opened, interfaces, strict=True)
    return {f"{each.name}.{each.arch}": _Package(rpm, each) for rpm, each in pairs}


async def _of_package(one: _Package, two: _Package, words: Sequence[str]) -> list[str]:
    paths = _changed_contents(one.interface, two.interface)
    found = await _contents(one.rpm, two.rpm, paths[:FILES])
    lines = [word.removeprefix(f"{one.interface.name}: ") for word in words]
    lines = [line for line in lines if line.removesuffix(" changed") not in found]
    for path, differing in found.items():
        lines += [f"{path} changed", *(f"    {each}" for each in differing)]
    return [*lines, *_scripts(one.rpm, two.rpm), *_more(paths[FILES:])]


def _more(paths: Sequence[str]) -> list[str]:
    return [f"the contents of {len(paths)} more files were not compared"] if paths else []


def _changed_contents(one: BinaryInterface, two: BinaryInterface) -> list[str]:
    """The files that both have, with contents that differ."""
    old, new = shipped(one)["files"], shipped(two)["files"]
    return sorted(path for path in old.keys() & new.keys() if old[path][2] != new[path][2])


async def _contents(one: OpenRpm, two: OpenRpm, paths: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """How the two contents of each file differ; the work is done by another process, with limits."""
    if not paths:
        return {}
    orders = {"before": _order(one, paths), "after": _order(two, paths)}
    done = await run(
        [sys.executable, "-B", "-m", "release.tools.difference_reader"],
        seconds=SECONDS + (one.size + two.size) / BYTES_A_SECOND,
        cwd=OURS,
        stdin=json.dumps(orders).encode(),
        check=False,
    )
    answers = [json.loads(line) for line in done.text.splitlines()]
    found = {each["path"]: each["lines"] for each in answers if "path" in each}
    problem = next((each["error"] for each in answers if "error" in each), f"exit code {done.code}")
    missing = [path for path in paths if path not in found]
    return found | {path: [f"its contents could not be compared: {problem}"] for path in missing}


def _order(rpm: OpenRpm, paths: Sequence[str]) -> dict[str, object]:
    digests = {each.path: each.digest if rpm.header.sha256 else "" for each in rpm.header.files if each.has_content}
    return {**rpm.request, "wanted": {path: digests[path] for path in paths if path in digests}}


def _scripts(one: OpenRpm, two: OpenRpm) -> Iterator[str]:
    """The lines of scripts and texts that differ; that they do was said before."""
    for old, new in ((one.header.scripts, two.header.scripts), (one.header.texts, two.header.texts)):
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                yield f"{name}:"
                differing = list(text_difference(_text(old[name]), _text(new[name])))
                yield from (f"    {line}" for line in differing[:LINES])


def _text(value: object) -> str:
    """A text as it is; a script with its interpreter and flags, and triggers, part by part."""
    if isinstance(value, list | tuple):
        return "\n".join(_text(each) for each in value if each)
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_text(each)}" for key, each in value.items())
    return str(value)


async def _by_diffoscope(program: Path, one: Path, two: Path, seconds: float) -> list[str]:
    """What diffoscope says: sealed, without network, bounded. What goes wrong with it is told, and harms nothing."""
    reads = {f"/published-{one.name}": one, f"/from-scratch-{two.name}": two}
    limits = ("--max-diff-block-lines", f"{LINES}", "--timeout", f"{seconds / 2:.0f}")
    argv = ["/diffoscope", "--no-progress", "--exclude-directory-metadata=yes", *limits, "--text", "-", *reads]
    bounded = ["/bin/bash", "-c", f'set -o pipefail; "$@" 2>&1 | head -c {_DIFFOSCOPE_BYTES}', "-", *argv]
    try:
        ended = await InNamespaces(scratch_bytes=_SCRATCH_BYTES).run(
            bounded,
            reads={**reads, "/diffoscope": program, "/etc/ld.so.cache": Path("/etc/ld.so.cache")},
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            seconds=seconds,
        )
    except Error as error:
        return [f"diffoscope: {error.message}, {error.got}", ""]
    said = ended.log.decode("utf-8", "replace").splitlines()
    headline = "diffoscope says, times and all:" if ended.code in _WELL else f"diffoscope ended with code {ended.code}:"
    return [headline, *(f"    {line}" for line in said), ""]


def _cut(text: str, limit: int) -> str:
    raw = text.encode("utf-8", "backslashreplace")
    return text if len(raw) <= limit else f"{raw[:limit].decode('utf-8', 'ignore')}\n... cut at {limit} bytes\n"
