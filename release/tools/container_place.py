"""A sealed place with the toolchain's own rpm: a container of its image. Apart, because a forecast loads no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from release.tools.containers import Containers
from release.tools.sealed import Ended, Limits, Sealed

LOG_BYTES = 256 << 20
_NOBODY = "65534:65534"


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
