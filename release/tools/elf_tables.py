"""The tables of an ELF file: header, segments, sections, dynamic tags, and the texts that they point to.

pyelftools knows the format; tables are unpacked here, because it takes a tenth of a millisecond for each row. Any file
may be hostile: what cannot be read, or is larger than a real one could be, raises `NotElf`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple, cast

from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_D_TAG, ENUM_SH_TYPE_BASE

from release.tools.view_stream import ViewStream

LIMIT_SECTIONS = 1 << 16
LIMIT_NAME_BYTES = 1 << 16
NOBITS, DYNAMIC = (ENUM_SH_TYPE_BASE[f"SHT_{name}"] for name in ("NOBITS", "DYNAMIC"))


class NotElf(Exception):
    """Not an ELF file, a broken one, or one beyond every limit; never leaves the reader of payloads."""


class Segment(NamedTuple):
    """A program header, in the order of 64-bit files."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class Section(NamedTuple):
    """A section header with its name resolved."""

    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """One file with its tables."""

    file: ELFFile
    content: memoryview
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    tags: tuple[tuple[int, int], ...]

    def bytes_of(self, section: Section) -> memoryview:
        """A section as it stands in the file; never unpacked, and nothing for one that only takes room in memory."""
        end = section.offset + (0 if section.type == NOBITS else section.size)
        return self.content[section.offset : end]

    def table(self, kind: int) -> tuple[Section | None, memoryview]:
        """The first section of a type and its bytes."""
        section = next((each for each in self.sections if each.type == kind), None)
        return section, self.bytes_of(section) if section else memoryview(b"")

    def linked(self, section: Section) -> bytes:
        """The bytes of the section that another one links to: its names."""
        return bytes(self.bytes_of(self.sections[section.link]))

    def texts(self, *names: str) -> list[str]:
        """The texts of dynamic tags by name."""
        wanted = {ENUM_D_TAG[name] for name in names}
        section, _ = self.table(DYNAMIC)
        strings = self.linked(section) if section else b""
        return [text_at(strings, value) for tag, value in self.tags if tag in wanted]


def open_elf(content: memoryview) -> Elf:
    """The tables of a file; whatever a broken one makes pyelftools raise comes through, beside `NotElf`."""
    file = ELFFile(cast(IO[bytes], ViewStream(content)))
    header, wide = file.header, file.elfclass == 64
    if not 0 < file.num_sections() <= LIMIT_SECTIONS:
        raise NotElf("sections")
    table = rows(file, "IIQQQQIIQQ" if wide else "10I", header.e_shoff, file.num_sections(), content)
    names = Section("", *table[file.get_shstrndx()][1:])
    strings = bytes(content[names.offset : names.offset + names.size])
    named = tuple(Section(text_at(strings, name), *rest) for name, *rest in table)
    headers = rows(file, "IIQQQQQQ" if wide else "8I", header.e_phoff, header.e_phnum, content)
    narrow = (0, 6, 1, 2, 3, 4, 5, 7)  # 32-bit files have the flags elsewhere (gABI, "Program Header")
    segments = tuple(Segment(*(row if wide else (row[n] for n in narrow))) for row in headers)
    dynamic = next((each for each in named if each.type == DYNAMIC), None)
    form = "qQ" if wide else "iI"
    size = struct.calcsize(f"={form}")
    tags = rows(file, form, dynamic.offset, dynamic.size // size, content) if dynamic else []
    return Elf(file=file, content=content, sections=named, segments=segments, tags=tuple(_until_null(tags)))


def rows(file: ELFFile, form: str, offset: int, count: int, content: memoryview) -> list[tuple[int, ...]]:
    """`count` rows of a table at `offset`; `form` is that of struct, without the order of bytes."""
    row = struct.Struct(f"{'<' if file.little_endian else '>'}{form}")
    return list(row.iter_unpack(content[offset : offset + count * row.size]))


def _until_null(tags: list[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    for tag, value in tags:
        if not tag:
            return
        yield tag, value


def text_at(table: bytes, start: int) -> str:
    """The text that begins at an offset of a table of texts; bytes that are no UTF-8 are spelled out."""
    end = table.find(b"\0", start, start + LIMIT_NAME_BYTES)
    if end < 0:
        raise NotElf("a name without end")
    return table[start:end].decode("utf-8", "backslashreplace")
