"""Which kind a file of an RPM is: by what its content is, where it lies and what rpm says of it, in that order."""

from __future__ import annotations

import fnmatch
import re
import stat
from collections.abc import Iterator
from enum import IntFlag, StrEnum
from functools import cache

from release.interfaces.file_rules import FileKind, rule_of


class FileFlag(IntFlag):
    """rpm's flags of a file that matter here (rpm 4.18, lib/rpmfiles.h, rpmfileAttrs_e)."""

    CONFIG = 1 << 0
    DOC = 1 << 1
    GHOST = 1 << 6
    LICENSE = 1 << 7
    README = 1 << 8


class ElfType(StrEnum):
    """What an ELF file is for. A LIBRARY can be linked to: it has a soname, or would get one from its file name."""

    LIBRARY = "library"
    DYNAMIC = "dynamic"
    PROGRAM = "program"
    OBJECT = "object"


_LEFT_OUT = (FileKind.BUILD_ID, FileKind.DEBUG, FileKind.DOCUMENTATION, FileKind.TRANSLATION, FileKind.CACHE)
_READ = (
    FileKind.STATIC,
    FileKind.HEADER,
    FileKind.BUILD_FILE,
    FileKind.RPM_MACROS,
    FileKind.SCRIPT_MODULE,
    FileKind.BINDING,
    FileKind.ARCHIVE,
)
# Locale data decides how sort, printf and compilers read text; it is no translation whatever %lang says.
_NOT_TRANSLATED = "/usr/lib/locale/"
# A soname with a version is an interface that others link to; a plugin that is loaded by name has none.
_VERSIONED = re.compile(r"\.so\.[0-9]")


def kind_of(
    path: str,
    *,
    mode: int,
    flags: int = 0,
    lang: str = "",
    has_source: bool = False,
    elf: ElfType | None = None,
    soname: str = "",
) -> FileKind:
    """The kind of the file at `path`. `mode` is st_mode, `flags` rpm's, `lang` its %lang, `elf` and `soname` what
    its content says, `has_source` whether the .py of a .pyc is in the same package."""
    if flags & FileFlag.GHOST:
        return FileKind.GHOST
    left_out = next(_matching(path, _LEFT_OUT), None)
    if left_out:
        return left_out
    if not stat.S_ISREG(mode):
        return _special(mode)
    if elf:
        return _elf(path, elf, soname)
    if path.endswith(".pyc") and has_source:
        return FileKind.BYTECODE
    return _plain(path, mode, flags, lang)


def _special(mode: int) -> FileKind:
    if stat.S_ISDIR(mode):
        return FileKind.DIRECTORY
    return FileKind.LINK if stat.S_ISLNK(mode) else FileKind.DEVICE


def _elf(path: str, elf: ElfType, soname: str) -> FileKind:
    """Programs and objects by what they are, libraries also by where they lie."""
    if elf is ElfType.PROGRAM:
        return FileKind.EXECUTABLE
    if elf is ElfType.OBJECT:
        return FileKind.STATIC
    if next(_matching(path, (FileKind.TOOL_LIBRARY,)), None):
        return FileKind.TOOL_LIBRARY
    searched = elf is ElfType.LIBRARY and _in_a_library_folder(path)
    return FileKind.SHARED_LIBRARY if searched or _VERSIONED.search(soname) else FileKind.MODULE


def _in_a_library_folder(path: str) -> bool:
    """Whether the linker finds it by itself: directly in a library folder, or in that of an architecture."""
    if not next(_matching(path, (FileKind.SHARED_LIBRARY,)), None):
        return False
    below = re.sub(r"^/usr(/local)?", "", path).split("/")[2:]
    return len(below) == 1 or (len(below) == 2 and "-linux-gnu" in below[0])


def _plain(path: str, mode: int, flags: int, lang: str) -> FileKind:
    read = next(_matching(path, _READ), None)
    if read:
        return read
    if mode & 0o111:
        return FileKind.EXECUTABLE
    if flags & (FileFlag.DOC | FileFlag.LICENSE | FileFlag.README):
        return FileKind.DOCUMENTATION
    if lang and not path.startswith(_NOT_TRANSLATED):
        return FileKind.TRANSLATION
    return next(_matching(path, (FileKind.CONFIGURATION,)), FileKind.DATA)


def _matching(path: str, kinds: tuple[FileKind, ...]) -> Iterator[FileKind]:
    return (kind for kind in kinds if _pattern(kind).match(path))


@cache
def _pattern(kind: FileKind) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(path) for path in rule_of(kind).paths))
