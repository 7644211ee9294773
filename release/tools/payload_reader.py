"""Runs as a process of its own: streams the payloads of RPM files, and answers with a reading of each file asked for.

What an upstream's build made is unpacked and taken apart here, by libraries in C too: a crash, a bomb or a loop ends
with this process and its limits. Standard input: `{"rpms": [{"path", "offset", "compressor", "digest", "sizes": {path:
bytes}, "wanted": {path: sha256 or ""}}]}`; a line of JSON for each: `{"readings": {path: {...}}}` or `{"error": text}`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import mmap
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import libarchive
from libarchive.exception import ArchiveError

from release.tools.normalising import Budget, reading

MEGABYTES = 1024  # of memory of its own: large files are mapped, which is not counted
MEMORY_BYTES = 32 << 20  # a larger file is spooled to disk, and mapped
CHUNK_BYTES = 1 << 20
# The names that rpm gives the compressors of payloads, and libarchive's filters for them.
COMPRESSORS = {"": "none", "gzip": "gzip", "bzip2": "bzip2", "xz": "xz", "lzma": "lzma", "zstd": "zstd"}


class Bad(Exception):
    """This RPM file is not what it says; the message is for people."""


def main() -> None:
    """Answer for each RPM."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))
    for rpm in json.load(sys.stdin)["rpms"]:
        try:
            answer: dict[str, Any] = {"readings": read(**rpm)}
        except (Bad, ArchiveError, OSError, MemoryError) as error:
            answer = {"error": str(error) or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def read(
    path: str, offset: int, compressor: str, digest: str, sizes: dict[str, int], wanted: dict[str, str]
) -> dict[str, Any]:
    """The readings of the wanted files. `Bad` when the payload is not the one that the header names and describes."""
    found: dict[str, Any] = {}
    budget = Budget()
    for name, content in contents(path, offset, compressor, digest, sizes, wanted):
        found[name] = dataclasses.asdict(reading(name, content, budget))
    return found


def contents(
    path: str, offset: int, compressor: str, digest: str, sizes: dict[str, int], wanted: dict[str, str]
) -> Iterator[tuple[str, memoryview]]:
    """Each of the wanted files with its content, which is gone when the next one is asked for. `Bad` as in `read`."""
    with Path(path).open("rb") as file:
        if digest:
            _check_digest(file, offset, digest)
        if not wanted:
            return
        if compressor not in COMPRESSORS:
            raise Bad(f"a payload compressed with {compressor}, which is not known here")
        os.lseek(file.fileno(), offset, os.SEEK_SET)
        with libarchive.fd_reader(file.fileno(), "cpio", COMPRESSORS[compressor]) as entries:
            yield from _wanted(entries, sizes, wanted)


def _check_digest(file: BufferedReader, offset: int, digest: str) -> None:
    """The header, whose digest rpm has checked, names the digest of the payload: then it is whole."""
    file.seek(offset)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise Bad(f"the payload is damaged or cut short: its sha256 is {found}, the header says {digest}")


def _wanted(entries: Any, sizes: dict[str, int], wanted: dict[str, str]) -> Iterator[tuple[str, memoryview]]:
    found: set[str] = set()
    count = 0
    for entry in entries:
        count += 1
        path = _path(entry.pathname)
        size = entry.size or 0
        # Hard links: all but the last of the names come without content.
        if count > 2 * len(sizes) + 1000 or size > sizes.get(path, 0 if entry.isreg else size):
            raise Bad(f"the payload holds more than the header says, at {path}")
        if path not in wanted or (not size and sizes[path]):
            continue
        with _content(entry, size) as content:
            _check(path, content, wanted[path])
            yield path, content
        found.add(path)
        if len(found) == len(wanted):
            break


def _path(name: str | bytes | None) -> str:
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name or ""
    return "/" + text.removeprefix(".").lstrip("/")


def _check(path: str, content: memoryview, digest: str) -> None:
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise Bad(f"the content of {path} is not what the header says")


@contextmanager
def _content(entry: Any, size: int) -> Iterator[memoryview]:
    """The bytes of an entry: in memory, or, where they are many, in a file that is mapped."""
    if size <= MEMORY_BYTES:
        buffer = bytearray()
        for block in entry.get_blocks(CHUNK_BYTES):
            buffer += block
            if len(buffer) > size:
                raise Bad("the payload holds more than it says")
        yield memoryview(buffer).toreadonly()
        return
    with tempfile.TemporaryFile() as spool:
        for block in entry.get_blocks(CHUNK_BYTES):
            spool.write(block)
            if spool.tell() > size:
                raise Bad("the payload holds more than it says")
        spool.flush()
        with mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            yield view


if __name__ == "__main__":
    main()
