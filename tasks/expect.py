"""Expects what a commit means: the forecast of its builds against the release before, kept with the release."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from release.forecast.differences import TreeFacts
from release.forecast.forecasting import forecast
from release.forecast.forecasts import Commits, Forecast
from tasks.bench import Bench
from tasks.compare import facts_of
from tasks.foresee import compared, durations
from tasks.prepare import parse, prepare
from tasks.recall import Previous

if TYPE_CHECKING:
    from tasks.wiring import Tools


async def expect(tools: Tools, bench: Bench, previous: Previous | None) -> Forecast:
    """What the bench's commit will build, may build and leaves alone, against the commit of the release before; after a
    force-push, against the newest commit that both contain."""
    after = facts_of(bench.source)
    before = TreeFacts(packages=(), macros=after.macros, toolchain=after.toolchain)
    commits = Commits(before="", after=bench.tree.commit.sha)
    if previous is not None:
        since = previous.release.source.commit
        commits = await asyncio.to_thread(compared, tools.repository, since, bench.tree.commit.sha)
        old = bench.before
        if old is None or commits.before != since:
            tree = await prepare(tools, commits.before)
            old = await parse(tools, tree, image=bench.toolchain.image, arch=bench.arch)
        before = facts_of(old, after)
    return await asyncio.to_thread(
        forecast,
        commits,
        before,
        after,
        available=bench.toolchain.binaries,
        published={name: each.binaries for name, each in previous.standing.items()} if previous else {},
        durations=durations(tools.settings.folder),
        jobs=tools.settings.jobs,
    )
