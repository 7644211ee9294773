"""What an ELF file is, what a library exports, and a fingerprint of its content that build ids do not change."""

from __future__ import annotations

import posixpath
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_D_TAG, ENUM_P_TYPE_BASE, ENUM_SH_TYPE_BASE
from elftools.elf.gnuversions import GNUVerDefSection

from release.interfaces.file_kinds import ElfType
from release.interfaces.fingerprints import Parts, fingerprint
from release.tools.elf_tables import DYNAMIC, NOBITS, Elf, NotElf, Section, open_elf, rows, text_at

LIMIT_SYMBOLS = 1 << 21  # the largest libraries of a distribution export about 200,000
LIMIT_VERSIONS = 1 << 16
# Change from build to build and say nothing: the build id; the link to the debug file, whose name holds the release; a
# symbol table for backtraces, compressed, with the build id in it; the note in which a distribution writes its release
# (systemd.io, "Package Metadata for Executable Files"); the names of sections, which are counted one by one.
LEFT_OUT = (
    ".note.gnu.build-id",
    ".gnu_debuglink",
    ".gnu_debugaltlink",
    ".gnu_debugdata",
    ".note.package",
    ".shstrtab",
)
# Sections of a library in which a compiler finds what it needs of the source: crates, packages, code to inline.
_READ_BY_COMPILERS = re.compile(r"\.rustc|\.go_export|\.llvmbc|\.gnu\.lto_.*")
_BINDINGS = {1: "", 2: " weak", 10: " unique"}
_TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 5: "COMMON", 6: "TLS", 10: "IFUNC"}
_SIZED = (1, 5, 6)  # of data the size counts, because a copy relocation copies it
_LIBRARY_NAME = re.compile(r"lib.*\.so(\.|\Z)")
_DF_1_PIE = 0x08000000
_DYNSYM = ENUM_SH_TYPE_BASE["SHT_DYNSYM"]
_VERDEF, _VERSYM = (ENUM_SH_TYPE_BASE[f"SHT_GNU_{name}"] for name in ("verdef", "versym"))
_INTERP, _NOTE, _GNU_STACK = (ENUM_P_TYPE_BASE[f"PT_{name}"] for name in ("INTERP", "NOTE", "GNU_STACK"))
_FLAGS_1 = ENUM_D_TAG["DT_FLAGS_1"]
_LINK_TAGS = ("DT_NEEDED", "DT_RPATH", "DT_RUNPATH", "DT_AUXILIARY", "DT_FILTER")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """`content` is the fingerprint of all that is loaded or read; `exports` is what linking against it reads, one
    sorted line each, for a LIBRARY only."""

    type: ElfType
    content: str
    soname: str = ""
    exports: tuple[str, ...] = ()


def read_elf(path: str, content: memoryview) -> ElfFacts:
    """The facts of the file whose bytes are `content`; `path` is where it will be installed. `NotElf` when broken."""
    try:
        elf = open_elf(content)
        soname = next(iter(elf.texts("DT_SONAME")), "")
        kind = _type(elf, path, soname)
        exports = _exports(elf, soname) if kind is ElfType.LIBRARY else ()
        return ElfFacts(type=kind, soname=soname, exports=exports, content=_content(elf))
    except NotElf:
        raise
    except Exception as error:  # a foreign library on foreign bytes: whatever it raises means the same
        raise NotElf(str(error)) from error


def _type(elf: Elf, path: str, soname: str) -> ElfType:
    kind = elf.file.header.e_type
    if kind != "ET_DYN":
        return ElfType.PROGRAM if kind == "ET_EXEC" else ElfType.OBJECT
    pie = any(tag == _FLAGS_1 and value & _DF_1_PIE for tag, value in elf.tags)
    interpreted = any(segment.type == _INTERP for segment in elf.segments)
    if pie or (interpreted and not soname):  # libc.so.6 has an interpreter and a soname
        return ElfType.PROGRAM
    named = _LIBRARY_NAME.match(posixpath.basename(path))
    return ElfType.LIBRARY if soname or named else ElfType.DYNAMIC


def _exports(elf: Elf, soname: str) -> tuple[str, ...]:
    """What the linker reads of a library (docs/interfaces.md says why each)."""
    file, header = elf.file, elf.file.header
    versions = _definitions(file, elf.sections)
    lines = {f"soname {soname}", f"machine {header.e_machine} {file.elfclass} {file.little_endian} {header.e_flags}"}
    for name in _LINK_TAGS:
        lines |= {f"{name.removeprefix('DT_').lower()} {text}" for text in elf.texts(name)}
    lines |= {f"defines {' < '.join(names)}" for names in versions.values()}
    lines |= set(_symbols(elf, versions))
    compiled = (each for each in elf.sections if _READ_BY_COMPILERS.fullmatch(each.name))
    lines |= {f"section {each.name} {fingerprint(elf.bytes_of(each))}" for each in compiled}
    return tuple(sorted(lines))


def _definitions(file: ELFFile, sections: tuple[Section, ...]) -> Mapping[int, list[str]]:
    """Version names by index; a version is followed by those that it inherits from."""
    found: dict[int, list[str]] = {}
    index = next((number for number, each in enumerate(sections) if each.type == _VERDEF), None)
    section = file.get_section(index) if index is not None else None
    if not isinstance(section, GNUVerDefSection):
        return found
    if section.num_versions() > LIMIT_VERSIONS:
        raise NotElf("versions")
    for version, names in section.iter_versions():
        if version["vd_cnt"] > LIMIT_VERSIONS:
            raise NotElf("versions")
        found[version["vd_ndx"] & 0x7FFF] = [_safe(each.name) for each in names]
    return found


def _safe(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _symbols(elf: Elf, versions: Mapping[int, list[str]]) -> Iterator[str]:
    """`exports name@@VERSION TYPE size binding` of each symbol that others can link to."""
    section, table = elf.table(_DYNSYM)
    if section is None:
        raise NotElf("a library without symbols")
    wide = elf.file.elfclass == 64
    form = "IBBHQQ" if wide else "IIIBBH"
    count = len(table) // struct.calcsize(f"={form}")
    if count > LIMIT_SYMBOLS:
        raise NotElf("symbols")
    names = elf.linked(section)
    versym, _ = elf.table(_VERSYM)
    indexes = [row[0] for row in rows(elf.file, "H", versym.offset, count, elf.content)] if versym else []
    for number, row in enumerate(rows(elf.file, form, section.offset, count, elf.content)):
        if wide:
            name, info, other, index, _, size = row
        else:
            name, _, size, info, other, index = row
        binding, kind = info >> 4, info & 15
        if index == 0 or binding not in _BINDINGS or other & 3 in (1, 2):  # undefined, local, hidden
            continue
        text = text_at(names, name) + _version(indexes[number] if number < len(indexes) else 1, versions)
        measured = f" {size}" if kind in _SIZED else ""
        special = f" other={other:#x}" if other else ""
        yield f"exports {text} {_TYPES.get(kind, kind)}{measured}{_BINDINGS[binding]}{special}"


def _version(index: int, versions: Mapping[int, list[str]]) -> str:
    """`@@V` for the version that new programs get, `@V` for one that only old programs use (ld, "VERSION")."""
    names = versions.get(index & 0x7FFF)
    if index & 0x7FFF < 2 or not names:
        return ""
    return f"@{names[0]}" if index & 0x8000 else f"@@{names[0]}"


def _content(elf: Elf) -> str:
    """Section by section, without addresses: a build id or note of another length moves what follows, and only that."""
    header = elf.file.header
    parts = Parts()
    parts.add(bytes(elf.content[:16]), header.e_type, header.e_machine, header.e_flags, header.e_entry)
    parts.add([(each.type, each.flags, each.align) for each in elf.segments if each.type != _NOTE])
    parts.add([each.memsz for each in elf.segments if each.type == _GNU_STACK])
    taken = 0
    dynamic, _ = elf.table(DYNAMIC)
    for section in elf.sections:
        if section.name in LEFT_OUT or not section.type:
            continue
        raw = elf.bytes_of(section)
        taken += len(raw)
        if taken > 2 * len(elf.content):
            raise NotElf("sections that overlap")
        parts.add(section.name, section.type, section.flags, section.entsize, section.align, section.size)
        if section is dynamic:
            parts.add(dynamic_of(elf))
            raw = raw[len(elf.tags) * section.entsize :]
        parts.add(raw)
    for gap in _gaps(elf):
        parts.add(gap)
    return parts.end()


def dynamic_of(elf: Elf) -> list[tuple[int, int | str]]:
    """Tags with the name of a section in place of its address."""
    starts = {each.addr: each.name for each in elf.sections if each.addr}
    return [(tag, starts.get(value, value)) for tag, value in elf.tags]


def _gaps(elf: Elf) -> Iterator[bytes]:
    """What no section covers, without padding: programs carry archives behind their end, modules a signature."""
    header = elf.file.header
    known = [
        (0, header.e_ehsize),
        (header.e_phoff, header.e_phentsize * header.e_phnum),
        (header.e_shoff, header.e_shentsize * len(elf.sections)),
        *((each.offset, each.size) for each in elf.sections if each.type != NOBITS),
    ]
    end = 0
    for start, size in [*sorted(known), (len(elf.content), 0)]:
        if start > end and (gap := bytes(elf.content[end:start]).strip(b"\0")):
            yield gap
        end = max(end, start + size)
