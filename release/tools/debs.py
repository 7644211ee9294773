"""Opening a .deb: its control file, and its files laid out in a folder after the usr merge, as an RPM wants them."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from release.errors import Refused
from release.source.debian import Control, Kind, PackedFile, merged, parse_control
from release.source.import_spec import Imported, alternatives
from release.tools.process import run
from release.tools.store import disk_errors

_SECONDS = 120.0
_ELFDEPS = "/usr/lib/rpm/elfdeps"
_PERL_PROVIDES = "/usr/lib/rpm/perl.prov"
# The folders ld.so looks in: only a library there is a capability that others may require.
_LIBRARY = re.compile(r"usr/lib(64|/[a-z0-9_]+-linux-gnu)?/[^/]+\.so[^/]*\Z")
_LOADER = re.compile(r"usr/lib(64)?/ld-linux[^/]*\Z")
_PERL_MODULE = re.compile(r"usr/(lib|share)/.*perl.*\.pm\Z")
_PYTHON = re.compile(r"usr/bin/python(\d\.\d+)\Z")
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_COMMAND = re.compile(r"usr(/s?bin/[^/]+)\Z")


async def read_control(deb: Path) -> Control:
    """The control file of a .deb. `Broken` when it is no .deb."""
    done = await run(["dpkg-deb", "--field", deb], seconds=_SECONDS)
    return parse_control(done.text, where=deb.name)


async def unpack(deb: Path, control: Control, root: Path) -> Imported:
    """Lay the package's files out below `root`; owners and modes are only recorded, so nobody need be root.

    `Refused` for a package that is damaged, or holds what it must not.
    """
    archive = await run(["dpkg-deb", "--fsys-tarfile", deb], seconds=_SECONDS)
    try:
        files = await asyncio.to_thread(_lay_out, archive.stdout, control.name, root)
    except tarfile.TarError as error:
        raise Refused("a package is damaged", where=deb.name, got=error) from error
    return Imported(control=control, files=files, provides=await _capabilities(files, root))


def _lay_out(archive: bytes, name: str, root: Path) -> tuple[PackedFile, ...]:
    found: dict[str, PackedFile] = {}
    with disk_errors(root), tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            path = merged(member.name)
            if _wanted(path, name):
                _write(tar, member, _inside(root, path), root)
                found[path] = _packed(member, path)
    if name == "ca-certificates":
        found[_BUNDLE] = _bundle(root)
    for path, target in alternatives(name, found).items():
        (root / path).symlink_to(target)
        found[path] = PackedFile(path=path, kind=Kind.SYMLINK, mode=0o777, owner="root", group="root")
    return tuple(found[path] for path in sorted(found))


def _bundle(root: Path) -> PackedFile:
    """All certificates in one file, where TLS libraries look: what ca-certificates' own script would make."""
    (root / _BUNDLE).parent.mkdir(parents=True, exist_ok=True)
    certificates = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    (root / _BUNDLE).write_bytes(b"".join(each.read_bytes() for each in certificates))
    return PackedFile(path=_BUNDLE, kind=Kind.FILE, mode=0o644, owner="root", group="root")


def _wanted(path: str, name: str) -> bool:
    # base-files says whose distribution this is (/etc/os-release) and makes the root: only its licence texts stay.
    return path.startswith("usr/share/") if name == "base-files" else path not in (".", "usr", "usr/lib64")


def _inside(root: Path, path: str) -> Path:
    """Where a member goes. `Refused` when a `..` in it, or a symlink on the way, would lead out of the root."""
    target = root / path
    if ".." in path.split("/") or not target.parent.resolve().is_relative_to(root.resolve()):
        raise Refused("a package's path leads out of its root", got=path)
    return target


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, root: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir() and not target.is_symlink():
        target.mkdir(exist_ok=True)
        return
    if os.path.lexists(target):  # also: writing to a symlink would write to wherever it leads
        raise Refused("two files of one name in the packages of a source", got=member.name)
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        os.link(_inside(root, merged(member.linkname)), target, follow_symlinks=False)
    elif member.isreg():
        content = tar.extractfile(member)
        assert content is not None  # noqa: S101 - tarfile's promise for a regular file
        with target.open("wb") as out:
            shutil.copyfileobj(content, out, 1 << 20)
    else:
        raise Refused("a package holds something that is no file, folder or link", got=member.name)
    os.utime(target, (member.mtime, member.mtime), follow_symlinks=False)


def _packed(member: tarfile.TarInfo, path: str) -> PackedFile:
    kind = Kind.FOLDER if member.isdir() else Kind.SYMLINK if member.issym() else Kind.FILE
    return PackedFile(
        path=path, kind=kind, mode=member.mode & 0o7777, owner=member.uname or "root", group=member.gname or "root"
    )


async def _capabilities(files: Iterable[PackedFile], root: Path) -> tuple[str, ...]:
    """What the files themselves offer: sonames, perl modules, Python's ABI, commands under their old paths."""
    paths = [file.path for file in files if file.kind is not Kind.FOLDER]
    libraries = [file.path for file in files if _LIBRARY.match(file.path) and _is_elf(root / file.path)]
    modules = [path for path in paths if _PERL_MODULE.match(path)]
    found = await _generated([_ELFDEPS, "--provides"], libraries, root)
    found += await _generated([_PERL_PROVIDES], modules, root)
    found += [f"python(abi) = {match[1]}" for match in map(_PYTHON.match, paths) if match]
    found += [match[1] for match in map(_COMMAND.match, paths) if match]
    if any(map(_LOADER.match, paths)):
        found.append("rtld(GNU_HASH)")  # nothing generates it; Fedora's glibc says it in its spec
    return tuple(dict.fromkeys(found))


def _is_elf(path: Path) -> bool:
    """Some libraries are linker scripts (libc.so), and links would only say their target's name again."""
    if path.is_symlink():
        return False
    with path.open("rb") as content:
        return content.read(4) == b"\x7fELF"


async def _generated(generator: list[str], paths: list[str], root: Path) -> list[str]:
    """The lines that one of rpm's own generators writes about files given on its standard input."""
    if not paths:
        return []
    listed = "".join(f"{root / path}\n" for path in paths)
    return (await run(generator, seconds=_SECONDS, stdin=listed.encode())).text.splitlines()
