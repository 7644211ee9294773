"""The story of a commit on the stable branch: from what changed to a release that the first channel points at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE

from flows import seen
from flows.fanout import Outcome, fan_out
from release import oci
from release.digests import canonical_json, digest_of
from release.errors import Broken, Error, Refused
from release.product.aliases import ReleaseRef
from release.product.releases import CERTIFICATES, PLAN, Referrer, Release, SourceCommit, Trust
from release.source.commits import CommitNote, End
from release.source.plan import Plan
from release.status import BuildState, BuildStatus
from signing.policy import Trust as SignerTrust
from tasks.assemble import Assembled, assemble, stock
from tasks.bench import Bench, make_bench
from tasks.build import Built, build, key_of, reuse
from tasks.detect import Previous, changes_since, ended_already, previous_release
from tasks.follow import follow
from tasks.prepare import Tree, check, prepare
from tasks.progress import Progress, new_run
from tasks.promote import promote
from tasks.publish import PublishedSnapshot, provenance_of, publish_release, publish_snapshot
from tasks.record import record
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools

UNCHANGED = "nothing that it is made from changed"
STAGES = ("detect", "toolchain", "plan", "build", "publish", "images", "release", "promote")


def _run_name() -> str:
    parameters: Mapping[str, Any] = runtime.flow_run.parameters
    subject = str(parameters.get("subject") or "commit")
    return f"{subject[:60]} ({str(parameters.get('commit', ''))[:12]})"


@flow(
    name="on-commit",
    flow_run_name=_run_name,
    description="A commit on the stable branch becomes a signed release in the first channel.",
)
async def on_commit(repository: str, commit: str, subject: str = "") -> str:
    """Release a commit; how it ended, in a word or two. `repository` is for people: the settings name the one in use.

    A `Refused` ends the commit with a note; a `Broken` leaves it open, and the poller tries again.
    """
    async with open_tools(read_settings()) as tools:
        try:
            ended = await ended_already(tools, commit)
            note = ended.note if ended else await _watched(tools, commit, subject)
        except Broken:
            raise
        except Error as error:
            await record(tools, commit, _bad_end(error), now=tools.now())
            raise
        note = await record(tools, commit, note, now=tools.now())
        return f"{note.state}: {note.release.alias if note.release else note.reason}"


async def _watched(tools: Tools, commit: str, subject: str) -> CommitNote:
    """The release, with a file that people follow it by."""
    progress = Progress(
        folder=tools.settings.folder / "progress",
        run=new_run(
            name=_run_name() if subject else commit[:12], commit=commit, subject=subject, stages=STAGES,
            now=tools.now(), url=_run_url(tools.settings.prefect_api),
        ),
    )  # fmt: skip
    try:
        return await _release(tools, commit, progress)
    finally:
        progress.finish()


async def _release(tools: Tools, commit: str, progress: Progress) -> CommitNote:
    with progress.stage("detect"):
        tree = await prepare(tools, commit)
        await check(tools, tree)
        previous = await previous_release(tools, tree.distro)
    if previous and previous.release.source.commit == commit:  # a run that was killed before it could say so
        await follow(tools, tree.distro, tree.distro.channels[0])
        return CommitNote(state=End.RELEASED, release=previous.reference)
    with progress.stage("toolchain"):
        bench = await make_bench(tools, tree, invocation=str(runtime.flow_run.id or commit))
    with progress.stage("plan"):
        plan = await _plan(tools, bench, previous, progress)
    if previous and not plan.steps and not plan.images:
        return CommitNote(
            state=End.NO_OP, release=previous.reference, reason="nothing that a release is made of changed"
        )
    with progress.stage("build"):
        built = await _build_all(tools, bench, plan, progress)
    with progress.stage("publish"):
        builds = [*bench.toolchain.builds, *(each.build for each in built.values())]
        snapshot = await publish_snapshot(
            tools, tree.distro, commit=commit, committed=tree.commit.time, builds=builds,
            previous=previous.release.snapshot.digest if previous else None,
        )  # fmt: skip
    with progress.stage("images"):
        pantry = await stock(tools, bench, builds, snapshot)
        images = [await assemble(tools, bench, pantry, entry) for entry in tree.distro.images]
    with progress.stage("release"):
        proofs = await provenance_of(tools, tree.distro, builds)
        reference = await _publish(tools, bench, plan, built, snapshot, images, proofs)
    with progress.stage("promote"):
        await _enter_first_channel(tools, tree, reference)
    await seen.release(reference, built, images, progress)
    return CommitNote(state=End.RELEASED, release=reference)


async def _plan(tools: Tools, bench: Bench, previous: Previous | None, progress: Progress) -> Plan:
    changes = await changes_since(tools, bench.tree, previous)
    images = {image.name: None for image in bench.tree.distro.images}
    plan = Plan.of(
        graph=bench.graph, changes=changes, previous=previous.plan if previous else None,
        images=images if not changes.is_empty else {},
    )  # fmt: skip
    progress.plan(tuple(_waiting(bench, step.package, step.reason) for step in plan.steps))
    await seen.plan(plan, bench.tree.commit.sha)
    return plan


def _waiting(bench: Bench, name: str, reason: str) -> BuildStatus:
    evr = bench.graph.packages[name].evr
    return BuildStatus(package=name, evr=evr, arch=bench.arch, state=BuildState.WAITING, reason=reason)


async def _build_all(tools: Tools, bench: Bench, plan: Plan, progress: Progress) -> Mapping[str, Built]:
    """Every package of the tree, from the registry where its key is known, otherwise built; keeps going on failure."""
    planned = {step.package for step in plan.steps}
    needs = {name: bench.graph.build_inputs(name) for level in bench.graph.order() for name in level}

    async def one(name: str, inputs: Mapping[str, Built]) -> Built:
        key = key_of(bench, name, inputs)
        found = await reuse(tools, bench, key)
        if found:
            if name in planned:
                progress.build(name, BuildState.CACHED)
            return found
        progress.also(_waiting(bench, name, "its build key is new: another import of the toolchain, or lost builds"))
        progress.build(name, BuildState.BUILDING)
        try:
            made: Built = await _build.with_options(task_run_name=f"build {name}")(tools, bench, name, key, inputs)
        except Error:
            progress.build(name, BuildState.FAILED)
            raise
        progress.build(
            name,
            BuildState.BUILT,
            seconds=made.seconds,
            rpmbuild_seconds=made.rpmbuild_seconds,
            log_url=made.log_url,
        )
        return made

    outcome = await fan_out(needs, one, jobs=tools.settings.jobs)
    for name in outcome.blocked:
        progress.build(name, BuildState.BLOCKED)
    await seen.builds(outcome.done)
    _refuse_failures(outcome)
    return outcome.done


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
async def _build(tools: Tools, bench: Bench, name: str, key: str, inputs: Mapping[str, Built]) -> Built:
    return await build(tools, bench, name, key, inputs)


def _refuse_failures(outcome: Outcome[Built]) -> None:
    """One error for everything that failed: the first in full, the others and what they block by name."""
    if not outcome.failed:
        return
    (_, first), *others = outcome.failed.items()
    if others:
        first.hint = f"{first.hint}\n  also failed: {', '.join(sorted(name for name, _ in others))}"
    if outcome.blocked:
        first.hint = f"{first.hint}\n  not built, because it needs them: {', '.join(sorted(outcome.blocked))}"
    raise first


async def _publish(
    tools: Tools,
    bench: Bench,
    plan: Plan,
    built: Mapping[str, Built],
    snapshot: PublishedSnapshot,
    images: list[Assembled],
    proofs: tuple[Referrer, ...],
) -> ReleaseRef:
    distro, commit = bench.tree.distro, bench.tree.commit
    plan_json = canonical_json(plan.to_json())
    # Not whether this run built it: a release is the same whichever attempt made it.
    reasons = {step.package: step.reason for step in plan.steps}
    certificates = canonical_json(
        {name: {"key": each.build.key, "reason": reasons.get(name, UNCHANGED)} for name, each in sorted(built.items())}
    )
    release = Release(
        source=SourceCommit(repository=tools.repository_uri, commit=commit.sha, time=commit.time),
        distro=distro.name,
        version=distro.version,
        trust=Trust.EMBEDDED if tools.verifier.trust is SignerTrust.EMBEDDED else Trust.PRIVATE,
        rpms_repository=distro.rpms_repository,
        snapshot=snapshot.descriptor,
        images=tuple(each.image for each in images),
        referrers=(*proofs, *(sbom for each in images for sbom in each.sboms)),
        plan=oci.blob(plan_json, PLAN),
        certificates=oci.blob(certificates, CERTIFICATES),
    )
    return await publish_release(tools, distro, release, plan=plan_json, certificates=certificates)


async def _enter_first_channel(tools: Tools, tree: Tree, reference: ReleaseRef) -> None:
    """Decide, commit the pointer, let the tags follow; the event of that commit finds nothing left to do."""
    channel = tree.distro.channels[0]
    promotion = await promote(tools, channel, now=tools.now(), candidate=reference)
    excuse = promotion.decisions[-1].excuse
    if promotion.moved is None and excuse is not None and excuse.gate != "current":
        raise Refused(excuse.message, where=f"channel {channel!r}", got=excuse.got, expected=excuse.expected,
                      hint=excuse.action)  # fmt: skip
    await follow(tools, tree.distro, channel)


def _run_url(api: str) -> str | None:
    run = runtime.flow_run.id
    return f"{api.removesuffix('/api')}/runs/flow-run/{run}" if run else None


def _bad_end(error: Error) -> CommitNote:
    """A build that failed left a log; everything else that is no accident was refused by a rule."""
    log: bytes | None = getattr(error, "log", None)
    if log is None:
        return CommitNote(state=End.REFUSED, reason=_one_line(error))
    return CommitNote(state=End.FAILED, reason=_one_line(error), log=digest_of(log))


def _one_line(error: Error) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message
