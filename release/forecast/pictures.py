"""Which packages and which lines a picture of the graph has: those of one package and of who follows from it."""

from __future__ import annotations

from collections.abc import Iterator

from release.forecast.drawing import Edge, Mark, Node, draw
from release.forecast.words import count, hop_words
from release.graph.graph import Graph
from release.graph.hops import Hop
from release.graph.reach import Reach

_FEW = 60  # packages whose lines can all be told apart


def picture(graph: Graph, package: str, found: Reach, *, backwards: bool, depth: int | None = None) -> str:
    """An SVG of the tree with `package` and all that `found` reaches, or, with a `depth`, of these alone.

    `backwards` says which way was walked: `found` are those that follow, or else those that it needs. Few packages
    have all their lines; of many only the longest way has.
    """
    inside = {name for name, away in found.distance.items() if depth is None or away <= depth}
    way = list(_way(found, package, inside))
    on_way = {each for hop in way for each in (hop.package, hop.on)}
    nodes = [
        Node(
            name=name,
            level=level,
            mark=_mark(name, package, found, inside, on_way),
            words=_words(found.hops.get(name)),
        )
        for level, names in enumerate(graph.order())
        for name in names
        if depth is None or name == package or name in inside
    ]
    few = [found.hops[name] for name in sorted(inside)] if len(inside) <= _FEW else []
    edges = [*(_edge(hop, thin=True) for hop in few if hop not in way), *(_edge(hop, thin=False) for hop in way)]
    verb = "have it in their build root, directly or behind others" if backwards else "are needed to build it"
    subtitles = [f"{count(len(inside), 'package')} {verb}; of {len(graph.packages):,}. Clusters: levels of the order"]
    if way:
        steps = [package, *(each.package if backwards else each.on for each in reversed(way))]
        subtitles.append(f"the longest way: {(' → ' if backwards else ' ← ').join(steps)}")
    return draw(f"{package} and {'who needs it' if backwards else 'what it needs'}", subtitles, nodes, edges)


def _way(found: Reach, package: str, inside: set[str]) -> Iterator[Hop]:
    """The hops between `package` and the package that is the furthest from it."""
    if not inside:
        return
    name = min(inside, key=lambda each: (-found.distance[each], each))
    while name != package:
        hop = found.hops[name]
        yield hop
        name = hop.on if hop.package == name else hop.package


def _mark(name: str, package: str, found: Reach, inside: set[str], on_way: set[str]) -> Mark:
    if name == package:
        return Mark.CHANGED
    if name not in inside:
        return Mark.NONE
    if name in on_way:
        return Mark.WAY
    return Mark.NEAR if found.distance[name] == 1 else Mark.FAR


def _words(hop: Hop | None) -> str:
    return f"{hop.package} needs {hop.on}: {hop_words(hop)}" if hop else ""


def _edge(hop: Hop, *, thin: bool) -> Edge:
    return Edge(start=hop.on, end=hop.package, words=_words(hop), thin=thin)
