"""The story of the night: everything is rebuilt from scratch and compared with what consumers have."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from prefect import State, flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.fanout import Needs, Unit, fan_out
from flows.seen import audit as show
from release.errors import Refused
from release.product.builds import Build
from tasks.audit import AuditReport, PackageAudit, Rebuilt, keep_report, rebuild
from tasks.bench import Bench, make_bench
from tasks.detect import previous_release
from tasks.fetch import fetch_builds, fetch_distro, fetch_head, fetch_snapshot
from tasks.prepare import prepare
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools

STALE = timedelta(hours=6)  # Prefect runs what it missed, all at once; a night that is long over is skipped


@flow(
    name="nightly",
    flow_run_name="nightly rebuild",
    description="Rebuilds every package of the newest release from scratch and reports whether the bits are equal.",
)
async def nightly() -> State[object]:
    """Audit the first channel's release. Fails, naming the packages, when one is not bit-identical."""
    planned: datetime | None = runtime.flow_run.scheduled_start_time
    if planned and datetime.now(UTC) - planned > STALE:
        return Completed(name="Stale", message=f"planned for {planned}, too long ago")
    async with open_tools(read_settings()) as tools:
        report = await _audit(tools)
    await show(report)
    differing = [each.package for each in report.packages if not each.identical]
    if differing:
        return Failed(message=f"not bit-identical: {', '.join(differing)}", data=None)
    return Completed(message=f"{len(report.packages)} packages are bit-identical to {report.release}")


async def _audit(tools: Tools) -> AuditReport:
    distro = await fetch_distro(tools, await fetch_head(tools, tools.settings.branch))
    previous = await previous_release(tools, distro)
    if previous is None:
        raise Refused("there is no release to audit", hint="push a commit to the stable branch first")
    commit = previous.release.source.commit
    tree = await prepare(tools, commit)
    bench = await make_bench(tools, tree, previous, invocation=str(runtime.flow_run.id or commit))
    snapshot = await fetch_snapshot(tools, distro.rpms_repository, previous.release.snapshot.digest)
    published = {build.package: build for build in await fetch_builds(tools, distro.rpms_repository, snapshot)}
    packages = await _rebuild_all(tools, bench, published)
    report = AuditReport(release=previous.reference.digest, commit=commit, finished=tools.now(), packages=packages)
    await keep_report(tools, distro, report)
    return report


async def _rebuild_all(tools: Tools, bench: Bench, published: Mapping[str, Build]) -> tuple[PackageAudit, ...]:
    folder = tools.scratch("audit")
    needs: Needs = {(name,): bench.graph.build_inputs(name) for level in bench.graph.order() for name in level}

    async def one(unit: Unit, done: Mapping[str, Rebuilt]) -> Mapping[str, Rebuilt]:
        (name,) = unit
        again = _rebuild.with_options(task_run_name=f"rebuild {name}")
        inputs = {each: done[each] for each in needs[unit]}
        made: Rebuilt = await again(tools, bench, name, inputs, published.get(name))
        return {name: made}

    try:
        outcome = await fan_out(lambda: needs, one, jobs=tools.settings.jobs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = [each.audit for each in outcome.done.values()]
    found += [
        PackageAudit(package=name, identical=False, error=error.message) for name, error in outcome.failed.items()
    ]
    found += [PackageAudit(package=name, identical=False, error=f"needs {on}") for name, on in outcome.blocked.items()]
    return tuple(sorted(found, key=lambda each: each.package))


@task(name="rebuild", cache_policy=NO_CACHE, persist_result=False)
async def _rebuild(
    tools: Tools, bench: Bench, name: str, inputs: Mapping[str, Rebuilt], published: Build | None
) -> Rebuilt:
    return await rebuild(tools, bench, name, inputs, published, tools.scratch("audit"))
