"""Who follows from a change: the graph walked backwards, with the shortest path to each package and its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from release.source.edges import Edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step of a path: `package` has `on` in its build root through `through`, the requirements as they are
    written: the BuildRequires first, then what that package requires at run time, and so on, up to `on`."""

    package: str
    on: str
    through: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.package} needs {self.on} through {' -> '.join(self.through)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The packages that follow from some changed ones, without these. `hops` maps each to its last hop, `distance`
    to the number of packages that must be rebuilt to get there (1 is a direct dependent)."""

    hops: Mapping[str, Hop]
    distance: Mapping[str, int]

    def path(self, package: str) -> tuple[Hop, ...]:
        """From a changed package to `package`, one of the shortest; empty for a package that does not follow."""
        path: list[Hop] = []
        while hop := self.hops.get(package):
            path.append(hop)
            package = hop.on
        return tuple(reversed(path))


def reach(edges: Edges, changed: Iterable[int], *, direct: bool = False) -> Reach:
    """Everything that follows from the `changed` source packages; with `direct` only who has them in its build root.

    Breadth first: packages that are one rebuild away, then two. Equal input, equal paths.
    """
    hops: dict[str, Hop] = {}
    distance: dict[str, int] = {}
    near = sorted(set(changed))
    seen = set(near)
    seen_offers: set[int] = set()
    away = 0
    while near and not (direct and away):
        away += 1
        found = _one_rebuild_away(edges, near, seen, seen_offers)
        for number, hop in found.items():
            hops[hop.package] = hop
            distance[hop.package] = away
            seen.add(number)
        near = sorted(found)
    return Reach(hops=MappingProxyType(hops), distance=MappingProxyType(distance))


def _one_rebuild_away(edges: Edges, near: Iterable[int], seen: set[int], seen_offers: set[int]) -> dict[int, Hop]:
    """The packages outside `seen` that have an offer of `near` in their build root, with the hop to it."""
    names = edges.packages
    found: dict[int, Hop] = {}
    waiting: list[tuple[int, str, tuple[str, ...]]] = [
        (position, names[number].name, ())
        for number in near
        for position in edges.made[number]
        if position not in seen_offers
    ]
    seen_offers.update(position for position, _, _ in waiting)
    while waiting:
        behind: list[tuple[int, str, tuple[str, ...]]] = []
        for position, on, through in waiting:
            for needer in edges.needers[position]:
                words = (needer.text, *through)
                if needer.build:
                    if needer.number not in seen and needer.number not in found:
                        found[needer.number] = Hop(package=names[needer.number].name, on=on, through=words)
                elif needer.number not in seen_offers:
                    seen_offers.add(needer.number)
                    behind.append((needer.number, on, words))
        waiting = behind
    return found
