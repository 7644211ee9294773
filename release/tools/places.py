"""Places where untrusted specs are read: no network, nothing to write to, nobody's user, limits, gone at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from release.tools.sealed import Ended, Limits, Sealed

if TYPE_CHECKING:
    from release.tools.containers import Containers  # with it comes the engine's client, which a forecast need not pay

LOG_BYTES = 256 << 20
_NOBODY = "65534:65534"


class Place(Protocol):
    """Where the reader of specs runs. `own_user`: nobody else's processes count with those of this place."""

    own_user: bool

    async def identity(self) -> str:
        """Names the place's rpm with the macros that it brings, by content: a part of the key of all facts."""

    async def run(
        self, argv: Sequence[str], *, reads: Mapping[str, Path], environment: Mapping[str, str], seconds: float
    ) -> Ended:
        """Run a program to its end, alone in its process namespace. `reads` maps paths of the place to
        folders, mounted read-only."""


class InContainer:
    """The toolchain's own rpm, in a container of its image, which is named by its content."""

    own_user = False

    def __init__(self, containers: Containers, image: str) -> None:
        self._containers = containers
        self._image = image

    async def identity(self) -> str:
        """The image: nothing else is in the container."""
        return self._image

    async def run(
        self, argv: Sequence[str], *, reads: Mapping[str, Path], environment: Mapping[str, str], seconds: float
    ) -> Ended:
        """See `Place`; `Broken`, `Misconfigured` and `Exceeded` as `Containers.run` says."""
        return await self._containers.run(
            Sealed(
                image=self._image,
                argv=tuple(argv),
                reads=reads,
                environment=environment,
                user=_NOBODY,
                limits=Limits(memory=2 << 30, pids=256, seconds=seconds),
                log_bytes=LOG_BYTES,
            )
        )
