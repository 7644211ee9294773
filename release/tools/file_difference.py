"""Two contents of one file, and how they differ, in a few lines for people: text, ELF, archives, and any other bytes.

What the product digest makes equal (times in archives, build ids) is no difference here either.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, cast

from release.tools.elf_difference import elf_difference
from release.tools.elf_tables import NotElf
from release.tools.normalising import Budget, members_of_ar, reading, unpacked
from release.tools.text_difference import strings_difference, text_difference
from release.tools.view_stream import ViewStream

LINES = 40
"""How much is told of one file. Who needs all of it has both files by digest."""
WIDTH = 160
DEPTH = 3  # an archive in an archive
_INNER_BYTES = 8 << 20
_MEMBERS = 5


def file_difference(path: str, before: memoryview, after: memoryview) -> tuple[str, ...]:
    """At most `LINES` lines; `path` is where the file is installed. Never empty: something was found to differ."""
    lines = list(islice(_differing(path, before, after, DEPTH), LINES + 1))
    short = [each if len(each) <= WIDTH else f"{each[:WIDTH]} ..." for each in lines[:LINES]]
    return (*short, "...") if len(lines) > LINES else tuple(short)


def _differing(path: str, before: memoryview, after: memoryview, depth: int) -> Iterator[str]:
    start = bytes(before[:8])
    if depth and start[:2] == bytes(after[:2]):
        special = _archived(path, start, before, after, depth)
        if special is not None:
            yield from special
            return
    try:
        one, two = (bytes(side[:_INNER_BYTES]).decode() for side in (before, after))
        if "\0" in one or "\0" in two:
            raise ValueError("no text")
    except ValueError:
        yield from _bytes(before, after)
        return
    yield from text_difference(one, two) if one.splitlines() != two.splitlines() else ("only the ends of lines differ",)


def _archived(path: str, start: bytes, before: memoryview, after: memoryview, depth: int) -> Iterable[str] | None:
    """What is inside, for a file that has an inside; None for any other, and for a broken one."""
    try:
        if start.startswith(b"\x7fELF"):
            return elf_difference(path, before, after)
        if start.startswith(b"!<arch>\n"):
            return list(_members(members_of_ar(before), members_of_ar(after), depth))
        if start.startswith(b"PK\x03\x04"):
            return list(_members(_zipped(before), _zipped(after), depth))
        one, two = (unpacked(side, _INNER_BYTES) for side in (before, after))
        if one is None or two is None:
            return None
        inside = _differing(path, memoryview(one), memoryview(two), depth - 1) if one != two else ["nothing within it"]
        return ["inside, unpacked:", *inside]
    except NotElf:
        return None
    except Exception:  # foreign libraries on foreign bytes: whatever they raise, it is told as bytes
        return None


def _zipped(content: memoryview) -> Mapping[str, memoryview]:
    with zipfile.ZipFile(cast(IO[bytes], ViewStream(content))) as archive:
        found = {}
        for member in archive.infolist():
            with archive.open(member) as file:
                found[member.filename] = memoryview(file.read(_INNER_BYTES))
    return found


def _members(before: Mapping[str, memoryview], after: Mapping[str, memoryview], depth: int) -> Iterator[str]:
    told = 0
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            yield f"member {name} is {'new' if one is None else 'gone'}"
        elif _content(name, one) != _content(name, two):
            told += 1
            yield f"member {name} differs"
            if told <= _MEMBERS:
                yield from (f"  {line}" for line in _differing(name, one, two, depth - 1))
    if not told and list(before) != list(after):
        yield "the order of its members differs"


def _content(name: str, content: memoryview) -> str:
    return reading(name, content, Budget()).content


def _bytes(before: memoryview, after: memoryview) -> Iterator[str]:
    """Sizes, the first place that differs, and words that only one side has: a date, a path, a host name."""
    if len(before) != len(after):
        yield f"{len(before)} bytes, from scratch {len(after)}"
    at = _first(before, after)
    yield f"from byte {at} on: {bytes(before[at : at + 16]).hex(' ')}"
    yield f"from scratch: {bytes(after[at : at + 16]).hex(' ')}"
    yield from strings_difference(before, after)


def _first(before: memoryview, after: memoryview) -> int:
    """Where two buffers begin to differ, by halves."""
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if before[low:middle] == after[low:middle] else (low, middle - 1)
    return low
