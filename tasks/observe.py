"""Observes everything that a maintainer wants to know at 3 a.m.: channels, commits, releases, audit, health."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from release.channel.audits import Ledger
from release.channel.channels import Channel
from release.errors import Broken, Error
from release.instants import span_text
from release.product.aliases import ReleaseRef
from release.product.releases import Release
from release.source.commits import CommitNote, parse_note
from release.source.distro import Distro
from release.status import (
    BuildState,
    BuildStatus,
    Candidate,
    ChannelStatus,
    Command,
    CommitState,
    CommitStatus,
    Health,
    Hold,
    Published,
    ReleaseStatus,
    Service,
    Status,
)  # fmt: skip
from release.wording import listed
from signing.policy import Role, identity_of
from tasks.assess import assess, standing_in_the_way
from tasks.fetch import fetch_channel, fetch_distro, fetch_head, fetch_ledger, fetch_release, fetch_rules
from tasks.progress import Snapshot, read_progress

if TYPE_CHECKING:
    from release.tools.git import Commit
    from tasks.wiring import Tools

COMMITS = 15
RELEASES = 5


async def observe(tools: Tools, services: Sequence[Service] = ()) -> Status:
    """The status now. What git and the registry say is read anew; a part that cannot be read is not guessed."""
    distro = await fetch_distro(tools, await fetch_head(tools, tools.settings.branch))
    progress = await asyncio.to_thread(read_progress, tools.settings.folder / "progress")
    pointers = [(await fetch_channel(tools, distro, name))[0] for name in distro.channels]
    releases = await _releases(tools, distro, pointers)
    ledger, _ = await fetch_ledger(tools, distro)
    return Status(
        name=distro.name,
        title=distro.title,
        version=distro.version,
        trust="embedded" if tools.settings.embedded_trust else tools.issuer,
        taken_at=tools.now(),
        channels=tuple([await _channel(tools, distro, pointer, pointers, ledger) for pointer in pointers]),
        commits=await _commits(tools, distro, progress),
        builds=_builds(progress),
        releases=tuple(_release(tools, distro, reference, release, progress) for reference, release in releases),
        services=tuple(services),
        run=next((each.run for each in progress if each.alive), None),
        audit=await assess(tools, distro, pointers, ledger),
    )


async def _channel(
    tools: Tools, distro: Distro, pointer: Channel, pointers: Sequence[Channel], ledger: Ledger
) -> ChannelStatus:
    current, hold = pointer.current, pointer.held(tools.now())
    released = (await fetch_release(tools, distro, current.digest)).source.time if current else None
    return ChannelStatus(
        name=pointer.channel,
        serial=pointer.serial,
        alias=current.alias if current else None,
        digest=current.digest if current else None,
        released_at=released,
        moved_at=pointer.history[0].at if pointer.history else None,
        hold=Hold(reason=hold.reason, by=hold.by, until=hold.until) if hold else None,
        candidate=await _candidate(tools, distro, pointer, pointers, ledger),
    )


async def _candidate(
    tools: Tools, distro: Distro, pointer: Channel, pointers: Sequence[Channel], ledger: Ledger
) -> Candidate | None:
    """What upstream has and this channel has not, and from when it may move. Only the clock and the nightly audit are
    looked at here: the whole decision, with every signature, is made by the run that moves the channel."""
    rules = await fetch_rules(tools, await fetch_head(tools, tools.settings.branch), pointer.channel)
    upstream = next((each for each in pointers if each.channel == rules.policy.upstream), None)
    if upstream is None or upstream.current is None or upstream.current == pointer.current:
        return None
    faults = await standing_in_the_way(tools, distro, upstream.current, ledger, rules)
    if faults:
        held = f"is not confirmed by the nightly audit: {listed([each.package for each in faults])}"
        return Candidate(alias=upstream.current.alias, held_back_by=held, eligible_at=None)
    since = upstream.passed_at(upstream.current.digest)
    needed = min(rule.soak_seconds for rule in rules.policy.lanes)
    age = (tools.now() - since).total_seconds() if since else 0
    if age < needed and since:
        held = f"needs {span_text(needed)} of soak in {upstream.channel}, has {span_text(age)}"
        return Candidate(alias=upstream.current.alias, held_back_by=held, eligible_at=since + timedelta(seconds=needed))
    return Candidate(alias=upstream.current.alias, held_back_by="is being decided", eligible_at=None)


async def _commits(tools: Tools, distro: Distro, progress: Sequence[Snapshot]) -> tuple[CommitStatus, ...]:
    head = await fetch_head(tools, distro.branch)
    log, notes = await asyncio.gather(
        asyncio.to_thread(tools.repository.log, None, head), asyncio.to_thread(tools.repository.notes)
    )
    running = {each.run.commit for each in progress if each.alive}
    return tuple(_commit(tools, distro, each, notes, running) for each in list(log)[: -COMMITS - 1 : -1])


def _commit(
    tools: Tools, distro: Distro, commit: Commit, notes: Mapping[str, bytes], running: set[str]
) -> CommitStatus:
    note = parse_note(notes[commit.sha], commit=commit.sha) if commit.sha in notes else None
    state = CommitState.RUNNING if commit.sha in running else CommitState.QUEUED
    url = None
    if note and note.log:
        url = f"{tools.settings.registry_public}/v2/{distro.rpms_repository}/blobs/{note.log}"
    return CommitStatus(
        sha=commit.sha,
        subject=commit.subject,
        author=commit.author.partition(" <")[0],
        committed_at=commit.time,
        state=CommitState(note.state) if note else state,
        detail=_detail(note) if note else "",
        log_url=url,
    )


def _detail(note: CommitNote) -> str:
    if note.release:
        return f"{note.release.alias}{f': {note.reason}' if note.reason else ''}"
    return note.reason


def _builds(progress: Sequence[Snapshot]) -> tuple[BuildStatus, ...]:
    """The builds of the newest finished run that built something."""
    for each in progress:
        built = tuple(build for build in each.run.builds if build.state is not BuildState.WAITING)
        if each.finished and built:
            return built
    return ()


async def _releases(
    tools: Tools, distro: Distro, pointers: Sequence[Channel]
) -> tuple[tuple[ReleaseRef, Release], ...]:
    references: dict[str, ReleaseRef] = {}
    for entry in sorted(
        (each for pointer in pointers for each in pointer.history), key=lambda each: each.at, reverse=True
    ):
        references.setdefault(entry.release.digest, entry.release)
    newest = list(references.values())[:RELEASES]
    return tuple([(reference, await fetch_release(tools, distro, reference.digest)) for reference in newest])


def _release(
    tools: Tools, distro: Distro, reference: ReleaseRef, release: Release, progress: Sequence[Snapshot]
) -> ReleaseStatus:
    run = next((each.run for each in progress if each.run.commit == release.source.commit), None)
    host = tools.settings.registry_public.partition("://")[2]
    return ReleaseStatus(
        alias=reference.alias,
        digest=reference.digest,
        commit=release.source.commit,
        released_at=release.source.time,
        rebuilt=sum(build.state is BuildState.BUILT for build in run.builds) if run else 0,
        published=(
            Published(name="packages", reference=f"{host}/{release.rpms_repository}@{release.snapshot.digest}"),
            *(
                Published(name=image.name, reference=f"{host}/{image.repository}@{image.digest}")
                for image in release.images
            ),
        ),
        verify=tuple(
            Command(
                proves=f"{image.name} was signed by {distro.title}",
                line=cosign_command(tools, distro, f"{host}/{image.repository}@{image.digest}"),
            )
            for image in release.images
        ),
    )


def cosign_command(tools: Tools, distro: Distro, reference: str) -> str:
    """What a consumer runs: cosign 3 with the trusted root of this installation, and the release identity."""
    return (
        f"cosign verify --trusted-root trusted_root.json "
        f"--certificate-identity {identity_of(distro.identity, Role.SIGN)} "
        f"--certificate-oidc-issuer {tools.issuer} {reference}"
    )


async def registry_health(tools: Tools) -> Service:
    """Whether the registry answers."""
    try:
        await asyncio.wait_for(tools.registry.ping(), timeout=2)
    except (Error, TimeoutError) as error:
        detail = error.message if isinstance(error, Broken) else str(error)
        return Service(name="registry", health=Health.DOWN, detail=detail, url=tools.settings.registry)
    return Service(name="registry", health=Health.UP, url=tools.settings.registry)
