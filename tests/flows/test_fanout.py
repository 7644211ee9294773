"""The fan-out against an independent oracle, with failures, bugs and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.fanout import Outcome, Unit, chain_lengths
from flows.fanout import fan_out as fan_out_units
from release.errors import Broken, Error, Refused

T = TypeVar("T")


def graph(*edges: str) -> dict[str, frozenset[str]]:
    """`a>b` reads: b needs a."""
    needs: dict[str, set[str]] = {}
    for edge in edges:
        first, _, second = edge.partition(">")
        needs.setdefault(first, set())
        if second:
            needs.setdefault(second, set()).add(first)
    return {name: frozenset(wanted) for name, wanted in needs.items()}


async def fan_out(
    needs: Mapping[str, frozenset[str]], work: Callable[[str, Mapping[str, T]], Awaitable[T]], *, jobs: int
) -> Outcome[T]:
    """One name a unit, needs that never change, and only the results that a name asked for."""
    units = {(name,): wanted for name, wanted in needs.items()}

    async def one(unit: Unit, done: Mapping[str, T]) -> Mapping[str, T]:
        return {unit[0]: await work(unit[0], {each: done[each] for each in needs[unit[0]]})}

    return await fan_out_units(lambda: units, one, jobs=jobs)


async def test_runs_a_node_only_after_all_it_needs_and_hands_it_their_results() -> None:
    async def work(name: str, inputs: Mapping[str, str]) -> str:
        await asyncio.sleep(0)
        return name + "(" + ",".join(inputs[each] for each in sorted(inputs)) + ")"

    outcome = await fan_out(graph("a>c", "b>c", "c>d"), work, jobs=4)
    assert outcome.done["d"] == "d(c(a(),b()))"


async def test_a_failure_stops_only_what_depends_on_it_and_names_the_cause() -> None:
    async def work(name: str, inputs: Mapping[str, str]) -> str:
        if name == "b":
            raise Refused("does not compile")
        return name

    outcome = await fan_out(graph("a>b", "b>c", "c>d", "a>e"), work, jobs=2)
    assert set(outcome.done) == {"a", "e"}
    assert set(outcome.failed) == {"b"}
    assert outcome.blocked == {"c": "b", "d": "b"}


async def test_never_runs_more_than_the_jobs_allowed() -> None:
    running = 0
    most = 0

    async def work(name: str, inputs: Mapping[str, int]) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return 0

    await fan_out({str(i): frozenset() for i in range(20)}, work, jobs=3)
    assert most == 3


async def test_the_longest_chain_goes_first() -> None:
    order: list[str] = []

    async def work(name: str, inputs: Mapping[str, int]) -> int:
        order.append(name)
        return 0

    await fan_out(graph("leaf1", "leaf2", "root>middle", "middle>end"), work, jobs=1)
    assert order[0] == "root"


async def test_a_bug_in_the_work_ends_everything_and_leaves_nothing_running() -> None:
    cancelled: list[str] = []

    async def work(name: str, inputs: Mapping[str, int]) -> int:
        if name == "bug":
            raise ZeroDivisionError
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return 0

    with pytest.raises(ZeroDivisionError):
        await fan_out(graph("bug", "slow"), work, jobs=2)
    assert cancelled == ["slow"]


async def test_a_node_that_was_cancelled_from_outside_is_one_clear_error() -> None:
    async def work(name: str, inputs: Mapping[str, int]) -> int:
        raise asyncio.CancelledError

    with pytest.raises(Broken, match="a was cancelled"):
        await fan_out(graph("a"), work, jobs=1)


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=60), st.sets(st.integers(0, 15), max_size=3)
)
def test_agrees_with_an_oracle_on_any_graph(edges: list[tuple[int, int]], broken: set[int]) -> None:
    needs: dict[str, set[str]] = {str(i): set() for i in range(16)}
    for low, high in edges:
        if low < high:  # acyclic by construction
            needs[str(high)].add(str(low))

    async def work(name: str, inputs: Mapping[str, int]) -> int:
        if int(name) in broken:
            raise Refused("no")
        return 1 + sum(inputs.values())

    outcome = asyncio.run(fan_out({name: frozenset(wanted) for name, wanted in needs.items()}, work, jobs=4))
    reachable: dict[str, bool] = {}
    for i in range(16):
        reachable[str(i)] = any(int(need) in broken or reachable[need] for need in needs[str(i)])
    assert set(outcome.blocked) == {name for name, blocked in reachable.items() if blocked}
    assert set(outcome.failed) == {str(i) for i in broken if not reachable[str(i)]}
    assert set(outcome.done) == set(needs) - set(outcome.blocked) - set(outcome.failed)


def test_chain_lengths_count_dependents() -> None:
    units = {(name,): wanted for name, wanted in graph("a>b", "b>c", "a>c", "d").items()}
    assert chain_lengths(units) == {("a",): 3, ("b",): 2, ("c",): 1, ("d",): 1}


async def test_names_that_need_each_other_are_worked_on_together_after_what_both_need() -> None:
    order: list[Unit] = []

    async def work(unit: Unit, done: Mapping[str, int]) -> Mapping[str, int]:
        order.append(unit)
        return dict.fromkeys(unit, 0)

    units = {("a", "b"): frozenset({"base"}), ("base",): frozenset[str](), ("end",): frozenset({"b"})}
    outcome = await fan_out_units(lambda: units, work, jobs=2)
    assert order == [("base",), ("a", "b"), ("end",)]
    assert set(outcome.done) == {"a", "b", "base", "end"}


async def test_a_need_that_shows_while_others_run_is_waited_for() -> None:
    units = {("a",): frozenset[str](), ("slow",): frozenset[str](), ("user",): frozenset({"a"})}
    learned = {**units, ("user",): frozenset({"a", "slow"})}
    order: list[str] = []

    async def work(unit: Unit, done: Mapping[str, int]) -> Mapping[str, int]:
        nonlocal units
        await asyncio.sleep(0.01 if unit == ("slow",) else 0)
        units = learned
        order.append(unit[0])
        return {unit[0]: 0}

    await fan_out_units(lambda: units, work, jobs=2)
    assert order == ["a", "slow", "user"]


async def test_what_failed_before_blocks_what_depends_on_it() -> None:
    async def work(unit: Unit, done: Mapping[str, int]) -> Mapping[str, int]:
        return dict.fromkeys(unit, 0)

    bad: Error = Refused("rpm cannot read this spec")
    units = {("user",): frozenset({"bad"}), ("other",): frozenset[str]()}
    outcome = await fan_out_units(lambda: units, work, jobs=2, failed={"bad": bad})
    assert (dict(outcome.failed), dict(outcome.blocked), set(outcome.done)) == (
        {"bad": bad},
        {"user": "bad"},
        {"other"},
    )
