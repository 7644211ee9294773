"""Makes the forecast of a change out of what the two commits hold: pure, and no more work than the answer needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from release.forecast.differences import ImageFacts, TreeFacts, listed, macro_changes, own_changes, root_changes
from release.forecast.estimates import Estimate, estimate
from release.forecast.forecasts import Certain, Commits, Forecast, ImageForecast, Possible, Stopped
from release.forecast.losses import newly_unresolved, refuse_losses
from release.graph.findings import findings
from release.graph.graph import Graph
from release.graph.reach import Reach
from release.source.specs import BinaryPackage, Package

_NO_DURATIONS: Mapping[str, float] = MappingProxyType({})
_NOTHING_PUBLISHED: Mapping[str, Iterable[BinaryPackage]] = MappingProxyType({})


def forecast(
    commits: Commits,
    old: TreeFacts,
    new: TreeFacts,
    *,
    available: Collection[BinaryPackage] = (),
    published: Mapping[str, Iterable[BinaryPackage]] = _NOTHING_PUBLISHED,
    durations: Mapping[str, float] = _NO_DURATIONS,
    jobs: int = 1,
) -> Forecast:
    """The forecast of the change from `old` to `new`.

    `available` are the binary packages of the toolchain set, `published` what was built of the source packages before,
    `durations` the seconds of past builds. `Refused` when two specs of a tree make one package.
    """
    before, after = (Graph.of(each, available, published) for each in (old.packages, _with_failed(old, new)))
    own = _merged(own_changes(before.packages, after.packages, old, new), macro_changes(before, after, old, new))
    broken = _broken(before, new)
    removed = frozenset(before.packages.keys() - after.packages.keys())
    certain = _merged(own, root_changes(before, after, frozenset(own) | removed) if own or removed else {})
    stopped = after.followers(broken.keys() & after.packages.keys())
    build = {name: certain[name] for name in certain if name not in broken and name not in stopped.hops}
    reach = after.followers(build)
    possible = reach.hops.keys() - broken.keys() - stopped.hops.keys()
    levels, knots = after.among(build.keys() | possible)
    order = _order(levels)
    halted = {*broken, *stopped.hops}
    standing = {name for name in broken if name in new.failed and _is_standing(name, old, new)}
    return Forecast(
        before=commits.before,
        after=commits.after,
        rewritten=commits.rewritten,
        packages=len(after.packages),
        certain=tuple(Certain(package=each, level=order[each], reasons=build[each]) for each in order if each in build),
        possible=tuple(
            Possible(package=each, level=order[each], path=reach.path(each)) for each in order if each in possible
        ),
        removed=tuple(sorted(removed)),
        stopped=tuple(_stopped(broken, stopped, halted, standing)),
        unaffected=len(after.packages) - len(build) - len(possible) - len(halted & after.packages.keys()),
        images=tuple(_images(after, old, new, build, possible, removed, before)),
        knots=knots,
        refusals=tuple(refuse_losses(before, after, removed, own)),
        unresolved=newly_unresolved(before, after, own.keys() | removed),
        findings=_new_findings(before, after, own),
        certain_time=_time(after, build, durations, jobs),
        possible_time=_time(after, order, durations, jobs),
    )


def _with_failed(old: TreeFacts, new: TreeFacts) -> tuple[Package, ...]:
    """The packages of the new tree; a spec that cannot be read keeps the place that it had, for who depends on it."""
    kept = (package for package in old.packages if package.spec in new.failed)
    return (*new.packages, *kept)


def _broken(before: Graph, new: TreeFacts) -> Mapping[str, str]:
    """The packages whose specs cannot be read, by identity or, where they never could, by path; and why."""
    by_spec = {package.spec: name for name, package in before.packages.items()}
    found = {}
    for spec, error in new.failed.items():
        cause = f"{error.message}: {error.got}" if error.got else error.message
        found[by_spec.get(spec, spec)] = f"{error.where or spec}: {' '.join(cause.split())}"
    return found


def _merged(one: Mapping[str, tuple[str, ...]], two: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    names = sorted(one.keys() | two.keys())
    return {name: (*one.get(name, ()), *(two.get(name, ()) if _existed(one.get(name)) else ())) for name in names}


def _existed(reasons: tuple[str, ...] | None) -> bool:
    return not (reasons and reasons[0].startswith("new: "))


def _order(levels: Iterable[Iterable[tuple[str, ...]]]) -> dict[str, int]:
    """The packages in the order of building, each with its level."""
    named = (sorted(name for knot in level for name in knot) for level in levels)
    return {name: number for number, names in enumerate(named) for name in names}


def _stopped(
    broken: Mapping[str, str], stopped: Reach, halted: Collection[str], standing: Collection[str]
) -> Iterator[Stopped]:
    for name in sorted(halted):
        path = stopped.path(name)
        reason = broken.get(name) or f"it needs {path[0].on}"
        yield Stopped(package=name, reason=reason, path=path, standing=name in standing)


def _is_standing(spec: str, old: TreeFacts, new: TreeFacts) -> bool:
    """Whether a spec could not be read before, has not been touched, and is refused in the same words."""
    before, now = old.failed.get(spec), new.failed[spec]
    return before is not None and before.to_json() == now.to_json() and old.blobs.get(spec) == new.blobs.get(spec)


def _images(
    after: Graph,
    old: TreeFacts,
    new: TreeFacts,
    certain: Collection[str],
    possible: Collection[str],
    removed: Collection[str],
    before: Graph,
) -> Iterator[ImageForecast]:
    for name in sorted(new.images):
        known, now = old.images.get(name), new.images[name]
        reason = _own_reason(known, now)
        if reason is None and now.problem is None and (certain or removed):
            held = after.makers(after.image_packages(now.packages)) | (
                before.makers(before.image_packages(now.packages)) & set(removed)
            )
            sure, maybe = held & (set(certain) | set(removed)), held & set(possible)
            if sure:
                reason = f"holds packages of {listed(sure)}"
            elif maybe:
                yield ImageForecast(image=name, certain=False, reason=f"holds packages of {listed(maybe)}")
        elif reason is None and now.problem is not None and (certain or removed):
            yield ImageForecast(image=name, certain=False, reason=f"its definition cannot be read: {now.problem}")
        if reason is not None:
            yield ImageForecast(image=name, certain=True, reason=reason)


def _own_reason(known: ImageFacts | None, now: ImageFacts) -> str | None:
    trouble = f", and cannot be read: {now.problem}" if now.problem else ""
    if known is None:
        return f"new{trouble}"
    if known.definition != now.definition:
        return f"its definition changed{trouble}"
    return None


def _new_findings(before: Graph, after: Graph, own: Collection[str]) -> tuple[str, ...]:
    """Those that this change made: old ones would hide them."""
    if not own:
        return ()
    known = {each.subject for each in findings(before.edges.providers, own)}
    found = findings(after.edges.providers, own)
    return tuple(str(each) for each in found if each.subject not in known)


def _time(graph: Graph, names: Collection[str], durations: Mapping[str, float], jobs: int) -> Estimate | None:
    if not names or not durations:
        return None
    knot_of = {name: knot for level in graph.levels() for knot in level for name in knot}
    chosen = set(names)
    needs = {name: (graph.build_inputs(name) & chosen) - set(knot_of[name]) for name in names}
    return estimate(needs, durations, jobs=jobs)
