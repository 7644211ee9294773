"""Bytes on their way into a file: hashed, compressed and hashed again in one pass, through one buffer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from io import FileIO
from typing import Protocol

import zstandard
from isal import isal_zlib

from release.product.images import Compression, Layer

BUFFER_BYTES = 1 << 20
_GZIP_WINDOW = 31  # zlib.h, deflateInit2: 15 bits of window, and 16 to ask for gzip, whose header keeps time zero

Progress = Callable[[int], None]


class CompressingSink:
    """Takes many small writes and whole files; memory stays at the buffer, whatever the size of either."""

    def __init__(self, file: FileIO, compression: Compression, progress: Progress | None) -> None:
        self._file, self._compression, self._progress = file, compression, progress
        self._compressor = _compressor(compression)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._fill = 0
        self._plain, self._packed = hashlib.sha256(), hashlib.sha256()
        self._plain_bytes = self._packed_bytes = 0

    def write(self, content: bytes) -> None:
        """Take bytes."""
        rest = memoryview(content)
        while rest:
            count = min(len(rest), BUFFER_BYTES - self._fill)
            self._buffer[self._fill : self._fill + count] = rest[:count]
            self._advance(count)
            rest = rest[count:]

    def copy(self, descriptor: int, size: int) -> bool:
        """Take exactly `size` bytes from an open file; False when it ends early."""
        while size:
            count = os.readv(descriptor, [self._buffer[self._fill : self._fill + size]])
            if not count:
                return False
            self._advance(count)
            size -= count
        return True

    def finish(self) -> None:
        """Write what is still held back."""
        self._drain()
        self._emit(self._compressor.flush())

    def layer(self) -> Layer:
        """What was written; complete after `finish`."""
        return Layer(
            diff_id=f"sha256:{self._plain.hexdigest()}",
            digest=f"sha256:{self._packed.hexdigest()}",
            size=self._packed_bytes,
            compression=self._compression,
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
            rest = rest[self._file.write(rest) or 0 :]


class _Compressor(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor(compression: Compression) -> _Compressor:
    """One thread each, because the bytes that several threads make differ (measured for zstd 3)."""
    if compression is Compression.ZSTD:
        zstd: _Compressor = zstandard.ZstdCompressor(level=3).compressobj()
        return zstd
    gzip: _Compressor = isal_zlib.compressobj(1, wbits=_GZIP_WINDOW)
    return gzip
