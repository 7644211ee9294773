"""Two ELF files, and which of their sections and exported symbols differ, without addresses and build ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from release.tools.elf import LEFT_OUT, dynamic_of, read_elf
from release.tools.elf_tables import DYNAMIC, Elf, open_elf
from release.tools.text_difference import strings_difference

_SYMBOLS = 20
_WITH_TEXTS = (".rodata", ".comment", ".data", ".dynstr", ".debug_str")


def elf_difference(path: str, before: memoryview, after: memoryview) -> list[str]:
    """Lines for people. `NotElf` when one of the two cannot be read; what pyelftools raises comes through."""
    old, new = open_elf(before), open_elf(after)
    return [*_symbols(path, before, after), *_sections(old, new)] or ["only what no section holds differs"]


def _symbols(path: str, before: memoryview, after: memoryview) -> Iterator[str]:
    """What linking reads of a library; of other files nothing."""
    one, two = (set(read_elf(path, side).exports) for side in (before, after))
    yield from islice((f"-{line}" for line in sorted(one - two)), _SYMBOLS)
    yield from islice((f"+{line}" for line in sorted(two - one)), _SYMBOLS)


def _sections(old: Elf, new: Elf) -> Iterator[str]:
    before, after = _by_name(old), _by_name(new)
    for name in dict.fromkeys((*before, *after)):
        one, two = before.get(name, b""), after.get(name, b"")
        if name not in before or name not in after:
            yield f"section {name} is {'gone' if name in before else 'new'}"
        elif one != two:
            sizes = f", {len(one)} bytes, from scratch {len(two)}" if len(one) != len(two) else ""
            yield f"section {name} differs{sizes}"
        if one != two and name.startswith(_WITH_TEXTS):
            yield from (f"  {line}" for line in strings_difference(memoryview(one), memoryview(two)))


def _by_name(elf: Elf) -> Mapping[str, bytes]:
    """What counts of each section; sections with one name together."""
    found: dict[str, bytes] = {}
    for section in elf.sections:
        if section.name in LEFT_OUT or not section.type:
            continue
        raw = repr(dynamic_of(elf)).encode() if section.type == DYNAMIC else bytes(elf.bytes_of(section))
        found[section.name] = found.get(section.name, b"") + raw
    return found
