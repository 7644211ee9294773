"""What two packages of one tree both make: each is legal for rpm, and nearly always a mistake of a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from release.source.providers import Providers


class Twice(StrEnum):
    """What is made twice."""

    BINARY = "binary package"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A binary package or a file that several source packages make. `makers` are `source: name-evr`, sorted."""

    kind: Twice
    name: str
    makers: tuple[str, ...]

    @property
    def subject(self) -> tuple[str, ...]:
        """What it is about, whatever the versions are: kind, name, and the source packages."""
        return (self.kind, self.name, *(each.partition(":")[0] for each in self.makers))

    def __str__(self) -> str:
        consequence = "the newest that fits is used" if self.kind is Twice.BINARY else "both cannot be installed"
        return f"the {self.kind} {self.name} is made by {' and by '.join(self.makers)}: {consequence}"


def findings(providers: Providers) -> tuple[Finding, ...]:
    """Every binary package and every listed path that more than one source package of the tree makes, sorted."""
    return tuple(_all(providers))


def _all(providers: Providers) -> Iterator[Finding]:
    for kind, found in ((Twice.BINARY, providers.makers), (Twice.FILE, providers.owners)):
        for name in sorted(found):
            offers = [providers.offers[each] for each in found[name]]
            makers = {f"{each.source}: {each.binary.name}-{each.binary.evr}" for each in offers}
            yield Finding(kind=kind, name=name, makers=tuple(sorted(makers)))
