"""Expects what a commit means: the forecast of its builds against the release before, kept with the release."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from release.forecast.differences import TreeFacts
from release.forecast.forecasting import forecast
from release.forecast.forecasts import Commits, Forecast
from tasks.bench import Bench
from tasks.compare import facts_of
from tasks.recall import Previous

NOTHING = TreeFacts(packages=())
NO_DURATIONS: Mapping[str, float] = MappingProxyType({})


def expect(
    bench: Bench, previous: Previous | None, *, durations: Mapping[str, float] = NO_DURATIONS, jobs: int = 1
) -> Forecast:
    """What the bench's commit will build, may build and leaves alone, against the commit of the release before.

    The forecast that is kept with a release has no times (`durations` of past builds): it is the same on any machine.
    """
    after = facts_of(bench.source)
    return forecast(
        Commits(before=previous.release.source.commit if previous else "", after=bench.tree.commit.sha),
        facts_of(bench.before, after) if bench.before else NOTHING,
        after,
        available=bench.toolchain.binaries,
        published={name: each.binaries for name, each in previous.standing.items()} if previous else {},
        durations=durations,
        jobs=jobs,
    )
