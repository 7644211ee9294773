"""Finds what events missed: commits without an end, channels whose tags are not where git says."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from prefect import flow

from flows.runs import ON_CHANNEL_CHANGE, ON_COMMIT, Orchestrator, orchestrator
from release.channel.promotions import candidates
from release.source.commits import CommitNote, End
from release.source.distro import Distro
from release.tools.git import Commit
from tasks.fetch import fetch_channel, fetch_distro, fetch_head
from tasks.follow import drifted
from tasks.record import record
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools

ATTEMPTS = 3
LOOK_BACK = 500  # commits; a pipeline that slept longer releases the newest one and leaves older ones to a person


@flow(
    name="poll",
    flow_run_name="look for lost events",
    description="Starts the run of every commit whose event was lost; puts back tags; removes what the killed left.",
)
async def poll() -> str:
    """Heal; returns what was found, in words."""
    settings = read_settings()
    async with open_tools(settings) as tools, orchestrator() as prefect:
        distro = await fetch_distro(tools, await fetch_head(tools, settings.branch))
        found = [
            *[
                f"{name}: a container that a killed process left was removed"
                for name in await tools.containers.remove_strays()
            ],
            *await _lost_commits(tools, distro, prefect),
            *await _drift(tools, distro, prefect),
            *await _waiting(tools, distro, prefect),
        ]
    return "; ".join(found) or "nothing was lost"


async def _lost_commits(tools: Tools, distro: Distro, prefect: Orchestrator) -> list[str]:
    """The newest commit gets its run; older ones without an end were overtaken by it."""
    open_commits = await _without_end(tools, distro)
    if not open_commits:
        return []
    *older, newest = open_commits
    for commit in older:
        if not await _is_running(prefect, tools, commit):
            note = CommitNote(state=End.SUPERSEDED, superseded_by=newest.sha, reason=f"{newest.sha[:12]} contains it")
            await record(tools, commit.sha, note, now=tools.now())
    started = await _restart(tools, prefect, newest)
    return [f"{newest.sha[:12]}: {started}"] if started else []


async def _without_end(tools: Tools, distro: Distro) -> list[Commit]:
    head = await fetch_head(tools, distro.branch)
    notes, log = await asyncio.gather(
        asyncio.to_thread(tools.repository.notes), asyncio.to_thread(tools.repository.log, None, head)
    )
    newest = list(log)[-LOOK_BACK:]
    ended = [n for n, commit in enumerate(newest) if commit.sha in notes]
    return newest[max(ended, default=-1) + 1 :]


async def _restart(tools: Tools, prefect: Orchestrator, commit: Commit) -> str | None:
    """Start the run of a commit, again where the world broke it; after the last attempt the commit has failed."""
    key = f"{tools.settings.repository_name}@{commit.sha}"
    runs = await prefect.runs_of(key)
    if any(not run.final for run in runs):
        return None
    if len(runs) >= ATTEMPTS:
        reason = f"{len(runs)} attempts broke; the last one: {runs[-1].state}"
        await record(tools, commit.sha, CommitNote(state=End.FAILED, reason=reason), now=tools.now())
        return reason
    attempt = key if not runs else f"{key}#{len(runs) + 1}"
    parameters = {"repository": tools.settings.repository_name, "commit": commit.sha, "subject": commit.subject}
    await prefect.start(ON_COMMIT, key=attempt, parameters=parameters, tags=("trigger:poll",))
    return f"attempt {len(runs) + 1} started"


async def _is_running(prefect: Orchestrator, tools: Tools, commit: Commit) -> bool:
    return any(not run.final for run in await prefect.runs_of(f"{tools.settings.repository_name}@{commit.sha}"))


async def _waiting(tools: Tools, distro: Distro, prefect: Orchestrator) -> list[str]:
    """A channel that could move on and that nobody will ask: the run that was to come back after its soak is lost."""
    if await prefect.unfinished(ON_CHANNEL_CHANGE):
        return []
    pointers = [(await fetch_channel(tools, distro, name))[0] for name in distro.channels]
    for upstream, channel in pairwise(pointers):
        if candidates(channel, upstream):
            await _start_channels(tools, distro, prefect, "waiting")
            return [f"{channel.channel}: asked whether it may move on"]
    return []


async def _drift(tools: Tools, distro: Distro, prefect: Orchestrator) -> list[str]:
    found = [each for channel in distro.channels for each in await drifted(tools, distro, channel)]
    if found:
        await _start_channels(tools, distro, prefect, "drift")
    return [each.message() for each in found]


async def _start_channels(tools: Tools, distro: Distro, prefect: Orchestrator, why: str) -> None:
    """One run a minute at the most, for whatever reason it is asked again and again."""
    head = await fetch_head(tools, distro.channels_branch)
    name = tools.settings.repository_name
    await prefect.start(
        ON_CHANNEL_CHANGE,
        key=f"{name}@{head}:{why}:{tools.now().isoformat(timespec='minutes')}",
        parameters={"repository": name, "commit": head},
        tags=("trigger:poll",),
    )
