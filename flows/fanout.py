"""Fan-out over a dependency graph: everything that is ready runs, the longest chain first, failures stop only their
dependents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Generic, TypeVar

from release.errors import Broken, Error

T = TypeVar("T")
Unit = tuple[str, ...]
"""Names that are worked on together: one, or a knot of some that need each other."""
Needs = Mapping[Unit, frozenset[str]]
"""For each unit the names outside of it that must be done before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of every name: its result, its error, or the failed name that blocks it."""

    done: Mapping[str, T]
    failed: Mapping[str, Error]
    blocked: Mapping[str, str]


async def fan_out(
    needs: Callable[[], Needs],
    work: Callable[[Unit, Mapping[str, T]], Awaitable[Mapping[str, T]]],
    *,
    jobs: int,
    failed: Mapping[str, Error] = MappingProxyType({}),
) -> Outcome[T]:
    """Run `work(unit, all results so far)` for every unit, at most `jobs` at a time; it gives a result for each name.

    `needs` is asked again after each unit, because what was built may show what nobody could know before; it gives
    the same object where nothing is new. Units that run or are done stay as they were. Among the ready units
    the one with the longest chain behind it goes first (critical path). What `failed` before it began, and a unit that
    raises an `Error`, blocks what depends on it and nothing else. Any other exception, and cancellation, ends the
    whole fan-out after every running unit was cancelled and awaited.
    """
    run = _Run(needs, work, failed)
    live: dict[asyncio.Task[Mapping[str, T]], Unit] = {}
    try:
        while True:
            while len(live) < jobs and (unit := run.next_ready()) is not None:
                live[asyncio.create_task(run.start(unit), name="+".join(unit))] = unit
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
    """The working state of one fan-out, apart from its inputs."""

    def __init__(
        self,
        needs: Callable[[], Needs],
        work: Callable[[Unit, Mapping[str, T]], Awaitable[Mapping[str, T]]],
        failed: Mapping[str, Error],
    ) -> None:
        self._ask = needs
        self._work = work
        self._needs: Needs = {}
        self._order: tuple[Unit, ...] = ()
        self._started: set[str] = set(failed)
        self._done: dict[str, T] = {}
        self._failed: dict[str, Error] = dict(failed)

    def next_ready(self) -> Unit | None:
        self._look()
        done = self._done.keys()
        for unit in self._order:
            if self._started.isdisjoint(unit) and self._needs[unit] <= done:
                self._started.update(unit)
                return unit
        return None

    async def start(self, unit: Unit) -> Mapping[str, T]:
        return await self._work(unit, MappingProxyType(self._done))

    def finish(self, unit: Unit, task: asyncio.Task[Mapping[str, T]]) -> None:
        try:
            self._done.update(task.result())
        except Error as error:
            self._failed.update(dict.fromkeys(unit, error))
        except asyncio.CancelledError as error:
            raise Broken(f"{unit[0]} was cancelled", hint="run the command again: finished work is kept") from error

    def outcome(self) -> Outcome[T]:
        blocked: dict[str, str] = {}
        for unit in self._order:  # the longest chains first, so that what blocks stands before what it blocks
            causes = sorted(self._needs[unit] & (self._failed.keys() | blocked.keys()))
            if causes and not self._failed.keys() & set(unit):
                blocked |= dict.fromkeys(unit, blocked.get(causes[0], causes[0]))
        return Outcome(done=self._done, failed=self._failed, blocked=blocked)

    def _look(self) -> None:
        needs = self._ask()
        if needs is not self._needs:
            lengths = chain_lengths(needs)
            self._needs = needs
            self._order = tuple(sorted(needs, key=lambda unit: (-lengths[unit], unit)))


def chain_lengths(needs: Needs) -> dict[Unit, int]:
    """For each unit the number of units on the longest chain of dependents that starts with it."""
    unit_of = {name: unit for unit in needs for name in unit}
    before = {unit: {unit_of[name] for name in wanted if name in unit_of} for unit, wanted in needs.items()}
    dependents: dict[Unit, list[Unit]] = {unit: [] for unit in needs}
    for unit, wanted in before.items():
        for need in wanted:
            dependents[need].append(unit)
    lengths: dict[Unit, int] = {}
    for unit in reversed(list(TopologicalSorter(before).static_order())):
        lengths[unit] = 1 + max((lengths[each] for each in dependents[unit]), default=0)
    return lengths
