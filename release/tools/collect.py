"""Files that come out of a container as a tar stream: regular files only, and only below the folder meant for them."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from release.errors import Broken
from release.tools.store import disk_errors

_BUFFER = 1 << 20


def collect(chunks: Iterable[bytes], folder: str, target: Path) -> None:
    """Write the regular files of the archive of a container's `folder` below `target`.

    What ran in the container made this archive: links, devices and paths that lead out are not believed.
    """
    reader = io.BufferedReader(_Chunks(chunks), _BUFFER)
    with _errors(target), tarfile.open(fileobj=reader, mode="r|", bufsize=_BUFFER) as tar:
        for member in tar:
            parts = Path(member.name).parts
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or parts[0] != Path(folder).name or ".." in parts:
                continue
            path = target.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                shutil.copyfileobj(content, out, _BUFFER)


@contextmanager
def _errors(target: Path) -> Iterator[None]:
    try:
        with disk_errors(target):
            yield
    except tarfile.TarError as error:
        raise Broken("what a container made did not arrive whole", where=str(target), got=error) from error


class _Chunks(io.RawIOBase):
    """An iterable of byte strings as a readable stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
