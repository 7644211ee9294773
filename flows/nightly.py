"""The story of the night: everything is rebuilt from scratch and compared with what consumers have."""

from __future__ import annotations

import asyncio
import shutil
from collections import ChainMap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from prefect import State, flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.fanout import Unit, fan_out
from flows.seen import audit as show
from release.channel.audits import Agreement, AuditReport, PackageAudit
from release.errors import Refused
from release.wording import listed
from tasks.audit import Fresh, Night
from tasks.bench import make_bench
from tasks.detect import previous_release
from tasks.fetch import fetch_distro, fetch_head
from tasks.prepare import prepare
from tasks.report import report
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools

STALE = timedelta(hours=6)  # Prefect runs what it missed, all at once; a night that is long over is skipped


@flow(
    name="nightly",
    flow_run_name="nightly rebuild",
    description="Rebuilds every package of the newest release from scratch: is it what was published?",
)
async def nightly() -> State[object]:
    """Audit the first channel's release. Fails, naming the packages, when one does not come out as it was published."""
    planned: datetime | None = runtime.flow_run.scheduled_start_time
    if planned and datetime.now(UTC) - planned > STALE:
        return Completed(name="Stale", message=f"planned for {planned}, too long ago")
    async with open_tools(read_settings()) as tools:
        found = await _audit(tools)
    await show(found)
    if found.faults:
        named = listed([f"{each.package} {each.kind.sentence}" for each in found.faults])
        return Failed(message=f"{found.release.alias} does not hold: {named}", data=None)
    if found.unknown:
        return Failed(message=f"could not be rebuilt: {listed(found.unknown)}", data=None)
    return Completed(message=f"{found.release.alias} holds: {len(found.packages)} packages come out as published")


async def _audit(tools: Tools) -> AuditReport:
    distro = await fetch_distro(tools, await fetch_head(tools, tools.settings.branch))
    published = await previous_release(tools, distro)
    if published is None:
        raise Refused("there is no release to audit", hint="push a commit to the stable branch first")
    if not published.certificates.packages:
        raise Refused("the release has no certificates, so it says of no package what its build observed",
                      where=published.reference.alias, hint="it is of version 0.1: audit the next one")  # fmt: skip
    commit = published.release.source.commit
    tree = await prepare(tools, commit)
    bench = await make_bench(tools, tree, published, invocation=str(runtime.flow_run.id or commit))
    night = Night(tools, bench, published, tools.scratch("audit"))
    try:
        packages = await _rebuild_all(night)
    finally:
        await asyncio.to_thread(shutil.rmtree, night.folder, ignore_errors=True)
    found = AuditReport(release=published.reference, commit=commit, finished=tools.now(), packages=packages)
    await report(tools, distro, found, night.differences)
    return found


async def _rebuild_all(night: Night) -> tuple[PackageAudit, ...]:
    """Every package after what it needs. A package that does not build is a fault of it; what needs it is rebuilt
    against the published one. Where the world fails, what depends on that is unknown."""

    async def unit(names: Unit, done: Mapping[str, Fresh]) -> Mapping[str, Fresh]:
        fresh = await _unit(night, names, done)
        night.bench.learn({name: each.standing.binaries for name, each in fresh.items()})
        return fresh

    outcome = await fan_out(lambda: night.bench.needs, unit, jobs=night.tools.settings.jobs)
    found = {name: each.audit for name, each in outcome.done.items()}
    found |= {name: night.unknown(name, error.message) for name, error in outcome.failed.items()}
    found |= {name: night.unknown(name, f"needs {on}") for name, on in outcome.blocked.items()}
    found |= {name: night.unknown(name) for name in night.published.certificates.packages if name not in found}
    return tuple(found[name] for name in sorted(found))


async def _unit(night: Night, names: Unit, done: Mapping[str, Fresh]) -> Mapping[str, Fresh]:
    """One package; or a knot: against the published builds, then those that saw something else once more."""
    (first, *others) = names
    if not others and first not in night.bench.graph.build_inputs(first):
        return {first: await _rebuild(night, first, done)}
    fresh = {name: await night.as_published(name) for name in names}
    view = ChainMap(fresh, dict(done))
    for name in names:
        fresh[name] = await _rebuild(night, name, view)
    for name in names:
        if fresh[name].audit.agreement is not Agreement.FAILED and night.saw_another(name, fresh[name], view):
            fresh[name] = await _rebuild(night, name, view)
    return fresh


async def _rebuild(night: Night, name: str, view: Mapping[str, Fresh]) -> Fresh:
    run = _task.with_options(task_run_name=f"rebuild {name}")
    fresh: Fresh = await run(night, name, _View(view))
    return fresh


class _View:
    """Hides a large mapping from Prefect, which would walk through it."""

    def __init__(self, fresh: Mapping[str, Fresh]) -> None:
        self.fresh = fresh


@task(name="rebuild", cache_policy=NO_CACHE, persist_result=False)
async def _task(night: Night, name: str, view: _View) -> Fresh:
    return await night.rebuild(name, view.fresh)
