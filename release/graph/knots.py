"""Packages that reach each other, and levels: the order of building in a graph that may have circles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from release.graph.components import components


@dataclass(frozen=True, slots=True, kw_only=True)
class Knot:
    """Source packages that reach each other (mostly a single one), their level from 0, and whether they are `tied`:
    there are several, or the single one reaches itself."""

    members: tuple[int, ...]
    level: int
    tied: bool


def knots_in(successors: Sequence[Sequence[int]], sources: int) -> Iterator[Knot]:
    """The knots of a graph whose first `sources` nodes are source packages, needed ones first; the other nodes are
    binary packages between them, which count for no level. No node points to itself."""
    level = [-1] * len(successors)
    for component in components(successors):
        members = tuple(each for each in component if each < sources)
        below = max((level[each] for node in component for each in successors[node]), default=-1)
        for node in component:
            level[node] = below + bool(members)
        if members:
            yield Knot(members=members, level=below + 1, tied=len(component) > 1)
