"""A folder becomes an image layer: one deterministic tar stream, compressed and hashed in the same pass.

Equal trees give equal bytes whoever packs them and when: members are sorted by their whole name, times are clamped
to an epoch, owners are numbers, links to one file are found by (device, inode) in that same order, and only
attributes that belong to the content are kept. Source: OCI image-spec 1.1, layer.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import zstandard
from isal import isal_zlib

from release.errors import Broken, Refused
from release.images import Compression, Layer
from release.tools.store import disk_errors
from release.tools.tar import END_OF_ARCHIVE, Kind, Member, encode, padding

BUFFER_BYTES = 1 << 20
_GZIP_WINDOW = 31  # zlib.h, deflateInit2: 15 bits of window, and 16 to ask for gzip; the header's time stays zero
# A capability is what a file may do; everything else (security.selinux, trusted.overlay.*, system.posix_acl_*)
# describes the machine on which the tree happened to lie.
_KEPT_ATTRIBUTE = b"security.capability"
_WHITEOUT = b".wh."  # layer.md, "Whiteouts": such a name deletes a file of the layer below
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC

Progress = Callable[[int], None]


def write_layer(
    root: Path,
    out: Path,
    *,
    epoch: int,
    compression: Compression = Compression.GZIP,
    progress: Progress | None = None,
) -> Layer:
    """Pack everything below `root` (not the folder itself) into the file `out`, which appears complete or not at all.

    `epoch` (seconds since 1970) is the newest time any member may have. `progress` is told the uncompressed bytes
    so far, once per MiB. Sockets are left out: they mean nothing without the process behind them. `Refused` for a
    name that means a deletion, `Broken` for a file that changes while it is read and for a failing disk.
    Blocking: an async caller uses a thread.
    """
    part = out.with_name(f"{out.name}.part")
    try:
        with disk_errors(out), part.open("wb", buffering=0) as file:
            sink = _Sink(file.write, _compressor(compression), progress)
            for member, path in _members(os.fsencode(root), epoch):
                _put(member, path, sink)
            sink.write(END_OF_ARCHIVE)
            layer = sink.finish(compression)
        with disk_errors(out):
            part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return layer


def _members(root: bytes, epoch: int) -> Iterator[tuple[Member, bytes]]:
    """Every member with the path to read it from, in the order of the whole names as the archive spells them."""
    first_names: dict[tuple[int, int], bytes] = {}
    pending = _children(root, b"")
    while pending:
        name, entry = pending.pop()
        if name.endswith(b"/"):
            pending += _children(entry.path, name)
        member = _member(name, entry.path, epoch, first_names)
        if member:
            yield member, entry.path


def _children(folder: bytes, prefix: bytes) -> list[tuple[bytes, os.DirEntry[bytes]]]:
    """A folder's entries by archive name, last name first, because they are taken from the end."""
    with os.scandir(folder) as entries:
        found = [(prefix + each.name + b"/" * each.is_dir(follow_symlinks=False), each) for each in entries]
    for name, entry in found:
        if entry.name.startswith(_WHITEOUT):
            raise Refused(
                "a file name means a deletion in an image layer",
                where=os.fsdecode(entry.path),
                got=os.fsdecode(name),
                expected="no name that starts with .wh.",
                hint="leave this file out of the package that owns it",
            )
    return sorted(found, key=lambda each: each[0], reverse=True)


_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}


def _member(name: bytes, path: bytes, epoch: int, first_names: dict[tuple[int, int], bytes]) -> Member | None:
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
        link=os.readlink(path) if kind is Kind.SYMLINK else b"",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        xattrs=_attributes(path),
    )
    if kind is Kind.FILE and status.st_nlink > 1:
        first = first_names.setdefault((status.st_dev, status.st_ino), name)
        if first != name:
            # The attributes are said again: an engine that sets the owner of a link drops the file's capability.
            return replace(member, kind=Kind.HARD_LINK, link=first, size=0)
    return member


def _attributes(path: bytes) -> Mapping[bytes, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    if _KEPT_ATTRIBUTE.decode() not in names:
        return {}
    return {_KEPT_ATTRIBUTE: os.getxattr(path, _KEPT_ATTRIBUTE, follow_symlinks=False)}


def _put(member: Member, path: bytes, sink: _Sink) -> None:
    """Header and content. The file is compared with what the header promised before and after it is read."""
    if member.kind is not Kind.FILE:
        sink.write(encode(member))
        return
    file = os.open(path, _READ)
    try:
        before = os.fstat(file)
        sink.write(encode(member))
        complete = before.st_size == member.size and sink.copy(file, member.size)
        after = os.fstat(file)
    finally:
        os.close(file)
    if not complete or _version(before) != _version(after):
        raise Broken(
            "a file changed while it was packed",
            where=os.fsdecode(path),
            got=f"{after.st_size} bytes, changed at {after.st_mtime_ns} ns",
            expected=f"{member.size} bytes, changed at {before.st_mtime_ns} ns",
            hint="nothing may write into a tree that is being packed; assemble it again",
        )
    sink.write(padding(member.size))


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


class _Compressor(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor(compression: Compression) -> _Compressor:
    """One thread each, because the bytes that more threads make differ (measured for zstd 3)."""
    if compression is Compression.ZSTD:
        zstd: _Compressor = zstandard.ZstdCompressor(level=3).compressobj()
        return zstd
    gzip: _Compressor = isal_zlib.compressobj(1, wbits=_GZIP_WINDOW)
    return gzip


class _Sink:
    """One buffer between many small writes and the two hashes, the compressor and the file."""

    def __init__(
        self, write: Callable[[bytes], int | None], compressor: _Compressor, progress: Progress | None
    ) -> None:
        self._write, self._compressor, self._progress = write, compressor, progress
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._fill = 0
        self._plain, self._packed = hashlib.sha256(), hashlib.sha256()
        self._plain_bytes = self._packed_bytes = 0

    def write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            count = min(len(rest), BUFFER_BYTES - self._fill)
            self._buffer[self._fill : self._fill + count] = rest[:count]
            self._advance(count)
            rest = rest[count:]

    def copy(self, file: int, size: int) -> bool:
        """Take exactly `size` bytes from an open file; False when it ends early."""
        while size:
            count = os.readv(file, [self._buffer[self._fill : self._fill + size]])
            if not count:
                return False
            self._advance(count)
            size -= count
        return True

    def finish(self, compression: Compression) -> Layer:
        self._drain()
        self._emit(self._compressor.flush())
        return Layer(
            diff_id=f"sha256:{self._plain.hexdigest()}",
            digest=f"sha256:{self._packed.hexdigest()}",
            size=self._packed_bytes,
            compression=compression,
        )

    def _advance(self, count: int) -> None:
        self._fill += count
        if self._fill == BUFFER_BYTES:
            self._drain()

    def _drain(self) -> None:
        full = self._buffer[: self._fill]
        self._plain.update(full)
        self._plain_bytes += self._fill
        self._emit(self._compressor.compress(full))
        self._fill = 0
        if self._progress:
            self._progress(self._plain_bytes)

    def _emit(self, packed: bytes) -> None:
        self._packed.update(packed)
        self._packed_bytes += len(packed)
        rest = memoryview(packed)
        while rest:
            rest = rest[self._write(rest) or 0 :]
