"""The story of a release's builds: each package after what it needs, those that need each other in two passes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.fanout import Needs, Outcome, Unit, fan_out
from release.errors import Error, Refused
from release.interfaces.interface_differences import differences
from release.product.standing import Standing
from release.status import BuildState, BuildStatus
from release.tools.builder import RootFailed
from tasks.bench import Bench
from tasks.make import make
from tasks.progress import Progress
from tasks.recall import Previous
from tasks.want import Made, Wanted, standing_for, want

if TYPE_CHECKING:
    from tasks.wiring import Tools

_CYCLE_HINT = (
    "remove one of the BuildRequires that close the cycle, or find what makes two builds from equal inputs differ: "
    "a time stamp, a version of its own that it embeds"
)


async def build_all(
    tools: Tools, bench: Bench, previous: Previous | None, progress: Progress, *, jobs: int
) -> Outcome[Made]:
    """Every package of the tree: the published build where nothing that it observes changed, else one that the registry
    has, else a new one. A failure stops only what depends on it; a spec that did not parse is such a failure."""
    work = _Building(tools, bench, previous, progress)
    outcome = await fan_out(work.needs, work.unit, jobs=jobs, failed=bench.failures)
    for name in outcome.blocked:
        progress.build(name, BuildState.BLOCKED)
    return outcome


class _Building:
    """The builds of one release in the making."""

    def __init__(self, tools: Tools, bench: Bench, previous: Previous | None, progress: Progress) -> None:
        self._tools = tools
        self._bench = bench
        self._previous = previous
        self._progress = progress

    def needs(self) -> Needs:
        """What each unit needs, as far as is known: the graph learns what built packages really require."""
        return self._bench.needs

    async def unit(self, unit: Unit, done: Mapping[str, Made]) -> Mapping[str, Made]:
        """Build a package, or a knot of packages that need each other."""
        view = _Overlay(done)
        (first, *others) = unit
        alone = not others and first not in self._bench.graph.build_inputs(first)
        made = {first: await self._package(first, view)} if alone else await self._knot(unit, view)
        self._bench.learn({name: each.standing.binaries for name, each in made.items()})
        return made

    async def _knot(self, unit: Unit, view: _Overlay) -> Mapping[str, Made]:
        """Each that a change reaches once, beginning with what was published before; then those that saw something
        else than what came out, once more: that must not change what the others see, or there is no end to it."""
        for name in unit:
            if self._previous and name in self._previous.standing:
                view.put(name, self._previous.standing[name])
        made = await self._first_pass(unit, view)
        built = {name for name, each in made.items() if each.wanted.comparison}
        while (stale := self._next(made, built, view)) is not None:
            again = await self._package(stale, view)
            if stale in built:
                _require_the_same(unit, stale, made[stale].standing, again.standing)
            built.add(stale)
            made[stale] = again
            view.put(stale, again.standing)
        return made

    def _next(self, made: Mapping[str, Made], built: Collection[str], view: _Overlay) -> str | None:
        """Of those that saw something else than what stands now the next to build: one that was not built yet, because
        its first build may still change what others see."""
        stale = (name for name, each in made.items() if self._saw_another(each, view))
        return min(stale, key=lambda name: name in built, default=None)

    async def _first_pass(self, unit: Unit, view: _Overlay) -> dict[str, Made]:
        """Each package once. Where nothing was published yet, one whose needs are not there is tried after the others;
        when none can begin, there is no way into the knot."""
        made: dict[str, Made] = {}
        waiting = list(unit)
        while waiting:
            began = len(waiting)
            for name in tuple(waiting):
                try:
                    made[name] = await self._package(name, view)
                except RootFailed:
                    if name in view:
                        raise
                    continue
                view.put(name, made[name].standing)
                waiting.remove(name)
            if len(waiting) == began:
                raise self._bench.no_way_in(waiting)
        return made

    def _saw_another(self, made: Made, view: _Overlay) -> bool:
        """Whether what a build observed is not what stands now at the end of the first pass."""
        now = want(self._bench, made.wanted.package.name, view, self._previous)
        seen = made.standing.consumed
        new = now.root.keys() - made.wanted.root.keys()
        return bool(new) or any(now.root.get(name) != made.wanted.root.get(name) for name in seen)

    async def _package(self, name: str, view: _Overlay) -> Made:
        wanted = want(self._bench, name, view, self._previous)
        found = await standing_for(self._tools, self._bench, wanted)
        if found is not None:
            if wanted.comparison:
                self._progress.build(name, BuildState.CACHED)
            else:
                self._progress.build(name, BuildState.SKIPPED)
            return found
        self._progress.also(waiting(self._bench, name, wanted.comparison.reasons[0]))
        self._progress.build(name, BuildState.BUILDING)
        try:
            made: Made = await _make.with_options(task_run_name=f"build {name}")(self._tools, self._bench, wanted)
        except Error:
            self._progress.build(name, BuildState.FAILED)
            raise
        ran = made.ran
        self._progress.build(
            name,
            BuildState.BUILT if made.is_new else BuildState.KEPT,
            seconds=ran.seconds if ran else None,
            rpmbuild_seconds=ran.rpmbuild_seconds if ran else None,
            log_url=ran.log_url if ran else None,
        )
        return made


class _Overlay(Mapping[str, Standing]):
    """What stands for each package that is done, and, on top of it, for the packages of one knot in the making."""

    def __init__(self, done: Mapping[str, Made]) -> None:
        self._done = done
        self._over: dict[str, Standing] = {}

    def put(self, name: str, standing: Standing) -> None:
        """From now on this stands for a package."""
        self._over[name] = standing

    def __getitem__(self, name: str) -> Standing:
        """What stands for a package."""
        return self._over[name] if name in self._over else self._done[name].standing

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._done.keys() | self._over.keys())

    def __len__(self) -> int:
        """How many packages."""
        return len(self._done.keys() | self._over.keys())


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
async def _make(tools: Tools, bench: Bench, wanted: Wanted) -> Made:
    return await make(tools, bench, wanted)


def _require_the_same(unit: Unit, name: str, first: Standing, second: Standing) -> None:
    if first.table != second.table:
        raise Refused(
            f"packages that need each other do not converge: {', '.join(unit)}",
            where=name,
            got="; ".join(differences(first.interfaces, second.interfaces)[:5]),
            expected="the second build to look to the others as the first one did",
            hint=_CYCLE_HINT,
        )


def waiting(bench: Bench, name: str, reason: str) -> BuildStatus:
    """A package that is about to be built."""
    evr = bench.graph.packages[name].evr
    return BuildStatus(package=name, evr=evr, arch=bench.arch, state=BuildState.WAITING, reason=reason)


def refuse_failures(outcome: Outcome[Made]) -> None:
    """One error for everything that failed: the first in full, the others and what they block by name."""
    if not outcome.failed:
        return
    (_, first), *others = outcome.failed.items()
    if others:
        first.hint = f"{first.hint}\n  also failed: {', '.join(sorted(name for name, _ in others))}"
    if outcome.blocked:
        first.hint = f"{first.hint}\n  not built, because it needs them: {', '.join(sorted(outcome.blocked))}"
    raise first
