"""Which source package needs which to be built: BuildRequires and what they pull in, knots, levels, and who follows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

from release.graph.completions import completed
from release.graph.edges import Edges, offers_of
from release.graph.findings import Finding, findings
from release.graph.identities import identified
from release.graph.knots import Knot
from release.graph.needers import Needers
from release.graph.providers import Offer, Providers
from release.graph.reach import Reach, inputs, needs, reach
from release.graph.unresolved import Unresolved, refuse_knots, refuse_unresolved
from release.source.specs import BinaryPackage, Package

_NOTHING: Mapping[str, Iterable[BinaryPackage]] = MappingProxyType({})
_TRIED = 20

Names = tuple[str, ...]


class Graph:
    """Source packages and what each needs to be built. Immutable; everything heavy is computed once, when asked for.

    A package's *inputs* are the source packages in the tree whose binaries its BuildRequires install, with all
    that those binaries require at run time. The toolchain set is closed: what comes from it ends a path, because
    its digest stands for it as a whole.
    """

    def __init__(self, packages: Mapping[str, Package], edges: Edges) -> None:
        self.packages = packages
        self.edges = edges
        self.needers = Needers(edges)
        self._number = {name: number for number, name in enumerate(packages)}
        self._names = tuple(packages)

    @classmethod
    def of(
        cls,
        packages: Iterable[Package],
        available: Iterable[BinaryPackage] = (),
        published: Mapping[str, Iterable[BinaryPackage]] = _NOTHING,
    ) -> Graph:
        """The graph of a tree's packages over the toolchain set's binaries (`available`).

        `published` maps source packages to the binary packages that were built of them before: what rpmbuild
        generated completes what the spec declares. Several specs with one Name are called by their file names
        (release/graph/identities.py), which are the keys of `packages` then.
        """
        named = identified(packages)
        whole = [
            package
            if name not in published
            else replace(package, binaries=completed(package.binaries, published[name]))
            for name, package in named.items()
        ]
        tree = offers_of(whole, frozenset(published))
        toolchain = (Offer(source=None, binary=binary, complete=True) for binary in available)
        return cls(named, Edges(whole, Providers([*tree, *toolchain])))

    @cached_property
    def unresolved(self) -> tuple[Unresolved, ...]:
        """Every BuildRequires that nothing is known to provide, with the guess that stands in for a provider."""
        offers = self.edges.providers.offers
        found = []
        for package in self.packages.values():
            for text in package.build_requires:
                positions, guessed = self.edges.build_offers(package, text)
                if positions is None or guessed:
                    names = tuple(sorted({offers[each].binary.name for each in positions or ()}))
                    where = package.where(text)
                    found.append(Unresolved(package=package.name, requirement=text, where=where, guesses=names))
        return tuple(found)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What two source packages of the tree both make: binary packages of one name, and files of one path."""
        return findings(self.edges.providers)

    def whole(self, package: str) -> Package:
        """A package with all that is known of its binaries: what its spec declares and what was published."""
        return self.edges.packages[self._number[package]]

    def build_inputs(self, package: str) -> frozenset[str]:
        """The source packages in the tree that are installed, in whole or part, when `package` is built."""
        return frozenset(self._names[each] for each in self._inputs[self._number[package]])

    def build_root(self, package: str) -> frozenset[str]:
        """The names of the tree's binary packages that may be installed when `package` is built: its BuildRequires
        and what they require at run time, every alternative counted."""
        return self._of_tree(self.edges.build_root(self._number[package]))

    def image_packages(self, names: Iterable[str]) -> frozenset[str]:
        """The names of the tree's binary packages that may be installed for an image's list of `names` (packages,
        capabilities or paths), with all that they require at run time. What only the toolchain set has is left out."""
        wanted = (self.edges.resolve(name)[0] or frozenset() for name in names)
        return self._of_tree(self.edges.closure(position for each in wanted for position in each))

    def makers(self, binaries: Iterable[str]) -> frozenset[str]:
        """The source packages that make binary packages of these names."""
        providers = self.edges.providers
        sources = (providers.offers[each].source for name in binaries for each in providers.binaries(name))
        return frozenset(each for each in sources if each is not None)

    def dependents(self, package: str, *, transitive: bool = False) -> frozenset[str]:
        """The packages that have `package` among their inputs; with `transitive`, also theirs, and so on."""
        return frozenset(self.followers([package], direct=not transitive).hops)

    def followers(self, packages: Iterable[str], *, direct: bool = False) -> Reach:
        """All that follows from a change of `packages`, with a shortest path and its capabilities to each; with
        `direct` only those that have one of them in their build root."""
        return reach(self.needers, (self._number[each] for each in packages), direct=direct)

    def needs(self, package: str, *, direct: bool = False) -> Reach:
        """All that `package` needs to be built, and what that needs, by the shortest way to each; with `direct` only
        what is in its build root."""
        return needs(self.edges, self._number[package], direct=direct)

    def levels(self) -> tuple[tuple[Names, ...], ...]:
        """Each level a tuple of knots: packages that need each other, which mostly is a single one.

        A knot stands after all that its packages need besides themselves. Names in a knot are sorted, as are knots.
        """
        return self._levels(self.edges.knots)

    def among(self, names: Iterable[str]) -> tuple[tuple[tuple[Names, ...], ...], tuple[Names, ...]]:
        """The levels and the knots of some packages alone, which must include whatever stands between two of them;
        cheaper than those of all, for few."""
        found = self.needers.knots_among({self._number[each] for each in names})
        return self._levels(found), tuple(sorted(self._sorted(knot) for knot in found if knot.tied))

    def _levels(self, knots: Iterable[Knot]) -> tuple[tuple[Names, ...], ...]:
        found: dict[int, list[Names]] = {}
        for knot in knots:
            found.setdefault(knot.level, []).append(self._sorted(knot))
        return tuple(tuple(sorted(found[level])) for level in sorted(found))

    def order(self) -> tuple[tuple[str, ...], ...]:
        """The levels as plain names: each package stands after all its inputs, but for those of its own knot."""
        return tuple(tuple(sorted(name for knot in level for name in knot)) for level in self.levels())

    def knots(self) -> tuple[Names, ...]:
        """The packages that cannot be built in any order: those that need each other, and those that need
        themselves, because nothing else in the tree or the toolchain set has what they need."""
        return tuple(sorted(self._sorted(knot) for knot in self.edges.knots if knot.tied))

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """One shortest cycle (its first name repeated at the end) for each knot."""
        return tuple(sorted(self._shortest_cycle(knot) for knot in self.knots()))

    def through(self, package: str, on: str) -> str | None:
        """By which capabilities `package` has `on` among its inputs: `libfoo-devel`, or `libfoo-devel -> zlib-devel`
        when what it requires requires the other. None when it has not."""
        hop = inputs(self.edges, self._number[package]).get(self._number[on])
        return " -> ".join(hop.through) if hop else None

    def check(self) -> None:
        """`Refused` for BuildRequires that nothing meets, and for packages that need each other: for those who
        cannot build a knot in two passes, or will not start what must fail."""
        missing = [each for each in self.unresolved if not each.guesses]
        if missing:
            raise refuse_unresolved(missing, self.edges.providers.names)
        if self.cycles:
            raise refuse_knots(self.packages, self.cycles, self.through)

    @cached_property
    def _inputs(self) -> tuple[frozenset[int], ...]:
        return tuple(self.edges.source_sets())

    def _of_tree(self, positions: Iterable[int]) -> frozenset[str]:
        offers = self.edges.providers.offers
        return frozenset(offers[each].binary.name for each in positions if offers[each].source is not None)

    def _sorted(self, knot: Knot) -> Names:
        return tuple(sorted(self._names[each] for each in knot.members))

    def _shortest_cycle(self, knot: Names) -> tuple[str, ...]:
        """By breadth first search inside the knot from each of its first members: knots can be large."""
        members = {self._number[name] for name in knot}
        found = (self._way_back(self._number[name], members) for name in knot[:_TRIED])
        return tuple(self._names[each] for each in min(found, key=len))

    def _way_back(self, start: int, knot: set[int]) -> tuple[int, ...]:
        waiting: deque[tuple[int, ...]] = deque([(start,)])
        seen: set[int] = set()
        while waiting:
            path = waiting.popleft()
            inputs = self._inputs[path[-1]] & knot
            if start in inputs:
                return (*path, start)
            new = sorted(inputs - seen)
            seen.update(new)
            waiting.extend((*path, each) for each in new)
        raise AssertionError("every member of a knot reaches itself")
