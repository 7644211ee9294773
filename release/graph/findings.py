"""What two packages of one tree both make: each is legal for rpm, and nearly always a mistake of a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from release.graph.providers import Providers


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


def findings(providers: Providers, sources: Collection[str] | None = None) -> tuple[Finding, ...]:
    """Every binary package and every listed path that more than one source package of the tree makes, sorted; with
    `sources` only what one of these has a part in."""
    made = [
        each for each in providers.offers if each.source is not None and (sources is None or each.source in sources)
    ]
    names = {each.binary.name for each in made} & providers.makers.keys()
    paths = {path for each in made for path in each.binary.files}
    return (
        *(_finding(providers, Twice.BINARY, name, providers.makers[name]) for name in sorted(names)),
        *(
            _finding(providers, Twice.FILE, path, owners)
            for path in sorted(paths)
            if (owners := providers.owners(path))
        ),
    )


def _finding(providers: Providers, kind: Twice, name: str, positions: Iterable[int]) -> Finding:
    offers = [providers.offers[each] for each in positions]
    makers = {f"{each.source}: {each.binary.name}-{each.binary.evr}" for each in offers}
    return Finding(kind=kind, name=name, makers=tuple(sorted(makers)))
