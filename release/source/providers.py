"""Who provides what: binary packages of the tree and of the toolchain set, found by capability or file path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from release.source.capabilities import Capability, Dependency, Operator, Rich, parse, satisfies
from release.source.specs import BinaryPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One binary package that can be installed: `source` is its source package in the tree, None in the toolchain."""

    source: str | None
    binary: BinaryPackage


class Providers:
    """An index over offers; an answer is a set of positions in `offers`."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self.offers: Sequence[Offer] = tuple(offers)
        self._by_name: dict[str, list[tuple[Capability, int]]] = defaultdict(list)
        for position, offer in enumerate(self.offers):
            for provided in _provided(offer.binary):
                self._by_name[provided.name].append((provided, position))

    @property
    def names(self) -> Iterable[str]:
        """Every name and path that something provides."""
        return self._by_name.keys()

    def resolve(self, wanted: Dependency, *, besides: str | None = None) -> frozenset[int] | None:
        """What may be installed for a dependency, or None when nothing can satisfy it.

        The tree comes before the toolchain set. Where several packages of the tree fit, all of them count: which
        one the package manager takes is not known beforehand, and a forgotten input is worse than one too many.
        `besides` is a source package that cannot provide for itself.
        """
        if isinstance(wanted, Capability) or wanted.operator in (Operator.WITH, Operator.WITHOUT):
            return self._preferred(self._matches(wanted), besides)
        answers = [self.resolve(each, besides=besides) for each in wanted.operands]
        if wanted.operator is Operator.IF:
            answers = _conditional(*answers)
        found = [each for each in answers if each is not None]
        if not found or (wanted.operator is Operator.AND and len(found) < len(answers)):
            return None
        return frozenset().union(*found)

    def _matches(self, wanted: Dependency) -> frozenset[int]:
        """Every offer that satisfies a dependency all by itself, whoever made it."""
        if isinstance(wanted, Rich):
            first, *others = [self._matches(each) for each in wanted.operands]
            match wanted.operator:
                case Operator.WITHOUT:
                    return first.difference(*others)
                case Operator.OR:
                    return first.union(*others)
                case _:
                    return first.intersection(*others)
        return frozenset(
            position for provided, position in self._by_name.get(wanted.name, ()) if satisfies(provided, wanted)
        )

    def _preferred(self, matches: frozenset[int], besides: str | None) -> frozenset[int] | None:
        tree = frozenset(each for each in matches if self.offers[each].source not in (None, besides))
        toolchain = frozenset(each for each in matches if self.offers[each].source is None)
        return tree or toolchain or None


def _conditional(
    wanted: frozenset[int] | None, condition: frozenset[int] | None, otherwise: frozenset[int] | None = frozenset()
) -> list[frozenset[int] | None]:
    """The sides of an `if` that may come to be installed: the wanted one only where its condition can hold."""
    return [otherwise] if condition is None else [otherwise, wanted]


def _provided(binary: BinaryPackage) -> Iterable[Capability]:
    yield Capability(name=binary.name, sense="=", evr=binary.evr)
    for text in binary.provides:
        read = parse(text)
        if isinstance(read, Capability):  # rpm allows no rich Provides
            yield read
    for path in binary.files:
        yield Capability(name=path)
