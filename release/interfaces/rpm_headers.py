"""An RPM's header and what was read of its files become its interface: which file is of which kind, what counts."""

from __future__ import annotations

import binascii
import json
import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from release.interfaces.file_kinds import ElfType, FileFlag, kind_of
from release.interfaces.file_rules import FileKind, rule_of
from release.interfaces.fingerprints import encoded, fingerprint
from release.interfaces.interfaces import BinaryInterface, FileEntry, first_build

LISTED_EXPORTS = 5000
"""A library that exports more is recorded by its fingerprint alone; the lines are for people."""
_WEAK = ("recommends", "suggests", "supplements", "enhances")
# Of these the bytes need not be those of another build of the same: look inside. Words of rpm's classes, which are
# those of libmagic ("setuid ELF 64-bit LSB pie executable").
_NORMALISED = ("ELF", "gzip", "XZ", "Zstandard", "bzip2", "ar archive", "Zip", "Java archive", "yte-compiled")
_NAMES = (".gz", ".xz", ".zst", ".bz2", ".a", ".pyc", ".jar", ".war", ".whl", ".egg", ".zip", ".so", ".o", ".ko")


class HeaderFile(NamedTuple):
    """One file as the header has it: `digest` is hex (or zeroes), `about` the begin of libmagic's description."""

    path: str
    mode: int
    owner: str
    group: str
    flags: int
    target: str
    capabilities: str
    lang: str
    device: int
    size: int
    digest: str
    about: str

    @property
    def has_content(self) -> bool:
        """Whether it is a regular file that the package brings along."""
        return stat.S_ISREG(self.mode) and not self.flags & FileFlag.GHOST

    @property
    def normalised(self) -> bool:
        """Whether its content must be looked at; otherwise its digest says all there is to say."""
        unknown = not self.about  # an rpm that does not classify
        return unknown or any(word in self.about for word in _NORMALISED) or self.path.endswith(_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmHeader:
    """What counts of a header. `sha256` says whether the digests of its files are of that kind."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    source: str
    sha256: bool
    dependencies: Mapping[str, Sequence[str]]
    texts: Mapping[str, Any]
    scripts: Mapping[str, Any]
    files: tuple[HeaderFile, ...]

    def wanted(self) -> dict[str, str]:
        """The files whose content must be read, with the sha256 (hex) it must have, if that is known."""
        return {
            each.path: each.digest if self.sha256 else ""
            for each in self.files
            if each.has_content and (each.normalised or not self.sha256) and _counts(each)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReading:
    """What a reader of the payload found: the fingerprint of the normalised content, and what an ELF file is."""

    content: str
    elf: ElfType | None = None
    soname: str = ""
    exports: tuple[str, ...] = ()


def interface_of(header: RpmHeader, readings: Mapping[str, FileReading], *, file: str) -> BinaryInterface:
    """The interface of the RPM whose file name is `file`. A file without a reading counts by its digest."""
    paths = {each.path for each in header.files}
    # Of hard links only one carries the content; the others have the same digest.
    by_digest = {each.digest: readings[each.path] for each in header.files if each.path in readings}
    files: dict[str, dict[str, FileEntry]] = {}
    libraries: dict[str, tuple[str, ...]] = {}
    for each in header.files:
        entry, exports = _entry(each, readings.get(each.path) or by_digest.get(each.digest), paths)
        folder, name = posixpath.split(each.path)
        files.setdefault(folder, {})[name] = entry
        if exports and len(exports) <= LISTED_EXPORTS:
            libraries[each.path] = exports
    return BinaryInterface(
        name=header.name,
        epoch=header.epoch,
        version=header.version,
        release=header.release,
        arch=header.arch,
        file=file,
        source=header.source,
        provides=tuple(header.dependencies["provides"]),
        requires=tuple(header.dependencies["requires"]),
        conflicts=tuple(header.dependencies["conflicts"]),
        obsoletes=tuple(header.dependencies["obsoletes"]),
        weak=tuple(f"{kind} {each}" for kind in _WEAK for each in header.dependencies[kind]),
        texts=_fingerprints(header.texts, header),
        scripts=_fingerprints(header.scripts, header),
        files=MappingProxyType({folder: MappingProxyType(names) for folder, names in files.items()}),
        libraries=MappingProxyType(libraries),
    )


def _entry(file: HeaderFile, reading: FileReading | None, paths: set[str]) -> tuple[FileEntry, tuple[str, ...]]:
    kind = kind_of(
        file.path,
        mode=file.mode,
        flags=file.flags,
        lang=file.lang,
        has_source=_source_of(file.path) in paths,
        elf=reading.elf if reading else None,
        soname=reading.soname if reading else "",
    )
    exports = reading.exports if reading and kind is FileKind.SHARED_LIBRARY else ()
    entry = FileEntry(
        kind=kind,
        attributes=_attributes(file),
        flags=file.flags,
        content=_content(file, reading) if rule_of(kind).product else "",
        exports=fingerprint("\n".join(exports).encode()) if exports else "",
    )
    return entry, exports


def _counts(file: HeaderFile) -> bool:
    """Whether its content is part of any digest; a shared library is not known yet, but counts."""
    return rule_of(kind_of(file.path, mode=file.mode, flags=file.flags, lang=file.lang)).product


def _content(file: HeaderFile, reading: FileReading | None) -> str:
    if stat.S_ISLNK(file.mode):
        return file.target
    if not file.has_content:
        return ""
    if reading:
        return reading.content
    try:
        return encoded(binascii.unhexlify(file.digest))
    except ValueError:
        return file.digest


def _attributes(file: HeaderFile) -> str:
    """Nearly every file is of root and root, which goes without saying."""
    words = [f"{file.mode & 0o177777:o}"]
    if (file.owner, file.group) != ("root", "root"):
        words += [file.owner, file.group]
    if stat.S_ISBLK(file.mode) or stat.S_ISCHR(file.mode):
        words += ["device", str(file.device)]
    return " ".join([*words, file.capabilities]).rstrip()


def _source_of(path: str) -> str:
    """Where the .py of a .pyc stands (PEP 3147): beside it, or above its __pycache__."""
    folder, name = posixpath.split(path)
    if posixpath.basename(folder) == "__pycache__":
        return posixpath.join(posixpath.dirname(folder), f"{name.split('.')[0]}.py")
    return path.removesuffix("c")


def _fingerprints(values: Mapping[str, Any], header: RpmHeader) -> Mapping[str, str]:
    """Of each value, with our own version-release as if it were the first build's."""
    texts = {name: json.dumps(value, sort_keys=True) for name, value in values.items()}
    return MappingProxyType(
        {name: fingerprint(first_build(text, header.version, header.release).encode()) for name, text in texts.items()}
    )
