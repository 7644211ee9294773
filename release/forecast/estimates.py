"""How long a set of builds will take: from past builds, in the order that their needs allow, on a number of jobs."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds. `work` is the sum over all builds, `elapsed` what passes with `jobs` builds at a time.

    `unknown` counts the packages without a past build: each is taken to last as long as the median one.
    """

    jobs: int
    work: float
    elapsed: float
    unknown: int


def estimate(needs: Mapping[str, Collection[str]], durations: Mapping[str, float], *, jobs: int) -> Estimate | None:
    """For the packages of `needs`, each mapped to those of them that it waits for; a package of a knot waits for no
    other of its knot. None when nothing is known of any past build, which is no ground for a number.

    List scheduling (Graham 1969): whenever a job is free, it takes the package with the longest way still to go.
    """
    if not durations:
        return None
    from statistics import median  # with fractions and decimals: 10 ms for those who only read a forecast

    usual = median(durations.values())
    seconds = {name: durations.get(name, usual) for name in needs}
    unknown = sum(name not in durations for name in needs)
    elapsed = _elapsed(needs, seconds, max(1, jobs))
    return Estimate(jobs=max(1, jobs), work=sum(seconds.values()), elapsed=elapsed, unknown=unknown)


def _elapsed(needs: Mapping[str, Collection[str]], seconds: Mapping[str, float], jobs: int) -> float:
    followers: dict[str, list[str]] = {name: [] for name in needs}
    for name, each in needs.items():
        for other in each:
            followers[other].append(name)
    to_go = _to_go(needs, followers, seconds)
    missing = {name: len(each) for name, each in needs.items()}
    ready = [(-to_go[name], name) for name, count in missing.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < jobs:
            name = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + seconds[name], name))
        now, done = heapq.heappop(running)
        for name in followers[done]:
            missing[name] -= 1
            if not missing[name]:
                heapq.heappush(ready, (-to_go[name], name))
    return now


def _to_go(
    needs: Mapping[str, Collection[str]], followers: Mapping[str, list[str]], seconds: Mapping[str, float]
) -> dict[str, float]:
    """For each package the seconds of the longest chain that begins with it."""
    left = {name: len(each) for name, each in followers.items()}
    waiting = [name for name, count in left.items() if not count]
    to_go: dict[str, float] = dict.fromkeys(needs, 0.0)
    while waiting:
        name = waiting.pop()
        to_go[name] += seconds[name]
        for other in needs[name]:
            to_go[other] = max(to_go[other], to_go[name])
            left[other] -= 1
            if not left[other]:
                waiting.append(other)
    return to_go
