"""The pointer's file is read strictly, written stably, and a person can review its diff."""

from __future__ import annotations

import difflib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.channel.channel_files import channel_path, channel_yaml, parse_channel
from release.channel.channels import Channel, Hold, rolled_back
from release.errors import Misconfigured
from tests.release.promotion_world import POLICY_DIGEST, SOAKED, channel, move, ref

FULL = rolled_back(
    channel(numbers=(1, 2)), at=SOAKED, by="alice", reason="dnf: crashes", policy=POLICY_DIGEST, valid_seconds=60
)
TEXT = channel_yaml(FULL)


def refused(text: str, name: str = "stable") -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        parse_channel(text, name=name)
    return caught.value


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@pytest.mark.parametrize("each", [FULL, Channel(channel="stable"), channel()], ids=["full", "empty", "moved once"])
def test_comes_back_equal(each: Channel) -> None:
    assert parse_channel(channel_yaml(each), name="stable") == each


def test_reads_like_a_note() -> None:
    assert TEXT.splitlines()[:6] == [
        "# Written by slipway; it moves by commits only, and its serial never falls.",
        "channel: stable",
        "serial: 3",
        "current:",
        f"  digest: {ref(1).digest}",
        "  alias: R-20261122.1",
    ]


def test_a_move_is_a_diff_of_a_few_lines() -> None:
    before = channel(numbers=range(1, 6))
    lines = difflib.ndiff(channel_yaml(before).splitlines(), channel_yaml(move(before, ref(6))).splitlines())
    assert len([line for line in lines if line[0] in "+-"]) <= 20


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_any_words_of_a_person_survive(reason: str) -> None:
    found = rolled_back(
        channel(numbers=(1, 2)), at=SOAKED, by="al", reason=reason, policy=POLICY_DIGEST, valid_seconds=1
    )
    assert parse_channel(channel_yaml(found), name="stable") == found


@pytest.mark.parametrize(
    "word", ["yes", "null", "1e5", "0x10", "1_000", "2026-11-22", "~", "- a", "no: yes", "é", "a\x85b", "a\u2028"]
)
def test_words_that_look_like_something_else_stay_words(word: str) -> None:
    found = replace(FULL, hold=Hold(reason=word, by=word, since=SOAKED))
    assert parse_channel(channel_yaml(found), name="stable") == found


def test_unknown_keys_survive_at_every_depth() -> None:
    text = TEXT.replace("serial: 3\n", "serial: 3\nnotes: {a: [1, x]}\n", 1).replace(
        "  by: alice\n", "  by: alice\n  ticket: T-1\n"
    )
    found = parse_channel(text, name="stable")
    assert found.extra == {"notes": {"a": [1, "x"]}}
    assert found.hold
    assert found.hold.extra == {"ticket": "T-1"}
    assert found.deny[0].extra == {"ticket": "T-1"}
    assert parse_channel(channel_yaml(found), name="stable") == found


def test_equal_pointers_are_equal_files() -> None:
    assert channel_yaml(parse_channel(TEXT, name="stable")) == TEXT


def test_a_wrong_type_is_named_with_its_line() -> None:
    error = refused(TEXT.replace("serial: 3", 'serial: "3"', 1))
    assert error.where == f"channels/stable.yaml:{line_of(TEXT, 'serial')}"
    assert error.expected == "a valid integer"


def test_a_wrong_digest_is_named_with_its_line() -> None:
    error = refused(TEXT.replace(f"  digest: {ref(1).digest}", "  digest: latest", 1))
    assert error.where == f"channels/stable.yaml:{line_of(TEXT, '  digest')}"


def test_a_wrong_time_is_named() -> None:
    assert "RFC 3339" in str(refused(TEXT.replace("2026-11-25T10:01:00Z", "tomorrow")).expected)


def test_a_missing_key_is_named() -> None:
    assert "missing key 'hold.reason'" in refused(TEXT.replace("  reason: 'dnf: crashes'\n", "", 1)).message


def test_a_hand_that_forgets_the_history_is_told() -> None:
    error = refused(TEXT.replace("serial: 3", "serial: 4", 1))
    assert "equal to the newest entry of the history" in str(error.expected)


def test_a_copied_file_is_refused() -> None:
    error = refused(TEXT, name="beta")
    assert (error.where, error.got, error.expected) == ("channels/beta.yaml", "stable", "beta")


@pytest.mark.parametrize("text", ["", "[]", "a: *b", "channel: stable\nchannel: stable\n", "channel: {"])
def test_no_other_text_is_a_pointer(text: str) -> None:
    assert str(refused(text).where).startswith(channel_path("stable"))
