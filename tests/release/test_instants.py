"""Instants and spans have one spelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.errors import Refused
from release.instants import instant_text, parse_instant, short_instant, span_text

MOMENT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


def test_reads_back_what_it_writes() -> None:
    assert instant_text(MOMENT) == "2026-11-25T10:00:00Z"
    assert parse_instant("2026-11-25T10:00:00Z") == MOMENT


def test_one_moment_has_one_spelling_whatever_the_zone() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert instant_text(elsewhere) == instant_text(MOMENT)
    assert parse_instant("2026-11-25T15:30:00+05:30") == MOMENT


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_loses_nothing(at: datetime) -> None:
    assert parse_instant(instant_text(at)) == at


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-25T10:00:00", "1764064800", "2026-13-01T00:00:00Z"])
def test_refuses_what_is_no_instant(text: str) -> None:
    with pytest.raises(Refused, match="not an instant"):
        parse_instant(text)


def test_a_time_without_a_zone_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        instant_text(datetime(2026, 11, 25))


def test_messages_show_seconds_only_when_there_are_any() -> None:
    assert short_instant(MOMENT) == "2026-11-25T10:00Z"
    assert short_instant(MOMENT + timedelta(seconds=5)) == "2026-11-25T10:00:05Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (20, "20 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (19_800, "5 h 30 min"),
        (18_059, "5 h"),
        (259_200, "72 h"),
        (-5, "0 s"),
    ],
)
def test_spans_are_short_and_rounded_down(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
