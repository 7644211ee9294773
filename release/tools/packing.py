"""A folder as one deterministic tar stream, whoever packs it and when.

Members are sorted by their whole name, times are clamped to an epoch, owners are numbers, links to one file are found
by (device, inode) in that same order, and only the attributes that belong to the content are kept.
Source: OCI image-spec 1.1, layer.md. It also runs inside the assembly container: standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from release.errors import Broken, Misconfigured, Refused
from release.tools.tar import END_OF_ARCHIVE, Kind, Member, encode, padding

# A capability is what a file may do; everything else (security.selinux, trusted.overlay.*, system.posix_acl_*)
# describes the machine on which the tree happened to lie.
_KEPT_ATTRIBUTE = "security.capability"
_WHITEOUT = ".wh."  # layer.md, "Whiteouts": such a name deletes a file of the layer below
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MOVED = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}


class Sink(Protocol):
    """Where the stream goes."""

    def write(self, content: bytes, /) -> object:
        """Take bytes."""

    def copy(self, descriptor: int, size: int, /) -> bool:
        """Take exactly `size` bytes from an open file; False when it ends early."""


def pack(root: Path, sink: Sink, *, epoch: int) -> None:
    """Everything below `root`, but not the folder itself. `epoch` (seconds since 1970) is the newest time of a member.

    Sockets are left out: they mean nothing without the process behind them. `Refused` for a name that means a
    deletion, `Broken` for a file that changes while it is read, `Misconfigured` for one that may not be read.
    """
    with _tree_errors(root):
        for member, path in _members(root, epoch):
            _put(member, path, sink)
        sink.write(END_OF_ARCHIVE)


@contextmanager
def _tree_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise Misconfigured(
            "a file of the image may not be read",
            where=error.filename,
            hint="the tree of an image keeps its owners and modes, so packing it needs root",
        ) from error
    except OSError as error:
        if error.errno not in _MOVED:
            raise
        raise _changed(error.filename or str(root), got=error.strerror, expected="the file that was listed") from error


def _members(root: Path, epoch: int) -> Iterator[tuple[Member, str]]:
    """Every member with the path to read it from, in the order of the whole names as the archive spells them."""
    first_names: dict[tuple[int, int], bytes] = {}
    pending = _children(os.fspath(root), b"")
    while pending:
        name, path = pending.pop()
        if name.endswith(b"/"):
            pending += _children(path, name)
        member = _member(name, path, epoch, first_names)
        if member:
            yield member, path


def _children(folder: str, prefix: bytes) -> list[tuple[bytes, str]]:
    """A folder's entries as (archive name, path), last name first, because they are taken from the end."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_WHITEOUT):
                raise _means_deletion(entry.path)
            slash = b"/" if entry.is_dir(follow_symlinks=False) else b""
            found.append((prefix + os.fsencode(entry.name) + slash, entry.path))
    return sorted(found, reverse=True)


def _member(name: bytes, path: str, epoch: int, first_names: dict[tuple[int, int], bytes]) -> Member | None:
    status = os.lstat(path)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    member = Member(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind is Kind.FILE else 0,
        mtime=min(status.st_mtime_ns // 1_000_000_000, epoch),
        link=os.fsencode(os.readlink(path)) if kind is Kind.SYMLINK else b"",  # noqa: PTH115 - Path rewrites a//b
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        xattrs=_attributes(path),
    )
    if kind is Kind.FILE and status.st_nlink > 1:
        first = first_names.setdefault((status.st_dev, status.st_ino), name)
        if first != name:
            # The attributes are said again: an engine that sets the owner of a link drops the file's capability.
            return replace(member, kind=Kind.HARD_LINK, link=first, size=0)
    return member


def _attributes(path: str) -> Mapping[bytes, bytes]:
    if _KEPT_ATTRIBUTE not in os.listxattr(path, follow_symlinks=False):
        return {}
    return {_KEPT_ATTRIBUTE.encode(): os.getxattr(path, _KEPT_ATTRIBUTE, follow_symlinks=False)}


def _put(member: Member, path: str, sink: Sink) -> None:
    """Header and content; the file must be, before and after it is read, what the header says."""
    sink.write(encode(member))
    if member.kind is not Kind.FILE:
        return
    file = os.open(path, _READ)
    try:
        before = os.fstat(file)
        complete = before.st_size == member.size and sink.copy(file, member.size)
        after = os.fstat(file)
    finally:
        os.close(file)
    if not complete or _version(before) != _version(after):
        raise _changed(path, got=f"{after.st_size} bytes", expected=f"{member.size} bytes, untouched")
    sink.write(padding(member.size))


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _changed(path: str, *, got: str | None, expected: str) -> Broken:
    return Broken(
        "a file changed while it was packed",
        where=path,
        got=got,
        expected=expected,
        hint="nothing may write into a tree that is being packed; assemble it again",
    )


def _means_deletion(path: str) -> Refused:
    return Refused(
        "a file name means a deletion in an image layer",
        where=path,
        expected=f"no name that starts with {_WHITEOUT}",
        hint="leave this file out of the package that owns it",
    )
