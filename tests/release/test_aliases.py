"""Aliases come from the tags that exist and the commit's day, and from nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.errors import Refused
from release.product.aliases import is_alias, mint_alias
from tests.release.promotion_world import digest

DAY = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def test_the_first_of_a_day_is_number_one() -> None:
    assert mint_alias(tags={}, digest=digest(1), commit_time=DAY) == "R-20261122.1"


def test_the_next_one_counts_on() -> None:
    tags = {"R-20261122.1": digest(1), "R-20261122.10": digest(2), "R-20261121.99": digest(3)}
    assert mint_alias(tags=tags, digest=digest(4), commit_time=DAY) == "R-20261122.11"


def test_a_release_that_has_a_name_keeps_it() -> None:
    tags = {"R-20261122.1": digest(1), "R-20261122.2": digest(2)}
    assert mint_alias(tags=tags, digest=digest(1), commit_time=DAY) == "R-20261122.1"


def test_the_oldest_of_several_names_wins() -> None:
    tags = {"R-20261122.10": digest(1), "R-20261122.9": digest(1)}
    assert mint_alias(tags=tags, digest=digest(1), commit_time=DAY) == "R-20261122.9"


def test_other_tags_are_no_names() -> None:
    tags = {"stable": digest(1), "R-20261122.01": digest(1), "R-20261122.1-rc": digest(1), "r-20261122.5": digest(1)}
    assert mint_alias(tags=tags, digest=digest(1), commit_time=DAY) == "R-20261122.1"


def test_the_day_is_the_commits_in_utc() -> None:
    later = DAY.astimezone(timezone(timedelta(hours=9)))
    assert mint_alias(tags={}, digest=digest(1), commit_time=later) == "R-20261122.1"


def test_refuses_a_digest_that_is_none() -> None:
    with pytest.raises(Refused):
        mint_alias(tags={"R-20261122.1": digest(1)}, digest="stable", commit_time=DAY)


@settings(deadline=None)
@given(st.lists(st.integers(1, 8), max_size=12))
def test_no_name_is_ever_given_twice(releases: list[int]) -> None:
    tags: dict[str, str] = {}
    for number in releases:
        alias = mint_alias(tags=tags, digest=digest(number), commit_time=DAY)
        assert tags.setdefault(alias, digest(number)) == digest(number)
    assert len(tags) == len(set(releases))


@pytest.mark.parametrize(
    ("text", "yes"),
    [("R-20261122.1", True), ("R-20261122.0", False), ("R-2026112.1", False), ("R-20261122.1\n", False), ("", False)],
)
def test_knows_an_alias_from_another_tag(text: str, yes: bool) -> None:
    assert is_alias(text) is yes
