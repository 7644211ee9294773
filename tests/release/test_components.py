"""Strongly connected components, judged by plain reachability."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from release.graph.components import components

GRAPHS = st.integers(1, 9).flatmap(
    lambda size: st.lists(st.sets(st.integers(0, size - 1)), min_size=size, max_size=size)
)


def reachable(start: int, successors: list[set[int]]) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        new = successors[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@given(GRAPHS)
def test_two_nodes_are_together_if_and_only_if_each_reaches_the_other(successors: list[set[int]]) -> None:
    together = {node: knot for knot in components(successors) for node in knot}
    assert sorted(together) == list(range(len(successors)))
    reach = [reachable(node, successors) | {node} for node in range(len(successors))]
    for one in together:
        for two in together:
            assert (together[one] == together[two]) is (one in reach[two] and two in reach[one])


@given(GRAPHS)
def test_a_component_comes_after_everything_that_it_points_to(successors: list[set[int]]) -> None:
    done: set[int] = set()
    for knot in components(successors):
        done |= set(knot)
        assert all(successors[node] <= done for node in knot)


def test_a_chain_longer_than_the_recursion_limit_is_no_problem() -> None:
    size = 50_000
    assert next(iter(components([{node + 1} for node in range(size - 1)] + [set()]))) == (size - 1,)
