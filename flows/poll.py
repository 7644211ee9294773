"""Finds what events missed: commits without an end, channels whose tags are not where git says."""

from __future__ import annotations

import asyncio

from prefect import flow

from flows.runs import ON_CHANNEL_CHANGE, ON_COMMIT, Orchestrator, orchestrator
from release.commits import CommitNote, End
from release.distro import Distro
from release.tools.git import Commit
from tasks.fetch import fetch_distro, fetch_head
from tasks.follow import drifted
from tasks.record import record
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools

ATTEMPTS = 3
LOOK_BACK = 500  # commits; a pipeline that slept longer releases the newest one and leaves older ones to a person


@flow(
    name="poll",
    flow_run_name="look for lost events",
    description="Starts the run of every commit whose event was lost; puts back tags that moved.",
)
async def poll() -> str:
    """Heal; returns what was found, in words."""
    settings = read_settings()
    async with open_tools(settings) as tools, orchestrator() as prefect:
        distro = await fetch_distro(tools, await fetch_head(tools, settings.branch))
        found = [*await _lost_commits(tools, distro, prefect), *await _drift(tools, distro, prefect)]
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


async def _drift(tools: Tools, distro: Distro, prefect: Orchestrator) -> list[str]:
    found = [each for channel in distro.channels for each in await drifted(tools, distro, channel)]
    head = await asyncio.to_thread(tools.repository.head, distro.channels_branch)
    if not found or head is None:
        return []
    # The key holds what was found: the same drift is mended once, drift that comes back is mended again.
    stamp = tools.now().isoformat(timespec="minutes")
    await prefect.start(
        ON_CHANNEL_CHANGE,
        key=f"{tools.settings.repository_name}@{head}:drift:{stamp}",
        parameters={"repository": tools.settings.repository_name, "commit": head},
        tags=("trigger:poll",),
    )
    return [each.message() for each in found]
