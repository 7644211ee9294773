"""Contents of files without what differs from build to build: times, build ids, and the work of a compressor."""

from __future__ import annotations

import bz2
import lzma
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, cast

import zstandard
from isal import igzip

from release.interfaces.file_kinds import ElfType
from release.interfaces.fingerprints import Parts, fingerprint
from release.tools.elf import read_elf
from release.tools.elf_tables import NotElf
from release.tools.view_stream import ViewStream

CHUNK_BYTES = 1 << 20
LIMIT_INNER_BYTES = 8 << 30
LIMIT_WINDOW_BYTES = 128 << 20
LIMIT_MEMBERS = 1 << 20
_PYC_HEADER = 16  # PEP 552: magic, flags, and then time and size of the source


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The fingerprint of a normalised content, and, of an ELF file, what it is and what it exports."""

    content: str
    elf: ElfType | None = None
    soname: str = ""
    exports: tuple[str, ...] = ()


class Budget:
    """How many bytes may still come out of the compressed files of one package; what is beyond counts as it is."""

    def __init__(self, limit: int = LIMIT_INNER_BYTES) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Note that `count` bytes came out; `ValueError` when they are too many."""
        self._left -= count
        if self._left < 0:
            raise ValueError("too much inside")


def reading(path: str, content: memoryview, budget: Budget) -> Reading:
    """The reading of a file by its first bytes (of a .pyc, by its name). Whatever is broken counts by its bytes."""
    start = bytes(content[:8])
    if start.startswith(b"\x7fELF"):
        try:
            facts = read_elf(path, content)
        except NotElf:
            return Reading(content=raw(content))
        return Reading(content=facts.content, elf=facts.type, soname=facts.soname, exports=facts.exports)
    reader = next((read for magic, read in _READERS if start.startswith(magic)), None)
    if reader is None and path.endswith(".pyc"):
        reader = _bytecode
    try:
        return Reading(content=reader(content, budget) if reader else raw(content))
    except Exception:  # foreign libraries on foreign bytes: whatever they raise means the same
        return Reading(content=raw(content))


def raw(content: memoryview) -> str:
    """The fingerprint of the bytes as they are: equal to rpm's own sha256 of the file."""
    return fingerprint(content)


def _unpacked(pieces: Callable[[memoryview], Iterator[bytes]]) -> Callable[[memoryview, Budget], str]:
    """Of a compressed file: what is inside, and what kind of compressor whoever unpacks it must have."""

    def read(content: memoryview, budget: Budget) -> str:
        parts = Parts()
        parts.add(content[:2])
        _take(pieces(content), parts, budget)
        return parts.end()

    return read


def _take(pieces: Iterator[bytes], parts: Parts, budget: Budget) -> None:
    """Count pieces as one stream: the length of each part is hashed, and libraries cut where they like."""
    held = bytearray()
    for piece in pieces:
        budget.take(len(piece))
        held += piece
        while len(held) >= CHUNK_BYTES:
            parts.add(bytes(held[:CHUNK_BYTES]))
            del held[:CHUNK_BYTES]
    parts.add(bytes(held))


def _streamed(opened: Callable[[IO[bytes]], Any]) -> Callable[[memoryview], Iterator[bytes]]:
    """Pieces from a library that reads a file to its very end, and complains of what does not belong there."""

    def pieces(content: memoryview) -> Iterator[bytes]:
        with opened(cast(IO[bytes], ViewStream(content))) as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece

    return pieces


def _restarted(made: Callable[[], Any]) -> Callable[[memoryview], Iterator[bytes]]:
    """Pieces from a library whose own files stop silently at what does not belong there (lzma, bz2)."""

    def pieces(content: memoryview) -> Iterator[bytes]:
        chunks = (bytes(content[at : at + CHUNK_BYTES]) for at in range(0, len(content), CHUNK_BYTES))
        rest = next(chunks, b"")
        while rest:
            unpacker = made()
            while not unpacker.eof:
                if unpacker.needs_input and not rest:
                    raise EOFError
                yield unpacker.decompress(rest if unpacker.needs_input else b"", CHUNK_BYTES)
                if unpacker.needs_input:
                    rest = next(chunks, b"")
            rest = unpacker.unused_data or next(chunks, b"")

    return pieces


def _bytecode(content: memoryview, _budget: Budget) -> str:
    if len(content) < _PYC_HEADER or any(content[4:8]):  # checked by hash: no time in it
        return raw(content)
    parts = Parts()
    parts.add(content[:4], content[12:])
    return parts.end()


def _ar(content: memoryview, _budget: Budget) -> str:
    """Members of an archive with name and content, without time, owner and mode (ar.h)."""
    parts = Parts()
    at = 8
    for header, body, end in _ar_members(content):
        parts.add(header[:16], body)
        at = end
    parts.add(content[at:])
    return parts.end()


def members_of_ar(content: memoryview) -> dict[str, memoryview]:
    """The members of an archive by name, those of one name numbered; `ValueError` for a broken one."""
    found: dict[str, memoryview] = {}
    for header, body, _ in _ar_members(content):
        name = header[:16].decode("utf-8", "backslashreplace").rstrip().rstrip("/") or "/"
        found[f"{name} ({len(found)})" if name in found else name] = body
    return found


def _ar_members(content: memoryview) -> Iterator[tuple[bytes, memoryview, int]]:
    """The header of each member, its content, and where the next one begins."""
    at = 8
    while at + 60 <= len(content):
        header = bytes(content[at : at + 60])
        size = int(header[48:58])
        if header[58:] != b"`\n" or size < 0 or at + 60 + size > len(content):
            raise ValueError("not a member")
        body = content[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
        yield header, body, at


def _zip(content: memoryview, budget: Budget) -> str:
    """Members with name, mode and content, in their order, without times."""
    parts = Parts()
    with zipfile.ZipFile(cast(IO[bytes], ViewStream(content))) as archive:
        members = archive.infolist()
        if len(members) > LIMIT_MEMBERS:
            raise ValueError("too many members")
        parts.add(archive.comment)
        for member in members:
            parts.add(member.filename, member.external_attr)
            with archive.open(member) as file:
                _take(iter(partial(file.read, CHUNK_BYTES), b""), parts, budget)
    return parts.end()


def _zstd(file: IO[bytes]) -> Any:
    unpacker = zstandard.ZstdDecompressor(max_window_size=LIMIT_WINDOW_BYTES)
    return unpacker.stream_reader(file, read_across_frames=True)


def _gzip(file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], igzip.open(file, "rb"))  # type: ignore[no-untyped-call]  # isal ships half its types


_COMPRESSED: tuple[tuple[bytes, Callable[[memoryview], Iterator[bytes]]], ...] = (
    (b"\x1f\x8b", _streamed(_gzip)),
    (b"\xfd7zXZ\0", _restarted(lzma.LZMADecompressor)),
    (b"BZh", _restarted(bz2.BZ2Decompressor)),
    (b"\x28\xb5\x2f\xfd", _streamed(_zstd)),
)
_READERS: tuple[tuple[bytes, Callable[[memoryview, Budget], str]], ...] = (
    *((magic, _unpacked(pieces)) for magic, pieces in _COMPRESSED),
    (b"!<arch>\n", _ar),
    (b"PK\x03\x04", _zip),
)


def unpacked(content: memoryview, limit: int) -> bytes | None:
    """The first `limit` bytes of what is inside a compressed file, None of any other; foreign errors come through."""
    pieces = next((read for magic, read in _COMPRESSED if content[: len(magic)] == magic), None)
    if pieces is None:
        return None
    found = bytearray()
    for piece in pieces(content):
        found += piece
        if len(found) >= limit:
            break
    return bytes(found[:limit])
