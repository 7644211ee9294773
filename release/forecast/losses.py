"""What a change takes away from others: requirements that were met before it and are not after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from release.forecast.differences import moved_texts
from release.forecast.forecasts import Refusal
from release.graph.graph import Graph

_SHOWN = 20
_SEPARATOR = "\n       "


def refuse_losses(before: Graph, after: Graph, removed: Collection[str], changed: Collection[str]) -> Iterator[Refusal]:
    """One refusal for all that others still need of source packages that are `removed`, and of binary packages that
    the `changed` ones do not make any more. Nothing when nobody misses them."""
    gone = frozenset(_gone(before, after, {*removed, *changed}))
    if not gone:
        return
    lost = {text for text in moved_texts(before, after, {*removed, *changed}) if _lost(before, after, text, gone)}
    needed = dict(_who_needs(after, lost))
    lines = sorted(needed)
    if lines:
        hidden = len(lines) - _SHOWN
        missed = {each for text in {*needed.values()} for each in _makers(before, text) if each in gone}
        sources = sorted({source for source, _ in missed if source in removed})
        what = (
            f"removes {', '.join(sources)}" if sources else f"no longer makes {', '.join(sorted(n for _, n in missed))}"
        )
        first = before.packages[sources[0] if sources else min(source for source, _ in missed)]
        yield Refusal(
            message=f"the commit {what}, and others need it",
            where=first.spec,
            got=_SEPARATOR.join([*lines[:_SHOWN], f"and {hidden} more"] if hidden > 0 else lines),
            expected="nobody needs what is removed",
            hint="remove it from those first, or in the same commit; or let another package provide it",
        )


def newly_unresolved(before: Graph, after: Graph, changed: Collection[str]) -> tuple[str, ...]:
    """`spec:line: package: BuildRequires: text` of what the change asks for in vain, and what it takes from others."""
    moved = frozenset(moved_texts(before, after, changed)) if changed else frozenset[str]()
    found = []
    for name, package in after.packages.items():
        known = before.packages.get(name)
        for text in package.build_requires if name in changed or not moved.isdisjoint(package.build_requires) else ():
            asked = known is not None and text in known.build_requires
            was_met = known is None or before.edges.build_offers(known, text)[0] is not None
            if after.edges.build_offers(package, text)[0] is None and (was_met or not asked):
                found.append(f"{package.where(text)}: {name}: BuildRequires: {text}")
    return tuple(found)


def _gone(before: Graph, after: Graph, changed: Collection[str]) -> Iterator[tuple[str, str]]:
    """(source package, binary package) of all that is not made any more, by nobody."""
    made = {binary.name for package in after.packages.values() for binary in package.binaries}
    for name in changed:
        if name in before.packages:
            yield from ((name, each.name) for each in before.packages[name].binaries if each.name not in made)


def _lost(before: Graph, after: Graph, text: str, gone: Collection[tuple[str, str]]) -> bool:
    """Whether a requirement was met by something that is gone, and is met by nothing now."""
    found, guessed = before.edges.resolve(text)
    now, guessed_now = after.edges.resolve(text)
    if guessed or not found or (now is not None and not guessed_now):
        return False
    return any(each in gone for each in _makers(before, text))


def _makers(graph: Graph, text: str) -> Iterator[tuple[str | None, str]]:
    """(source package, binary package) of all that meets a requirement."""
    return (graph.edges.maker_and_name(each) for each in graph.edges.resolve(text)[0] or ())


def _who_needs(after: Graph, lost: Collection[str]) -> Iterator[tuple[str, str]]:
    """Who still asks for what is lost, as a line and the requirement in it."""
    for package in after.packages.values():
        for text in package.build_requires:
            if text in lost:
                yield f"{package.where(text)}: {package.name}: BuildRequires: {text}", text
        for binary in package.binaries:
            for text in binary.requires:
                if text in lost:
                    yield f"{package.spec}: {binary.name}: Requires: {text}", text
