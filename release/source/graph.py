"""Which source package needs which to be built: BuildRequires and what they pull in, levels, and cycles by name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

from release.documents import close_match
from release.errors import Refused
from release.source.capabilities import capabilities_in, parse
from release.source.components import components
from release.source.providers import Offer, Providers
from release.source.specs import BinaryPackage, Package

_SHOWN = 20
_SEPARATOR = "\n       "


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A BuildRequires that nothing can satisfy; `itself` when only the package's own binaries would."""

    package: str
    requirement: str
    where: str
    itself: bool


class Graph:
    """Source packages and what each needs to be built. Immutable; everything heavy is computed once, when asked for.

    A package's *inputs* are the source packages in the tree whose binaries its BuildRequires install, with all
    that those binaries require at run time. The toolchain set is closed: what comes from it ends a path, because
    its digest stands for it as a whole.
    """

    def __init__(self, packages: Mapping[str, Package], providers: Providers) -> None:
        self.packages = packages
        self._providers = providers
        self._number = {name: number for number, name in enumerate(packages)}
        self._names = tuple(packages)

    @classmethod
    def of(cls, packages: Iterable[Package], available: Iterable[BinaryPackage] = ()) -> Graph:
        """The graph of a tree's packages over the toolchain set's binaries. `Refused` when two specs make one name."""
        by_name: dict[str, Package] = {}
        for package in sorted(packages, key=lambda each: (each.name, each.spec)):
            if package.name in by_name:
                raise Refused(
                    f"two specs make the source package {package.name}",
                    where=package.spec,
                    got=f"{by_name[package.name].spec} makes it too",
                    expected="one spec for each Name:",
                )
            by_name[package.name] = package
        tree = [Offer(source=each.name, binary=binary) for each in by_name.values() for binary in each.binaries]
        toolchain = [Offer(source=None, binary=binary) for binary in available]
        return cls(MappingProxyType(by_name), Providers([*tree, *toolchain]))

    @cached_property
    def unresolved(self) -> tuple[Unresolved, ...]:
        """Every BuildRequires that neither the tree nor the toolchain set can satisfy."""
        return tuple(
            Unresolved(
                package=package.name,
                requirement=text,
                where=package.where(text),
                itself=self._providers.resolve(parse(text)) is not None,
            )
            for package in self.packages.values()
            for text in package.build_requires
            if self._build_offers(package, text) is None
        )

    def build_inputs(self, package: str) -> frozenset[str]:
        """The source packages in the tree that are installed, in whole or part, when `package` is built."""
        return frozenset(self._names[each] for each in self._inputs[self._number[package]])

    def dependents(self, package: str, *, transitive: bool = False) -> frozenset[str]:
        """The packages that have `package` among their inputs; with `transitive`, also theirs, and so on."""
        start = self._number[package]
        found = set(self._dependents[start])
        if transitive:
            waiting = list(found)
            while waiting:
                new = set(self._dependents[waiting.pop()]) - found
                found |= new
                waiting += new
        return frozenset(self._names[each] for each in found if each != start)

    def order(self) -> tuple[tuple[str, ...], ...]:
        """Levels: each package stands after all its inputs, names in a level are sorted.

        `Refused` when a BuildRequires is unresolved, or when packages need each other (the cycle is named).
        """
        if self.unresolved:
            raise self._refuse_unresolved()
        if self.cycles:
            raise self._refuse_cycles()
        level: dict[int, int] = {}
        for (number,) in components(self._inputs):
            level[number] = 1 + max((level[each] for each in self._inputs[number]), default=-1)
        levels: list[list[str]] = [[] for _ in range(1 + max(level.values(), default=-1))]
        for number, name in enumerate(self._names):
            levels[level[number]].append(name)
        return tuple(tuple(names) for names in levels)

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """One shortest cycle (its first name repeated at the end) for each knot of packages that need each other."""
        knots = [each for each in components(self._inputs) if len(each) > 1 or each[0] in self._inputs[each[0]]]
        return tuple(sorted(self._shortest_cycle(knot) for knot in knots))

    def through(self, package: str, on: str) -> str | None:
        """By which capabilities `package` has `on` among its inputs: `libfoo-devel`, or `libfoo-devel -> zlib-devel`
        when what it requires requires the other. None when it has not."""
        waiting: deque[tuple[int, tuple[str, ...]]] = deque()
        seen: set[int] = set()

        def see(positions: Iterable[int] | None, path: tuple[str, ...]) -> None:
            new = sorted(set(positions or ()) - seen)
            seen.update(new)
            waiting.extend((position, path) for position in new)

        for text in self.packages[package].build_requires:
            see(self._build_offers(self.packages[package], text), (text,))
        while waiting:
            position, path = waiting.popleft()
            offer = self._providers.offers[position]
            if offer.source == on:
                return " -> ".join(path)
            if offer.source is not None:
                for text in offer.binary.requires:
                    see(self._providers.resolve(parse(text)), (*path, text))
        return None

    def _build_offers(self, package: Package, text: str) -> frozenset[int] | None:
        return self._providers.resolve(parse(text), besides=package.name)

    @cached_property
    def _inputs(self) -> Sequence[tuple[int, ...]]:
        """For each package the numbers of its inputs. Sets of packages are bits of an integer on the way."""
        pulled = self._pulled_in
        inputs = []
        for package in self.packages.values():
            bits = 0
            for text in package.build_requires:
                for position in self._build_offers(package, text) or ():
                    bits |= pulled[position]
            inputs.append(tuple(_numbers(bits)))
        return inputs

    @cached_property
    def _pulled_in(self) -> Sequence[int]:
        """For each offer, as bits, the source packages that installing it installs from: itself and its Requires."""
        offers = self._providers.offers
        requires = [self._runtime(offer) for offer in offers]
        bits = [0 if offer.source is None else 1 << self._number[offer.source] for offer in offers]
        for knot in components(requires):
            together = 0
            for position in knot:
                together |= bits[position]
                for each in requires[position]:
                    together |= bits[each]
            for position in knot:
                bits[position] = together
        return bits

    def _runtime(self, offer: Offer) -> frozenset[int]:
        """What an offer of the tree requires at run time. Requires that only rpmbuild can resolve are left out."""
        if offer.source is None:
            return frozenset()
        found = (self._providers.resolve(parse(text)) for text in offer.binary.requires)
        return frozenset().union(*(each for each in found if each is not None))

    @cached_property
    def _dependents(self) -> Sequence[Sequence[int]]:
        dependents: list[list[int]] = [[] for _ in self._names]
        for number, inputs in enumerate(self._inputs):
            for each in inputs:
                dependents[each].append(number)
        return dependents

    def _shortest_cycle(self, knot: tuple[int, ...]) -> tuple[str, ...]:
        """By breadth first search inside the knot from each of its first members: knots can be large."""
        best: tuple[int, ...] = ()
        for start in knot[:_SHOWN]:
            found = self._way_back(start, set(knot))
            if not best or len(found) < len(best):
                best = found
        return tuple(self._names[each] for each in best)

    def _way_back(self, start: int, knot: set[int]) -> tuple[int, ...]:
        waiting: deque[tuple[int, ...]] = deque([(start,)])
        seen: set[int] = set()
        while waiting:
            path = waiting.popleft()
            for each in self._inputs[path[-1]]:
                if each == start:
                    return (*path, start)
                if each in knot and each not in seen:
                    seen.add(each)
                    waiting.append((*path, each))
        raise AssertionError("every member of a knot reaches itself")

    def _refuse_unresolved(self) -> Refused:
        lines = [self._describe(each) for each in self.unresolved[:_SHOWN]]
        hidden = len(self.unresolved) - len(lines)
        return Refused(
            f"{len(self.unresolved)} BuildRequires cannot be satisfied",
            where=self.unresolved[0].where,
            got=_SEPARATOR.join([*lines, f"and {hidden} more"] if hidden else lines),
            expected="each provided by a spec of the tree or by the toolchain set",
            hint="correct the name, add the package, or declare it as Provides: of the package that has it",
        )

    def _describe(self, each: Unresolved) -> str:
        if each.itself:
            reason = "only the package itself provides it"
        else:
            names = [capability.name for capability in capabilities_in(parse(each.requirement))]
            close = [close_match(name, self._providers.names, cutoff=0.8) for name in names]
            guesses = [name for name in close if name and name not in names]
            reason = f"nothing provides it{f'; did you mean {guesses[0]}?' if guesses else ''}"
        return f"{each.where}: {each.package}: BuildRequires: {each.requirement}: {reason}"

    def _refuse_cycles(self) -> Refused:
        lines = [" -> ".join(cycle) for cycle in self.cycles[:_SHOWN]]
        first = self.cycles[0]
        steps = [f"{one} needs {two} through {self.through(one, two)}" for one, two in pairwise(first)]
        return Refused(
            "packages need each other to be built",
            where=self.packages[first[0]].spec,
            got=_SEPARATOR.join([*lines, *steps]),
            expected="an order in which each package is built after all that it needs",
            hint="remove one of these BuildRequires, or take that package from the toolchain set",
        )


def _numbers(bits: int) -> Iterator[int]:
    """The positions of the ones in an integer."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
