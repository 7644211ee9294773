"""The story of a commit on the stable branch: from what changed to a release that the first channel points at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow, runtime

from flows import seen
from flows.building import build_all, refuse_failures, waiting
from release import oci
from release.digests import canonical_json, digest_of
from release.errors import Broken, Error, Refused
from release.forecast.accounts import ACCOUNT, account
from release.forecast.forecasts import Forecast
from release.product.aliases import ReleaseRef
from release.product.releases import CERTIFICATES, PLAN, Referrer, Release, SourceCommit, Trust
from release.source.certificates import Certificates, nothing_new
from release.source.commits import CommitNote, End
from signing.policy import Trust as SignerTrust
from tasks.assemble import Assembled, assemble, stock
from tasks.bench import Bench, make_bench
from tasks.certify import certify, require_one_owner, seconds_of
from tasks.detect import ended_already, previous_release
from tasks.expect import expect
from tasks.follow import follow
from tasks.foresee import keep_durations
from tasks.prepare import Tree, check, prepare
from tasks.progress import Progress, new_run
from tasks.promote import promote
from tasks.publish import PublishedSnapshot, keep_beside, provenance_of, publish_release, publish_snapshot
from tasks.recall import Previous
from tasks.record import record
from tasks.settings import read_settings
from tasks.want import Made
from tasks.wiring import Tools, open_tools

UNCHANGED = "nothing that a release is made of changed"
SHOWN = 300  # possible builds on the page of a run: who follows from a compiler is a list that nobody reads
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
        bench = await make_bench(tools, tree, previous, invocation=str(runtime.flow_run.id or commit))
    with progress.stage("plan"):
        forecast = await _foresee(tools, bench, previous, progress)
    if previous and forecast.is_empty:
        return CommitNote(state=End.NO_OP, release=previous.reference, reason=UNCHANGED)
    with progress.stage("build"):
        made = await _build(tools, bench, previous, progress)
    with progress.stage("publish"):
        builds = [*bench.toolchain.builds, *(each.standing.build for each in made.values())]
        snapshot = await publish_snapshot(
            tools, tree.distro, commit=commit, committed=tree.commit.time, builds=builds,
            previous=previous.release.snapshot.digest if previous else None,
        )  # fmt: skip
    with progress.stage("images"):
        pantry = await stock(tools, bench, builds, snapshot)
        images = [await assemble(tools, bench, pantry, entry) for entry in tree.distro.images]
    certificates = certify(bench, made, previous, images)
    if previous and _is_published(previous, snapshot, images):
        await seen.certificates(certificates, commit)
        return CommitNote(state=End.NO_OP, release=previous.reference, reason=nothing_new(certificates))
    with progress.stage("release"):
        known = previous.release.referrers if previous else ()
        proofs = await provenance_of(tools, tree.distro, builds, known=known)
        reference = await _publish(tools, bench, forecast, certificates, snapshot, images, proofs)
    with progress.stage("promote"):
        await _enter_first_channel(tools, tree, reference)
    await _account(tools, tree, reference, forecast, certificates, seconds_of(made))
    await seen.release(reference, made, images, progress)
    return CommitNote(state=End.RELEASED, release=reference)


async def _account(
    tools: Tools,
    tree: Tree,
    reference: ReleaseRef,
    forecast: Forecast,
    certificates: Certificates,
    seconds: Mapping[str, float],
) -> None:
    """What was foreseen beside what happened: kept with the release, and shown."""
    found = account(forecast, certificates, seconds=seconds)
    await keep_beside(tools, tree.distro, reference.digest, found.to_bytes(), kind=ACCOUNT, title="forecast.json")
    await seen.account(found, tree.commit.sha)


async def _foresee(tools: Tools, bench: Bench, previous: Previous | None, progress: Progress) -> Forecast:
    """What will be built and what may be; `Refused` for what no build can make good."""
    forecast = await expect(tools, bench, previous)
    if forecast.refusals:
        raise forecast.refusals[0].error()
    planned = {each.package: "; ".join(each.reasons) for each in forecast.certain}
    planned |= {each.package: f"if what it observes changes: {each.path[-1]}" for each in forecast.possible[:SHOWN]}
    progress.plan(tuple(waiting(bench, name, reason) for name, reason in planned.items()))
    await seen.forecast(forecast, bench.tree.commit.sha)
    return forecast


async def _build(tools: Tools, bench: Bench, previous: Previous | None, progress: Progress) -> Mapping[str, Made]:
    outcome = await build_all(tools, bench, previous, progress, jobs=tools.settings.jobs)
    await seen.builds(outcome.done)
    await asyncio.to_thread(keep_durations, tools.settings.folder, seconds_of(outcome.done))
    refuse_failures(outcome)
    bench.require_complete(outcome.done)
    await asyncio.to_thread(require_one_owner, outcome.done)
    return outcome.done


def _is_published(previous: Previous, snapshot: PublishedSnapshot, images: Sequence[Assembled]) -> bool:
    """Whether the release would be, digest by digest, the one before."""
    before = {each.repository: each.digest for each in previous.release.images}
    now = {each.image.repository: each.image.digest for each in images}
    return (previous.release.snapshot.digest, before) == (snapshot.descriptor.digest, now)


async def _publish(
    tools: Tools,
    bench: Bench,
    forecast: Forecast,
    certificates: Certificates,
    snapshot: PublishedSnapshot,
    images: Sequence[Assembled],
    proofs: tuple[Referrer, ...],
) -> ReleaseRef:
    distro, commit = bench.tree.distro, bench.tree.commit
    plan, certified = canonical_json(forecast.timeless().to_json()), certificates.to_bytes()
    release = Release(
        source=SourceCommit(repository=tools.repository_uri, commit=commit.sha, time=commit.time),
        distro=distro.name,
        version=distro.version,
        trust=Trust.EMBEDDED if tools.verifier.trust is SignerTrust.EMBEDDED else Trust.PRIVATE,
        rpms_repository=distro.rpms_repository,
        snapshot=snapshot.descriptor,
        images=tuple(each.image for each in images),
        referrers=(*proofs, *(sbom for each in images for sbom in each.sboms)),
        plan=oci.blob(plan, PLAN),
        certificates=oci.blob(certified, CERTIFICATES),
    )
    return await publish_release(tools, distro, release, plan=plan, certificates=certified)


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
