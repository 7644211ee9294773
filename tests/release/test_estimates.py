"""How long builds take, from how long they took: by hand for small cases, by law for all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from release.forecast.estimates import estimate


def elapsed(needs: dict[str, set[str]], seconds: dict[str, float], jobs: int) -> float:
    found = estimate(needs, seconds, jobs=jobs)
    assert found is not None
    return found.elapsed


CHAIN: dict[str, set[str]] = {"a": set(), "b": {"a"}, "c": {"b"}, "d": set()}
SECONDS = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 5.0}


def test_a_chain_takes_its_sum_and_what_stands_beside_it_runs_beside_it() -> None:
    assert elapsed(CHAIN, SECONDS, 2) == 7
    assert elapsed(CHAIN, SECONDS, 1) == 12


def test_the_longest_way_goes_first() -> None:
    """Short ones first would end at 12."""
    needs: dict[str, set[str]] = {"x": set(), "y": set(), "long": set()}
    assert elapsed(needs, {"x": 5.0, "y": 5.0, "long": 7.0}, 2) == 10


def test_a_package_without_a_past_build_is_counted_and_taken_for_the_median() -> None:
    found = estimate({"new": set(), "a": set()}, {"a": 1.0, "b": 3.0, "c": 9.0}, jobs=1)
    assert found is not None
    assert (found.unknown, found.elapsed, found.work) == (1, 4.0, 4.0)


def test_without_any_past_build_there_is_no_number() -> None:
    assert estimate({"a": set()}, {}, jobs=1) is None


@given(
    st.lists(st.sets(st.integers(0, 30), max_size=3), min_size=1, max_size=12),
    st.lists(st.integers(1, 100), min_size=12, max_size=12),
    st.integers(1, 4),
)
def test_no_schedule_beats_its_bounds(rows: list[set[int]], times: list[int], jobs: int) -> None:
    """At least the longest chain and the work shared among all jobs; at most Graham's sum of both."""
    needs = {str(n): {str(each % n) for each in row} if n else set[str]() for n, row in enumerate(rows)}
    seconds = {name: float(times[int(name)]) for name in needs}
    chain: dict[str, float] = {}
    for name, each in needs.items():
        chain[name] = seconds[name] + max((chain[other] for other in each), default=0.0)
    found = estimate(needs, seconds, jobs=jobs)
    assert found is not None
    least = max(max(chain.values()), found.work / jobs)
    assert least - 1e-9 <= found.elapsed <= max(chain.values()) + found.work / jobs + 1e-9
