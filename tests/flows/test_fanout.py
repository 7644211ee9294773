"""The fan-out against an independent oracle, with failures, bugs and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.fanout import chain_lengths, fan_out
from release.errors import Broken, Refused


def graph(*edges: str) -> dict[str, frozenset[str]]:
    """`a>b` reads: b needs a."""
    needs: dict[str, set[str]] = {}
    for edge in edges:
        first, _, second = edge.partition(">")
        needs.setdefault(first, set())
        if second:
            needs.setdefault(second, set()).add(first)
    return {name: frozenset(wanted) for name, wanted in needs.items()}


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
    assert chain_lengths(graph("a>b", "b>c", "a>c", "d")) == {"a": 3, "b": 2, "c": 1, "d": 1}
