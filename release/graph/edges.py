"""The edges of the graph as they are written: which requirement of which package is met by which binary packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from release.graph.capabilities import parse
from release.graph.components import components
from release.graph.knots import Knot, knots_in
from release.graph.providers import Offer, Providers
from release.source.specs import Package

Row = Sequence[tuple[str, frozenset[int]]]
_NOBODY: frozenset[int] = frozenset()


class Edges:
    """Requirements and what meets them, each text resolved once. Packages and offers are numbers here.

    The toolchain set is closed: what comes from it ends a path, because its digest stands for it as a whole.
    """

    def __init__(self, packages: Sequence[Package], providers: Providers) -> None:
        self.packages = packages
        self.providers = providers
        self._number = {package.name: number for number, package in enumerate(packages)}
        self._rows: dict[int, Row] = {}
        self._resolved: dict[str, tuple[frozenset[int] | None, bool]] = {}

    @cached_property
    def build(self) -> Sequence[Row]:
        """For each source package its BuildRequires with the offers that meet each; none for what nothing meets."""
        return [self.build_row(number) for number in range(len(self.packages))]

    @cached_property
    def runtime(self) -> Sequence[Row]:
        """For each offer its Requires with the offers that meet each, without those that only rpmbuild can resolve."""
        return [self.runtime_row(position) for position in range(len(self.providers.offers))]

    def build_row(self, number: int) -> Row:
        """The row of `build` of one source package."""
        package = self.packages[number]
        return [(text, self.build_offers(package, text)[0] or _NOBODY) for text in package.build_requires]

    def runtime_row(self, position: int) -> Row:
        """The row of `runtime` of one offer; a walk through a few of them need not make them all."""
        known = self._rows.get(position)
        if known is None:
            offer = self.providers.offers[position]
            texts = offer.binary.requires if offer.source is not None else ()
            known = [(text, found) for text in texts if (found := self.resolve(text)[0])]
            self._rows[position] = known
        return known

    def resolve(self, text: str) -> tuple[frozenset[int] | None, bool]:
        """The offers for a run-time requirement, or None; and whether that is a guess by a naming convention."""
        known = self._resolved.get(text)
        if known is None:
            wanted = parse(text)
            found = self.providers.resolve(wanted)
            guessed = self.providers.guess(wanted) if found is None else _NOBODY
            known = self._resolved[text] = (guessed or found, bool(guessed))
        return known

    def build_offers(self, package: Package, text: str) -> tuple[frozenset[int] | None, bool]:
        """The same for a BuildRequires of a package, which provides for itself only what nothing else has."""
        found, guessed = self.resolve(text)
        own = self._own[package.name] & (found or _NOBODY)
        if guessed:
            return (found or _NOBODY) - own or None, True
        if found is None or not (own or text[0] == "("):
            return found, False
        return self.providers.resolve(parse(text), besides=package.name), False

    @cached_property
    def made(self) -> Sequence[Sequence[int]]:
        """For each source package the offers that it makes."""
        made: list[list[int]] = [[] for _ in self.packages]
        for position in range(len(self.providers.offers)):
            if (number := self.source(position)) is not None:
                made[number].append(position)
        return made

    @cached_property
    def _own(self) -> Mapping[str, frozenset[int]]:
        return {package.name: frozenset(made) for package, made in zip(self.packages, self.made, strict=True)}

    def source(self, position: int) -> int | None:
        """The number of the source package that makes an offer; None for the toolchain's."""
        name = self.providers.offers[position].source
        return None if name is None else self._number[name]

    def maker_and_name(self, position: int) -> tuple[str | None, str]:
        """The source package of an offer and the name of its binary package: what it is in any tree."""
        offer = self.providers.offers[position]
        return offer.source, offer.binary.name

    def closure(self, positions: Iterable[int]) -> set[int]:
        """These offers with all that they require at run time, and so on."""
        found = set(positions)
        waiting = list(found)
        while waiting:
            for _, offers in self.runtime_row(waiting.pop()):
                new = offers - found
                found |= new
                waiting += new
        return found

    def build_root(self, number: int) -> set[int]:
        """Every offer that may be installed when a source package is built."""
        return self.closure(position for _, offers in self.build_row(number) for position in offers)

    @cached_property
    def knots(self) -> Sequence[Knot]:
        """All source packages, in knots of those that reach each other, needed ones first."""
        return tuple(knots_in(self._successors, len(self.packages)))

    @cached_property
    def _successors(self) -> Sequence[Sequence[int]]:
        """One graph of source packages and, behind them, offers: a source package points to the offers that it needs,
        an offer to those that it requires and to its source package. It has the knots of the closure, without it."""
        first = len(self.packages)
        rows = [*self.build, *self.runtime]
        successors = [[first + position for _, offers in row for position in offers] for row in rows]
        for position in range(len(self.providers.offers)):
            if (number := self.source(position)) is not None:
                successors[first + position].append(number)
        return successors

    def source_sets(self) -> Iterator[frozenset[int]]:
        """For each source package, in order, the numbers of all source packages that its build root comes from."""
        pulled = self._pulled
        for row in self.build:
            bits = 0
            for _, offers in row:
                for position in offers:
                    bits |= pulled[position]
            yield frozenset(_ones(bits))

    @cached_property
    def _pulled(self) -> Sequence[int]:
        """For each offer, as the bits of an integer, the source packages that installing it installs from."""
        requires = [[each for _, offers in row for each in offers] for row in self.runtime]
        sources = [self.source(position) for position in range(len(self.providers.offers))]
        bits = [0 if number is None else 1 << number for number in sources]
        for knot in components(requires):
            together = 0
            for position in knot:
                together |= bits[position]
                for each in requires[position]:
                    together |= bits[each]
            for position in knot:
                bits[position] = together
        return bits


def offers_of(packages: Iterable[Package], complete: frozenset[str]) -> Iterator[Offer]:
    """Every binary package of the tree; `complete` names the source packages that were built before."""
    for package in packages:
        for binary in package.binaries:
            yield Offer(source=package.name, binary=binary, complete=package.name in complete)


def _ones(bits: int) -> Iterator[int]:
    """The positions of the ones in an integer."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
