"""The story of a commit that moved a channel's pointer: tags follow, and the next channel is asked when it is time."""

from __future__ import annotations

from datetime import datetime, timedelta

from prefect import flow

from flows.runs import ON_CHANNEL_CHANGE, orchestrator
from release.channel.decisions import Decision
from release.source.distro import Distro
from tasks.fetch import fetch_distro, fetch_head
from tasks.follow import follow
from tasks.promote import promote
from tasks.settings import read_settings
from tasks.wiring import Tools, open_tools

GRACE = timedelta(milliseconds=500)  # asked a moment after it is eligible, not a moment before


@flow(
    name="on-channel-change",
    flow_run_name="channels at {commit}",
    description="Tags follow the pointers in git; each channel moves on as soon as its policy allows.",
)
async def on_channel_change(repository: str, commit: str) -> str:
    """Make the registry's tags what git says, then ask each later channel; returns what moved, in words."""
    settings = read_settings()
    async with open_tools(settings) as tools:
        distro = await fetch_distro(tools, await fetch_head(tools, settings.branch))
        moved = [
            f"{channel}: {len(found)} tags"
            for channel in distro.channels
            if (found := await follow(tools, distro, channel))
        ]
        moved += [
            each for channel in distro.channels[1:] if (each := await _ask(tools, distro, channel, repository, commit))
        ]
        return "; ".join(moved) or "nothing to move"


async def _ask(tools: Tools, distro: Distro, channel: str, repository: str, commit: str) -> str | None:
    promotion = await promote(tools, channel, now=tools.now())
    if promotion.moved is not None and promotion.moved.current is not None:
        await follow(tools, distro, channel)
        return f"{channel} moved to {promotion.moved.current.alias}"
    eligible = [each for each in map(_eligible_at, promotion.decisions) if each is not None]
    if eligible:
        await _come_back(channel, min(eligible) + GRACE, repository, commit)
    return None


def _eligible_at(decision: Decision) -> datetime | None:
    return decision.eligible_at


async def _come_back(channel: str, at: datetime, repository: str, commit: str) -> None:
    """One run at the moment when waiting ends; however many runs ask for it, it is one."""
    async with orchestrator() as prefect:
        await prefect.start(
            ON_CHANNEL_CHANGE,
            key=f"{channel}@{at.isoformat(timespec='seconds')}",
            parameters={"repository": repository, "commit": commit},
            at=at,
            tags=("trigger:soak",),
        )
