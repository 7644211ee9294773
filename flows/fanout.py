"""Fan-out over a dependency graph: everything that is ready runs, the longest chain first, failures stop only their
dependents."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Generic, TypeVar

from release.errors import Broken, Error

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of every node: its result, its error, or the failed node that blocks it."""

    done: Mapping[str, T]
    failed: Mapping[str, Error]
    blocked: Mapping[str, str]


async def fan_out(
    needs: Mapping[str, frozenset[str]],
    work: Callable[[str, Mapping[str, T]], Awaitable[T]],
    *,
    jobs: int,
) -> Outcome[T]:
    """Run `work(name, results of what it needs)` for every node of an acyclic graph, at most `jobs` at a time.

    Among the ready nodes the one with the longest chain of dependents behind it goes first (critical path). A node
    that raises an `Error` blocks what depends on it and nothing else. Any other exception, and cancellation,
    ends the whole fan-out after every running node was cancelled and awaited.
    """
    run = _Run(needs, work)
    live: dict[asyncio.Task[T], str] = {}
    try:
        while True:
            while len(live) < jobs and (name := run.next_ready()) is not None:
                live[asyncio.create_task(run.start(name), name=name)] = name
            if not live:
                return run.outcome()
            finished, _ = await asyncio.wait(live, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                run.finish(live.pop(task), task)
    finally:
        for task in live:
            task.cancel()
        await asyncio.gather(*live, return_exceptions=True)


class _Run(Generic[T]):
    """The working state of one fan-out, apart from its frozen inputs."""

    def __init__(
        self, needs: Mapping[str, frozenset[str]], work: Callable[[str, Mapping[str, T]], Awaitable[T]]
    ) -> None:
        self._needs = needs
        self._work = work
        self._weight = chain_lengths(needs)
        self._sorter = TopologicalSorter(needs)
        self._sorter.prepare()
        self._ready: list[tuple[int, str]] = []
        self._done: dict[str, T] = {}
        self._failed: dict[str, Error] = {}

    def next_ready(self) -> str | None:
        for name in self._sorter.get_ready():
            heapq.heappush(self._ready, (-self._weight[name], name))
        return heapq.heappop(self._ready)[1] if self._ready else None

    async def start(self, name: str) -> T:
        return await self._work(name, {need: self._done[need] for need in self._needs[name]})

    def finish(self, name: str, task: asyncio.Task[T]) -> None:
        try:
            self._done[name] = task.result()
        except Error as error:
            self._failed[name] = error  # never marked done in the sorter, so its dependents never become ready
        except asyncio.CancelledError as error:
            raise Broken(f"{name} was cancelled", hint="run the command again: finished work is kept") from error
        else:
            self._sorter.done(name)

    def outcome(self) -> Outcome[T]:
        blocked: dict[str, str] = {}
        for name in TopologicalSorter(self._needs).static_order():
            causes = sorted(need for need in self._needs.get(name, ()) if need in self._failed or need in blocked)
            if causes:
                blocked[name] = blocked.get(causes[0], causes[0])
        return Outcome(done=self._done, failed=self._failed, blocked=blocked)


def chain_lengths(needs: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """For each node the number of nodes on the longest chain of dependents that starts with it."""
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, wanted in needs.items():
        for need in wanted:
            dependents.setdefault(need, []).append(name)
    lengths: dict[str, int] = {}
    for name in reversed(list(TopologicalSorter(needs).static_order())):
        lengths[name] = 1 + max((lengths[each] for each in dependents[name]), default=0)
    return lengths
