"""Sealed containers: one program in each, no network, bounded in everything, and gone when it ends, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TypeVar
from uuid import uuid4

from release.tools.engine import Engine
from release.tools.sealed import Ended, Exceeded, Sealed, Tail

T = TypeVar("T")
_THREADS = 64  # each running container holds one, which only waits


class Containers:
    """Runs sealed containers on the Docker engine at `url` (`unix:///...`). A context manager: close it when done."""

    def __init__(self, url: str) -> None:
        self._engine = Engine(url)
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="container")
        self._running: dict[str, Event] = {}

    async def has_image(self, name: str) -> bool:
        """Whether the engine holds an image of this name (`repository:tag`)."""
        return await self._away(lambda: self._engine.has_image(name))

    async def import_root(self, tar: Path, name: str) -> None:
        """Make an image of one layer, called `name`, from an uncompressed tar; it appears complete or not at all."""
        await self._away(lambda: self._engine.import_tar(tar, name))

    async def remove_strays(self) -> tuple[str, ...]:
        """Remove the containers of processes of this host that were killed; the names of the removed."""
        return await self._away(self._engine.remove_strays)

    async def run(self, sealed: Sealed) -> Ended:
        """Run to the end; the container is removed in every case, also when the caller is cancelled.

        `Exceeded` names the limit (time, memory) that ended it; `Broken` when somebody or something else did.
        """
        name, stop, log = f"slipway-{uuid4().hex[:16]}", Event(), Tail(sealed.log_bytes)
        self._running[name] = stop
        living = self._away(lambda: self._engine.live(sealed, name, log, stop))
        try:
            async with asyncio.timeout(sealed.limits.seconds):
                return await asyncio.shield(living)
        except TimeoutError:
            raise Exceeded(
                "out of time: the container was ended",
                log=log.content(),
                got=f"still running after {sealed.limits.seconds:g} s",
                hint="raise its time limit, or see in the log what it was waiting for",
            ) from None
        finally:
            if not living.done():
                await asyncio.shield(self._away(lambda: self._end(name)))
                await asyncio.wait([living])
                living.exception()  # of a container we ended ourselves: nobody else will ask for it
            self._running.pop(name)

    def close(self) -> None:
        """End what still runs, and let go of the engine."""
        for name in tuple(self._running):
            self._end(name)
        self._threads.shutdown(wait=True)
        self._engine.close()

    def __enter__(self) -> Containers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _end(self, name: str) -> None:
        self._running[name].set()
        self._engine.remove(name)

    def _away(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """A blocking call in a thread of our own: asyncio's few are shared, and a waiting build would take one each."""
        return asyncio.get_running_loop().run_in_executor(self._threads, call)
