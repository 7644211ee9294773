"""Which tags follow from a pointer and its release, in which order they move, and where the registry differs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from release.channel.channels import Channel
from release.errors import Refused
from release.product.releases import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A tag of a repository and the digest that it shall name."""

    repository: str
    tag: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A tag that names something else than git says; `got` None when it is missing."""

    move: Move
    got: str | None

    def message(self) -> str:
        """One sentence for a report."""
        return f"{self.move.repository}:{self.move.tag} is {self.got or 'missing'}, git says {self.move.digest}"


def alias_moves(release: Release, *, alias: str, releases_repository: str) -> tuple[Move, ...]:
    """The immutable tags of a release: its alias on the snapshot, on each image, on the release itself, which is last
    so that a release which can be found by name is complete."""
    return _named(release, tag=alias, releases_repository=releases_repository)


def channel_moves(channel: Channel, release: Release, *, releases_repository: str) -> tuple[Move, ...]:
    """The tags of a channel that points at `release`, in the order in which they move.

    The snapshot goes first, so that an image never names packages which cannot be had; the release goes last: who
    follows it sees the old release or the whole new one. `Refused` when the pointer names another release.
    """
    got = channel.current.digest if channel.current else None
    if got != release.digest:
        raise Refused(
            "the pointer names another release", where=f"channel {channel.channel!r}", got=got, expected=release.digest
        )
    return _named(release, tag=channel.channel, releases_repository=releases_repository)


def refuse_unproven(moves: Iterable[Move], *, proven: Container[str]) -> None:
    """No tag ever names a digest that is not signed and verified: `Refused` naming the first such move."""
    for move in moves:
        if move.digest not in proven:
            raise Refused(
                "a tag would name an unproven digest",
                where=f"{move.repository}:{move.tag}",
                got=move.digest,
                expected="a digest whose signature was verified",
            )


def drift(wished: Iterable[Move], facts: Mapping[tuple[str, str], str | None]) -> tuple[Drift, ...]:
    """The moves that bring the registry back to what git says, in their order.

    `facts` maps (repository, tag) to the digest that the registry resolved, None where there is no such tag.
    `Refused` for a tag that nobody looked up: unknown is not in order.
    """
    found = []
    for move in wished:
        place = (move.repository, move.tag)
        if place not in facts:
            raise Refused(
                "a tag was not looked up", where=":".join(place), expected="its digest, or that it is missing"
            )
        if facts[place] != move.digest:
            found.append(Drift(move=move, got=facts[place]))
    return tuple(found)


def _named(release: Release, *, tag: str, releases_repository: str) -> tuple[Move, ...]:
    digests = {release.rpms_repository: release.snapshot.digest}
    digests |= {image.repository: image.digest for image in release.images}
    digests[releases_repository] = release.digest
    if len(digests) != len(release.images) + 2:
        raise Refused(
            "two things in one repository would share a tag",
            where=tag,
            got=", ".join(digests),
            expected="a repository each for packages, every image and releases",
        )
    return tuple(Move(repository=each, tag=tag, digest=digest) for each, digest in digests.items())
