"""A channel only goes on: the serial rises, the denied stay out, and nothing automatic lifts a hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from release.channel.channels import HISTORY, Channel, Entry, Hold, check_succession, rolled_back
from release.errors import Refused
from tests.release.promotion_world import BETA_AT, POLICY_DIGEST, SOAKED, channel, digest, move, ref

LATER = SOAKED + timedelta(days=1)


def back(before: Channel, **options: Any) -> Channel:
    given = {
        "at": SOAKED,
        "by": "alice",
        "reason": "dnf crashes",
        "policy": POLICY_DIGEST,
        "valid_seconds": 60,
        **options,
    }
    return rolled_back(before, **given)


def test_the_first_move_has_serial_one() -> None:
    after = move(Channel(channel="stable"), ref(1))
    assert (after.serial, after.current, after.previous) == (1, ref(1), None)
    assert after.history == (Entry(serial=1, release=ref(1), at=SOAKED, decided_by="slipway"),)


def test_a_move_remembers_where_it_came_from() -> None:
    after = move(channel(numbers=(1,)), ref(2))
    assert (after.serial, after.current, after.previous) == (2, ref(2), ref(1))
    assert [each.release for each in after.history] == [ref(2), ref(1)]


def test_a_move_says_who_decided_by_which_policy_and_how_long_it_is_fresh() -> None:
    after = move(channel(), ref(2))
    assert after.decided_by == "slipway"
    assert after.policy == POLICY_DIGEST
    assert after.valid_until == SOAKED + timedelta(seconds=60)


def test_the_history_keeps_the_last_twenty_moves() -> None:
    after = channel(numbers=range(1, 31))
    assert len(after.history) == HISTORY
    assert [each.serial for each in after.history] == list(range(30, 10, -1))


def test_refuses_to_move_where_it_is() -> None:
    with pytest.raises(Refused, match=r"R-20261122\.1 is current already"):
        move(channel(), ref(1))


def test_refuses_a_denied_release() -> None:
    after = back(channel(numbers=(1, 2)))
    with pytest.raises(Refused, match=r"R-20261122\.2 is denied") as caught:
        move(after, ref(2), by_hand=True)
    assert caught.value.got == "R-20261122.2 denied by alice: dnf crashes"


def test_refuses_a_release_with_a_denied_artifact() -> None:
    after = back(channel(numbers=(1, 2)), deny=[digest("bad image")])
    with pytest.raises(Refused, match="is denied"):
        move(after, ref(3), artifacts=[digest("good"), digest("bad image")], by_hand=True)
    assert move(after, ref(3), artifacts=[digest("good")], by_hand=True).current == ref(3)


def test_a_hold_without_an_end_stops_automation_for_ever() -> None:
    after = back(channel(numbers=(1, 2)))
    with pytest.raises(Refused, match="the channel is held") as caught:
        move(after, ref(3), at=SOAKED + timedelta(days=3650))
    assert caught.value.got == "dnf crashes (by alice, until a person promotes)"


def test_a_hold_ends_by_its_time() -> None:
    after = back(channel(numbers=(1, 2)), until=LATER)
    with pytest.raises(Refused, match="held"):
        move(after, ref(3), at=LATER - timedelta(seconds=1))
    freed = move(after, ref(3), at=LATER)
    assert freed.current == ref(3)
    assert freed.hold is None


def test_a_person_lifts_a_hold_by_promoting() -> None:
    after = move(back(channel(numbers=(1, 2))), ref(3), by_hand=True)
    assert after.current == ref(3)
    assert after.hold is None
    assert after.deny, "what was denied stays denied"


def test_a_rollback_is_a_new_serial_that_points_at_an_older_release() -> None:
    after = back(channel(numbers=(1, 2, 3)))
    assert (after.serial, after.current, after.previous) == (4, ref(2), ref(3))
    assert after.history[0] == Entry(serial=4, release=ref(2), at=SOAKED, decided_by="alice")
    assert [each.serial for each in after.history] == [4, 3, 2, 1]


def test_a_rollback_denies_the_bad_release_and_holds_the_channel() -> None:
    after = back(channel(numbers=(1, 2)), until=LATER)
    assert [(each.digest, each.alias, each.reason, each.by) for each in after.deny] == [
        (ref(2).digest, ref(2).alias, "dnf crashes", "alice")
    ]
    assert after.hold == Hold(reason="dnf crashes", by="alice", since=SOAKED, until=LATER)


@pytest.mark.parametrize("name", [ref(1).alias, ref(1).digest])
def test_a_rollback_goes_where_it_is_told(name: str) -> None:
    assert back(channel(numbers=(1, 2, 3)), to=name).current == ref(1)


def test_a_second_rollback_goes_further_back() -> None:
    after = back(back(channel(numbers=(1, 2, 3))))
    assert after.current == ref(1)
    assert {each.digest for each in after.deny} == {ref(2).digest, ref(3).digest}


def test_a_rollback_during_a_hold_works() -> None:
    held = back(channel(numbers=(1, 2, 3)))
    assert held.hold
    assert back(held, reason="worse").hold == Hold(reason="worse", by="alice", since=SOAKED)


def test_denying_twice_keeps_the_first_reason() -> None:
    once = back(channel(numbers=(1, 2, 3)), deny=[digest("zlib")])
    twice = back(once, deny=[digest("zlib")], reason="another")
    assert [each.reason for each in twice.deny if each.digest == digest("zlib")] == ["dnf crashes"]


@pytest.mark.parametrize("to", [ref(3).alias, ref(9).alias, digest("nothing")])
def test_refuses_to_roll_back_to_what_is_not_there(to: str) -> None:
    with pytest.raises(Refused, match="cannot go back to") as caught:
        back(channel(numbers=(1, 2, 3)), to=to)
    assert caught.value.expected == "one of R-20261122.2, R-20261122.1"


def test_refuses_to_roll_back_to_a_denied_release() -> None:
    once = back(channel(numbers=(1, 2, 3)))
    with pytest.raises(Refused, match="cannot go back to"):
        back(once, to=ref(3).alias)


def test_refuses_when_nothing_is_left() -> None:
    with pytest.raises(Refused, match="no release to go back to") as caught:
        back(channel(numbers=(1,)))
    assert "every one is denied or current" in str(caught.value.expected)


def test_refuses_to_roll_back_an_empty_channel() -> None:
    with pytest.raises(Refused, match="nothing to roll back"):
        back(Channel(channel="stable"))


@pytest.mark.parametrize("change", [{"by": " "}, {"reason": ""}])
def test_a_rollback_needs_a_name_and_a_reason(change: dict[str, str]) -> None:
    with pytest.raises(Refused, match="a name and a reason"):
        back(channel(numbers=(1, 2)), **change)


def test_refuses_a_hold_in_the_past() -> None:
    with pytest.raises(Refused, match="end before it begins"):
        back(channel(numbers=(1, 2)), until=SOAKED)


def test_knows_since_when_a_release_is_known() -> None:
    found = channel("beta", (1, 2, 1), at=BETA_AT)
    assert found.passed_at(ref(1).digest) == BETA_AT - timedelta(hours=2)
    assert found.passed_at(ref(9).digest) is None


def test_unknown_keys_outlive_a_move() -> None:
    before = replace(channel(numbers=(1, 2)), extra={"newer": 1})
    assert move(before, ref(3)).extra == {"newer": 1}
    assert back(before).extra == {"newer": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"serial": 7},
        {"serial": 1},
        {"current": ref(1)},
        {"current": None},
        {"history": ()},
        {"history": tuple(reversed(channel(numbers=(1, 2)).history))},
        {"history": channel(numbers=(1, 2)).history[:1] * 2},
    ],
    ids=["serial ahead", "serial behind", "another release", "no release", "no history", "upside down", "twice"],
)
def test_a_pointer_that_contradicts_itself_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="history"):
        replace(channel(numbers=(1, 2)), **change)


def test_a_denied_release_cannot_be_current() -> None:
    after = back(channel(numbers=(1, 2)))
    with pytest.raises(ValueError, match="not denied"):
        replace(channel(numbers=(1, 2)), deny=after.deny)


def test_every_move_of_ours_is_a_succession() -> None:
    before = channel(numbers=(1, 2))
    check_succession(before, before)
    check_succession(before, move(before, ref(3)))
    check_succession(before, back(before))
    check_succession(before, channel(numbers=range(1, 40)))


def test_a_hand_may_take_a_denial_back() -> None:
    before = back(channel(numbers=(1, 2)))
    check_succession(before, replace(before, deny=(), hold=None))


def test_refuses_a_serial_that_falls() -> None:
    with pytest.raises(Refused, match="never falls"):
        check_succession(channel(numbers=(1, 2)), channel(numbers=(1,)))


def test_refuses_a_serial_that_names_two_releases() -> None:
    with pytest.raises(Refused, match="never names two releases"):
        check_succession(channel(numbers=(1, 2)), channel(numbers=(1, 3)))


def test_refuses_a_history_that_was_rewritten() -> None:
    with pytest.raises(Refused, match="the history of serial 1 was rewritten"):
        check_succession(channel(numbers=(1, 2)), channel(numbers=(4, 2, 3)))


def test_refuses_another_channels_pointer() -> None:
    with pytest.raises(Refused, match="another channel's pointer"):
        check_succession(channel("beta"), channel("stable"))
