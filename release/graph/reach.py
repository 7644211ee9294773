"""The graph walked with words: who follows from a change, and what a package needs, by a shortest path to each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from release.graph.edges import Edges, Row
from release.graph.hops import Hop
from release.graph.needers import Needers


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The packages that a walk from some others finds, without these. `hops` maps each to the hop by which it was
    found, `distance` to the number of hops from the start (1 is a direct dependent, or a direct input)."""

    hops: Mapping[str, Hop]
    distance: Mapping[str, int]

    def path(self, package: str) -> tuple[Hop, ...]:
        """From a changed package to `package` that follows, one of the shortest; empty where it does not follow."""
        path: list[Hop] = []
        while hop := self.hops.get(package):
            path.append(hop)
            package = hop.on
        return tuple(reversed(path))


def reach(needers: Needers, changed: Iterable[int], *, direct: bool = False) -> Reach:
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
        found = _one_rebuild_away(needers, near, seen, seen_offers)
        for number, hop in found.items():
            hops[hop.package] = hop
            distance[hop.package] = away
            seen.add(number)
        near = sorted(found)
    return Reach(hops=MappingProxyType(hops), distance=MappingProxyType(distance))


def _one_rebuild_away(needers: Needers, near: Iterable[int], seen: set[int], seen_offers: set[int]) -> dict[int, Hop]:
    """The packages outside `seen` that have an offer of `near` in their build root, with the hop to it."""
    edges = needers.edges
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
            for needer in needers.of(position):
                words = (needer.text, *through)
                if needer.build:
                    if needer.number not in seen and needer.number not in found:
                        found[needer.number] = Hop(package=names[needer.number].name, on=on, through=words)
                elif needer.number not in seen_offers:
                    seen_offers.add(needer.number)
                    behind.append((needer.number, on, words))
        waiting = behind
    return found


def inputs(edges: Edges, start: int) -> Mapping[int, Hop]:
    """The source packages in the build root of one, by number, each with the shortest way in which it gets there."""
    name = edges.packages[start].name
    found: dict[int, Hop] = {}
    seen: set[int] = set()
    waiting: deque[tuple[int, tuple[str, ...]]] = deque()
    row: Row = edges.build_row(start)
    through: tuple[str, ...] = ()
    while True:
        for text, offers in row:
            new = sorted(offers - seen)
            seen.update(new)
            waiting.extend((position, (*through, text)) for position in new)
        if not waiting:
            return found
        position, through = waiting.popleft()
        source = edges.source(position)
        if source is not None and source not in found:
            found[source] = Hop(package=name, on=edges.packages[source].name, through=through)
        row = edges.runtime_row(position)


def needs(edges: Edges, start: int, *, direct: bool = False) -> Reach:
    """All that a source package needs to be built, and what that needs; with `direct` only its own inputs."""
    hops: dict[str, Hop] = {}
    distance: dict[str, int] = {}
    near, seen, away = [start], {start}, 0
    while near and not (direct and away):
        away += 1
        found: list[int] = []
        for one in near:
            for number, hop in inputs(edges, one).items():
                if number not in seen:
                    seen.add(number)
                    found.append(number)
                    hops[hop.on], distance[hop.on] = hop, away
        near = sorted(found)
    return Reach(hops=MappingProxyType(hops), distance=MappingProxyType(distance))
