"""The suffix of a rebuild, with rpm itself and the solver of dnf as the judges of order."""

from __future__ import annotations

import json
import subprocess
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.errors import Refused
from release.graph.capabilities import compare_versions
from release.source.rebuild_suffix import next_rebuild, suffixed, unsuffixed

# Oldest first; each line is the life of one spec.
LIVES = (
    ("2.skiff1", "2.skiff1^1", "2.skiff1^2", "2.skiff1^10", "2.skiff1.1", "2.skiff1.1^1", "3.skiff1", "3.skiff1^1"),
    ("1", "1^1", "1^9", "1^10", "1.1", "1.1^3", "2", "10"),
    ("1a", "1a^1", "1a^2", "1b", "1b^1", "2"),
    ("0.1.rc1.azl3", "0.1.rc1.azl3^1", "0.1.rc1.azl3^2", "0.1.rc2.azl3", "1.azl3", "1.azl3^4", "1.azl4"),
    ("1~rc1", "1~rc1^1", "1~rc1^2", "1~rc2", "1", "1^1"),
    ("3.20240101git.azl3", "3.20240101git.azl3^1", "3.20240102git.azl3", "4.azl3"),
    ("1^20240101.azl3", "1^20240101.azl3^1", "1^20240101.azl3^2", "1^20240102.azl3", "2.azl3"),
    ("2^3", "2^3^0", "2^3^1", "2^3^2", "2^4", "2^4^0", "2^4^1", "3"),
)
RELEASES = st.from_regex(r"[0-9][a-z0-9.~^_+]{0,12}", fullmatch=True)
COUNTS = st.integers(min_value=0, max_value=10**6)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life[0])
def test_rpm_and_the_solver_of_dnf_order_every_life_as_it_happened(life: tuple[str, ...]) -> None:
    pairs = list(combinations(life, 2))
    compare = "; ".join(f'print(rpm.vercmp("{one}", "{two}") .. " ")' for one, two in pairs)
    by_rpm = subprocess.run(["rpm", "--eval", f"%{{lua:{compare}}}"], capture_output=True, text=True, check=True)
    assert by_rpm.stdout.split() == ["-1"] * len(pairs)
    script = (
        "import hawkey, json, sys; sack = hawkey.Sack(); print([sack.evr_cmp(a, b) for a, b in json.load(sys.stdin)])"
    )
    evrs = json.dumps([(f"1-{one}", f"1-{two}") for one, two in pairs])
    by_dnf = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", script], input=evrs, capture_output=True, text=True, check=True
    )
    assert json.loads(by_dnf.stdout) == [-1] * len(pairs)
    assert all(compare_versions(one, two) < 0 for one, two in pairs), "our own order is rpm's"


def test_each_rebuild_takes_the_next_number_and_a_bump_by_hand_begins_anew() -> None:
    life = ["2.skiff1"]
    for own in ("2.skiff1", "2.skiff1", "2.skiff1.1", "2.skiff1.1", "3.skiff1"):
        life.append(next_rebuild(own, life[-1]))
    assert life == ["2.skiff1", "2.skiff1^1", "2.skiff1^2", "2.skiff1.1", "2.skiff1.1^1", "3.skiff1"]
    assert all(compare_versions(one, two) < 0 for one, two in pairwise(life))


@pytest.mark.parametrize("published", ["1-2^3", "1-2^3^0"])
def test_a_release_that_ends_like_a_rebuild_is_told_apart(published: str) -> None:
    assert suffixed("1-2^3", 0) == "1-2^3^0"
    assert next_rebuild("1-2^3", published) == "1-2^3^1"
    assert next_rebuild("1-2", "1-2^3") == "1-2^4"


@given(own=RELEASES, count=COUNTS)
def test_a_suffix_comes_off_as_it_went_on(own: str, count: int) -> None:
    assert unsuffixed(suffixed(own, count)) == (own, count)
    assert unsuffixed(suffixed(f"3:1.0-{own}", count)) == (f"3:1.0-{own}", count)


@given(own=RELEASES, count=COUNTS)
def test_a_rebuild_is_newer_than_what_it_replaces(own: str, count: int) -> None:
    before = suffixed(own, count)
    assert compare_versions(before, next_rebuild(own, before)) < 0


def test_refuses_a_negative_number() -> None:
    with pytest.raises(Refused):
        suffixed("1", -1)
