"""What a gateway answers: a path below a channel becomes the blob behind it, for this snapshot and the last few.

A client that read yesterday's repomd.xml still asks for yesterday's hashed metadata and packages; those names never
change their content, so serving the last snapshots merged serves everybody. repomd.xml and its signature are the
newest ones only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from release.product.repository import REPOMD, REPOMD_DIRECT, REPOMD_SIGNATURE, Files

SNAPSHOTS = 5
_MOVING = tuple(f"/{path}" for path in (REPOMD, REPOMD_SIGNATURE, REPOMD_DIRECT))
_IMMUTABLE_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a path leads: the blob's digest and size, and how long a cache may remember that."""

    digest: str
    size: int
    moving: bool

    @property
    def cache_control(self) -> str:
        """The Cache-Control header (RFC 9111, 5.2.2): a moving name is asked for each time, others never change."""
        return "no-cache" if self.moving else f"public, max-age={_IMMUTABLE_SECONDS}, immutable"


Routes = Mapping[str, Route]


def routes(snapshots: Iterable[Files]) -> Routes:
    """Paths of a channel (`x86_64/repodata/repomd.xml`) over its snapshots, newest first; later ones only add."""
    merged: dict[str, Route] = {}
    for age, files in enumerate(list(snapshots)[:SNAPSHOTS]):
        for path, file in files.items():
            moving = path.endswith(_MOVING)
            if age == 0 or not moving:
                merged.setdefault(path, Route(digest=file.digest, size=file.size, moving=moving))
    return MappingProxyType(merged)


def find(channels: Mapping[str, Routes], path: str) -> Route | None:
    """The route of `/<channel>/<path>`, None for what no snapshot of the channel holds. Nothing is resolved or
    normalised: a path is a key or it is not."""
    channel, _, rest = path.removeprefix("/").partition("/")
    return channels.get(channel, {}).get(rest)
