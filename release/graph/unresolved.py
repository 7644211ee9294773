"""What stands in the way of an order: BuildRequires that nothing provides, and packages that need each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from release.errors import Refused
from release.graph.capabilities import capabilities_in, parse
from release.source.specs import Package

_SHOWN = 20
_SEPARATOR = "\n       "


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A BuildRequires that nothing is known to provide; `where` is `spec:line`. `guesses` are the binary packages
    that by a naming convention will provide it and stand in for it; empty when there is none."""

    package: str
    requirement: str
    where: str
    guesses: tuple[str, ...]


def refuse_unresolved(missing: Sequence[Unresolved], names: Iterable[str]) -> Refused:
    """The refusal of BuildRequires that nothing meets; `names` is all that is provided, for "did you mean"."""
    lines = [_describe(each, names) for each in missing[:_SHOWN]]
    hidden = len(missing) - len(lines)
    return Refused(
        f"{len(missing)} BuildRequires cannot be satisfied",
        where=missing[0].where,
        got=_SEPARATOR.join([*lines, f"and {hidden} more"] if hidden else lines),
        expected="each provided by a spec of the tree or by the toolchain set",
        hint="correct the name, add the package, or declare it as Provides: of the package that has it",
    )


def refuse_knots(
    packages: Mapping[str, Package], cycles: Sequence[Sequence[str]], through: Callable[[str, str], str | None]
) -> Refused:
    """The refusal of packages that need each other: each cycle, and of the first one by which capabilities."""
    lines = [" -> ".join(cycle) for cycle in cycles[:_SHOWN]]
    first = cycles[0]
    steps = [f"{one} needs {two} through {through(one, two)}" for one, two in pairwise(first)]
    return Refused(
        "packages need each other to be built",
        where=packages[first[0]].spec,
        got=_SEPARATOR.join([*lines, *steps]),
        expected="an order in which each package is built after all that it needs",
        hint="remove one of these BuildRequires, take that package from the toolchain set, or release one of them "
        "without it first: later each is built against the published other",
    )


def _describe(each: Unresolved, names: Iterable[str]) -> str:
    from release.documents import close_match  # with it comes what validates documents: 0.1 s that few need

    wanted = [capability.name for capability in capabilities_in(parse(each.requirement))]
    close = [close_match(name, names, cutoff=0.8) for name in wanted]
    guesses = [name for name in close if name and name not in wanted]
    reason = f"nothing provides it{f'; did you mean {guesses[0]}?' if guesses else ''}"
    return f"{each.where}: {each.package}: BuildRequires: {each.requirement}: {reason}"
