"""Who provides what: binary packages of the tree and of the toolchain set, found by capability or file path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, cmp_to_key

from release.graph.capabilities import Capability, Dependency, Operator, Rich, compare_evrs, parse, satisfies
from release.graph.guesses import likely_names
from release.source.specs import BinaryPackage

Found = frozenset[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One binary package that can be installed: `source` is its source package in the tree, None in the toolchain.

    `complete` says that its Provides are those of a built RPM, and so the whole truth: no guess goes beyond them.
    """

    source: str | None
    binary: BinaryPackage
    complete: bool = False


class Providers:
    """An index over offers; an answer is a set of positions in `offers`."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self.offers: Sequence[Offer] = tuple(offers)
        # Provides as they are written: most of them are never asked for with a version, so that few need parsing.
        self._by_name: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._by_binary: dict[str, list[int]] = defaultdict(list)
        for position, offer in enumerate(self.offers):
            self._by_binary[offer.binary.name].append(position)
            self._by_name[offer.binary.name].append((f"{offer.binary.name} = {offer.binary.evr}", position))
            for text in offer.binary.provides:
                if not text.startswith("("):  # rpm allows no rich Provides
                    self._by_name[text.partition(" ")[0]].append((text, position))
            for path in offer.binary.files:
                self._by_name[path].append((path, position))

    @property
    def names(self) -> Iterable[str]:
        """Every name and path that something provides."""
        return self._by_name.keys()

    def provides(self, name: str) -> bool:
        """Whether anybody provides a name or a path, in whichever version."""
        return name in self._by_name

    def names_of(self, position: int) -> Iterator[str]:
        """The names and paths that an offer provides; the same one may come twice."""
        binary = self.offers[position].binary
        yield binary.name
        yield from (text.partition(" ")[0] for text in binary.provides)
        yield from binary.files

    def binaries(self, name: str) -> Sequence[int]:
        """The positions of the offers that are a binary package of this very name."""
        return self._by_binary.get(name, ())

    @cached_property
    def makers(self) -> Mapping[str, tuple[int, ...]]:
        """The binary packages that several source packages of the tree make, with the positions of them all."""
        several = ((name, tuple(self._of_tree(each))) for name, each in self._by_binary.items() if len(each) > 1)
        return {name: each for name, each in several if len(each) > 1}

    def owners(self, path: str) -> tuple[int, ...]:
        """The packages of the tree that list a path among their files, where they are of several source packages and
        of several names: versions of one package replace each other."""
        found = tuple(self._of_tree(position for text, position in self._by_name.get(path, ()) if text == path))
        offers = [self.offers[each] for each in found]
        clash = len({each.source for each in offers}) > 1 and len({each.binary.name for each in offers}) > 1
        return found if clash else ()

    def resolve(self, wanted: Dependency, *, besides: str | None = None) -> Found:
        """What may be installed for a dependency, or None when nothing can satisfy it.

        The tree comes before the toolchain set. Where several packages of the tree fit, all of them count: which
        one the package manager takes is not known beforehand, and a forgotten input is worse than one too many. Of
        packages with one name it takes the newest that fits. `besides` is a source package that provides for itself
        only what neither the rest of the tree nor the toolchain set has.
        """
        if isinstance(wanted, Capability) or wanted.operator in (Operator.WITH, Operator.WITHOUT):
            return self._preferred(self.matches(wanted), besides)
        answers = [self.resolve(each, besides=besides) for each in wanted.operands]
        if wanted.operator in (Operator.IF, Operator.UNLESS):
            answers = _conditional(*answers, unless=wanted.operator is Operator.UNLESS)
        found = [each for each in answers if each is not None]
        if not found or (wanted.operator is Operator.AND and len(found) < len(answers)):
            return None
        return frozenset().union(*found)

    def guess(self, wanted: Dependency) -> frozenset[int]:
        """The package that, by the naming convention of its kind, will turn out to provide what nothing declares.

        A package whose true Provides are known is no guess. Empty when no convention leads to a package.
        """
        if isinstance(wanted, Rich):
            if wanted.operator is not Operator.AND:
                return frozenset()
            found = [self.resolve(each) or self.guess(each) for each in wanted.operands]
            return frozenset().union(*found) if all(found) else frozenset()
        for name in likely_names(wanted.name):
            known = self._folded.get(name.lower(), ())
            likely = frozenset(each for each in known if not self.offers[each].complete)
            if likely:
                return self._preferred(likely, None) or frozenset()
        return frozenset()

    def matches(self, wanted: Dependency) -> frozenset[int]:
        """Every offer that satisfies a dependency all by itself, whoever made it."""
        if isinstance(wanted, Rich):
            first, *others = [self.matches(each) for each in wanted.operands]
            match wanted.operator:
                case Operator.WITHOUT:
                    return first.difference(*others)
                case Operator.OR:
                    return first.union(*others)
                case _:
                    return first.intersection(*others)
        known = self._by_name.get(wanted.name, ())
        if not wanted.sense:
            return frozenset(position for _, position in known)
        return frozenset(position for text, position in known if _fits(text, wanted))

    def _preferred(self, matches: frozenset[int], besides: str | None) -> Found:
        tree = [each for each in matches if self.offers[each].source not in (None, besides)]
        toolchain = [each for each in matches if self.offers[each].source is None]
        return frozenset(self._newest(tree) or toolchain or self._newest(matches)) or None

    def _newest(self, positions: Collection[int]) -> Collection[int]:
        """Without the older ones of binary packages that several source packages make."""
        twins: dict[str, list[int]] = defaultdict(list)
        for each in positions:
            if (name := self.offers[each].binary.name) in self.makers:
                twins[name].append(each)
        if all(len(each) == 1 for each in twins.values()):
            return positions
        older = {each for name in twins for each in self._older(twins[name])}
        return [each for each in positions if each not in older]

    def _older(self, twins: Collection[int]) -> Iterator[int]:
        newest = max((self.offers[each].binary.evr for each in twins), key=cmp_to_key(compare_evrs))
        return (each for each in twins if compare_evrs(self.offers[each].binary.evr, newest) < 0)

    @cached_property
    def _folded(self) -> Mapping[str, Sequence[int]]:
        """Binary packages by their names in small letters: conventions and tags disagree about capitals."""
        folded: dict[str, list[int]] = defaultdict(list)
        for name, positions in self._by_binary.items():
            folded[name.lower()] += positions
        return folded

    def _of_tree(self, positions: Iterable[int]) -> Iterator[int]:
        return (each for each in positions if self.offers[each].source is not None)


def _conditional(wanted: Found, condition: Found, otherwise: Found = frozenset(), *, unless: bool) -> list[Found]:
    """The sides of an `if` that may come to be installed: the one that hangs on the condition only where that can
    hold. `unless` is its mirror (rpm.org, "Boolean dependencies"): wanted where the condition does not hold."""
    if unless:
        return [wanted] if condition is None else [wanted, otherwise]
    return [otherwise] if condition is None else [otherwise, wanted]


def _fits(text: str, wanted: Capability) -> bool:
    provided = parse(text)
    return isinstance(provided, Capability) and satisfies(provided, wanted)
