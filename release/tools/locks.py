"""A lock between processes of one machine that a killed holder cannot keep: flock(2) on a file."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from release.errors import Broken

POLL_SECONDS = 0.05


@asynccontextmanager
async def hold(path: Path, *, seconds: float) -> AsyncIterator[None]:
    """Hold the lock of a file while the block runs; `Broken` when somebody else holds it longer than `seconds`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            async with asyncio.timeout(seconds):
                while not _taken(handle):  # noqa: ASYNC110 - the holder is another process, which sets no event of ours
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise Broken(
                "a lock is held by another process", where=str(path), got=f"still after {seconds:g} s"
            ) from error
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
