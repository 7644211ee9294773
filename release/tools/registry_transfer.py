"""Blobs over the wire: streamed up and down, restarted or resumed when the line breaks, checked before use."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import urljoin

from release.digests import checked, digest_of
from release.errors import Broken
from release.tools.registry_auth import Access
from release.tools.registry_http import Body, Call, Transient, Wire
from release.tools.store import CHUNK_BYTES, disk_errors

SMALL_BYTES = CHUNK_BYTES  # up to this size a file is sent from memory
# 404 and 416: the upload session is gone or stands elsewhere, so it starts again (distribution-spec 1.1, Pushing blobs)
_LOST_SESSION = (404, 416)


async def upload(wire: Wire, repository: str, content: bytes | Path, *, digest: str, size: int) -> None:
    """Make a blob exist in a repository. Nothing is sent when the registry has it already.

    The question costs no round trip of its own: the request that opens the upload asks to mount the digest from the
    very repository (distribution-spec 1.1, Mounting a blob), and is answered 201 by a registry that has it.
    """
    access = Access(repository=repository, push=True)
    uploads = f"/v2/{repository}/blobs/uploads/"
    opening = Call(
        method="POST",
        path=f"{uploads}?mount={digest}&from={repository}",
        access=access,
        headers={"content-length": "0"},
        expect=(201, 202),
    )

    async def attempt() -> None:
        opened = await wire.exchange(opening)
        if opened.status == 201:
            return
        location = urljoin(str(opened.url), opened.headers.get("location", ""))
        closing = Call(
            method="PUT",
            # a Location is kept as it came: its query is the registry's own state
            path=f"{location}{'&' if '?' in location else '?'}digest={digest}",
            access=access,
            headers={"content-length": str(size), "content-type": "application/octet-stream"},
            body=_body(content, size),
            expect=(201, *_LOST_SESSION),
        )
        closed = await wire.exchange(closing)
        if closed.status in _LOST_SESSION:
            raise Transient("the registry lost the upload", where=f"PUT {uploads}", got=closed.status)

    with disk_errors(content if isinstance(content, Path) else Path()):
        await wire.patiently(attempt)


async def read(wire: Wire, repository: str, digest: str, *, limit: int) -> bytes:
    """A small blob, in memory, verified; `Refused` when it is larger than `limit` bytes."""
    call = _get(repository, digest)

    async def attempt() -> bytes:
        content = (await wire.exchange(call, limit=limit)).content
        if digest_of(content) != digest:
            raise _other_bytes(call, digest_of(content), digest)
        return content

    return await wire.patiently(attempt)


async def download(wire: Wire, repository: str, digest: str, size: int, path: Path) -> None:
    """A blob into a file that appears under its name only when size and sha256 are right.

    A broken line is resumed where it broke (Range, RFC 9110, 14.2); wrong bytes are thrown away and asked for again.
    """
    checked(digest)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _Part(path, digest=digest, size=size) as part:
            await wire.patiently(lambda: _fetch(wire, repository, part))
            await asyncio.to_thread(part.keep)


async def _fetch(wire: Wire, repository: str, part: _Part) -> None:
    call = _get(repository, part.digest, start=part.received)
    async with wire.stream(call) as response:
        resumed = response.status_code == 206
        if response.status_code == 416 or (
            resumed and not response.headers.get("content-range", "").startswith(f"bytes {part.received}-")
        ):
            part.restart()
            raise Transient("the registry cannot resume a download", where=f"GET {call.path}")
        if not resumed:
            part.restart()
        async for chunk in response.aiter_raw():
            if part.received + len(chunk) > part.size:
                part.restart()
                raise _other_bytes(call, "more bytes", f"{part.size} bytes")
            part.write(chunk)
    if part.received < part.size:
        raise Transient("the download ended early", where=f"GET {call.path}", got=part.received, expected=part.size)
    if (found := part.found) != part.digest:
        part.restart()
        raise _other_bytes(call, found, part.digest)


class _Part:
    """What has arrived of a blob: a hidden file beside its target, hashed while it grows, gone unless kept."""

    def __init__(self, target: Path, *, digest: str, size: int) -> None:
        self.digest, self.size = digest, size
        self._target = target
        self._path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        self._file: BinaryIO = self._path.open("wb")
        self.restart()

    def __enter__(self) -> _Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def found(self) -> str:
        """Digest of what has arrived."""
        return f"sha256:{self._hasher.hexdigest()}"

    def restart(self) -> None:
        """Forget everything."""
        self._file.seek(0)
        self._file.truncate()
        self._hasher = hashlib.sha256()
        self.received = 0

    def write(self, chunk: bytes) -> None:
        """Append."""
        self._file.write(chunk)
        self._hasher.update(chunk)
        self.received += len(chunk)

    def keep(self) -> None:
        """Give it its name, on the disk for good."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.chmod(0o444)
        self._path.replace(self._target)


def _get(repository: str, digest: str, *, start: int = 0) -> Call:
    return Call(
        method="GET",
        path=f"/v2/{repository}/blobs/{digest}",
        access=Access(repository=repository),
        headers={"range": f"bytes={start}-"} if start else {},
        expect=(200, 206, 416) if start else (200,),
    )


def _other_bytes(call: Call, got: str, expected: str) -> Broken:
    return Transient(
        "the registry sent other bytes than asked for", where=f"GET {call.path}", got=got, expected=expected
    )


def _body(content: bytes | Path, size: int) -> Body:
    """A request body that can be made again for each try."""
    if isinstance(content, bytes):
        return lambda: content
    return content.read_bytes if size <= SMALL_BYTES else lambda: _chunks(content)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
