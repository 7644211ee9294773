"""The edges of the graph read backwards, as far as somebody asks: who needs an offer, and by which words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from release.graph.capabilities import capabilities_in, parse
from release.graph.edges import Edges
from release.graph.knots import Knot, knots_in


class Needer(NamedTuple):
    """Who needs an offer, and by which words: a source package for its build, or another offer at run time.

    `number` counts source packages where `build` is true, offers where it is not.
    """

    build: bool
    number: int
    text: str


class Needers:
    """An index from names to requirements. Only those that ask for a name which an offer provides are resolved."""

    def __init__(self, edges: Edges) -> None:
        self.edges = edges
        self._known: dict[int, tuple[Needer, ...]] = {}

    @cached_property
    def mentions(self) -> Mapping[str, Sequence[Needer]]:
        """Name or path -> the requirements that ask for it, met or not."""
        found: dict[str, list[Needer]] = defaultdict(list)
        for needer in self._all():
            for name in names_in(needer.text):
                found[name].append(needer)
        return found

    def of(self, position: int) -> tuple[Needer, ...]:
        """Everybody who may have an offer installed on its own account."""
        known = self._known.get(position)
        if known is None:
            names = dict.fromkeys(self.edges.providers.names_of(position))
            asking = (needer for name in names for needer in self.mentions.get(name, ()))
            met = [needer for needer in asking if position in self._met(needer)]
            known = self._known[position] = tuple(dict.fromkeys((*met, *self._guessing.get(position, ()))))
        return known

    @cached_property
    def guesses(self) -> frozenset[str]:
        """The requirements that are met by nothing, or by a guess: those of kinds that rpmbuild generates."""
        provided = self.edges.providers.provides
        asking = (
            needer.text
            for name, needers in self.mentions.items()
            if name[0] == "/" or "(" in name
            for needer in needers
            if needer.text != name or not provided(name)
        )
        return frozenset(text for text in asking if _is_guess(*self.edges.resolve(text)))

    def knots_among(self, chosen: Collection[int]) -> Sequence[Knot]:
        """The knots of some source packages, with levels among themselves. What a package needs through one that is
        not chosen does not count."""
        names = sorted(chosen)
        place = {number: node for node, number in enumerate(names)}
        successors: list[list[int]] = [[] for _ in names]
        nodes: dict[int, int] = {}

        def node_of(position: int) -> int:
            if position not in nodes:
                nodes[position] = len(successors)
                successors.append([])
                waiting.append(position)
            return nodes[position]

        waiting: list[int] = []
        for number in names:
            for position in self.edges.made[number]:
                successors[node_of(position)].append(place[number])
        while waiting:
            position = waiting.pop()
            node = nodes[position]
            for needer in self.of(position):
                if not needer.build:
                    successors[node_of(needer.number)].append(node)
                elif needer.number in place:
                    successors[place[needer.number]].append(node)
        return [
            Knot(members=tuple(names[each] for each in knot.members), level=knot.level, tied=knot.tied)
            for knot in knots_in(successors, len(names))
        ]

    def _all(self) -> Iterator[Needer]:
        for number, package in enumerate(self.edges.packages):
            for text in package.build_requires:
                yield Needer(True, number, text)
        for position, offer in enumerate(self.edges.providers.offers):
            for text in offer.binary.requires if offer.source is not None else ():
                yield Needer(False, position, text)

    def _met(self, needer: Needer) -> Collection[int]:
        if needer.build:
            return self.edges.build_offers(self.edges.packages[needer.number], needer.text)[0] or ()
        return self.edges.resolve(needer.text)[0] or ()

    @cached_property
    def _guessing(self) -> Mapping[int, Sequence[Needer]]:
        found: dict[int, list[Needer]] = defaultdict(list)
        for text in sorted(self.guesses):
            for name in names_in(text):
                for needer in self.mentions[name]:
                    if needer.text == text:
                        for position in self._met(needer):
                            found[position].append(needer)
        return found


def names_in(text: str) -> Collection[str]:
    """The names and paths that a requirement asks for."""
    if text[0] != "(":
        return (text.partition(" ")[0],)
    return {capability.name for capability in capabilities_in(parse(text))}


def _is_guess(found: frozenset[int] | None, guessed: bool) -> bool:
    return guessed or found is None
