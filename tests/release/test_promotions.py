"""One decision: why not, from when, by whom; the same bytes again; and a move only where it said yes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from release.channel.channels import rolled_back
from release.channel.decisions import Decision, State
from release.channel.policies import Lane
from release.channel.promotions import candidates, decide, promote, replay
from release.digests import canonical_json
from release.errors import Refused
from release.instants import short_instant
from release.product.releases import Verdict
from tests.release.promotion_world import (
    BETA_AT,
    CANDIDATE,
    POLICY_DIGEST,
    SOAKED,
    channel,
    decided,
    evidence,
    findings,
    move,
    policy,
    ref,
    smoke,
    waiver,
)

SOON = BETA_AT + timedelta(hours=5)


def test_a_good_release_is_eligible_and_needs_no_excuse() -> None:
    found = decided()
    assert (found.verdict, found.state, found.excuse, found.root) == (Verdict.PASS, State.ELIGIBLE, None, None)
    assert found.eligible_at == SOAKED


def test_every_guard_and_gate_has_an_answer_in_order() -> None:
    names = [each.gate for each in decided().results]
    guards = ["stop", "policy", "current", "denied", "hold", "freeze", "upstream"]
    assert names == guards + [gate.id for gate in policy().gates]


def test_the_excuse_is_for_a_person() -> None:
    excuse = decided(now=SOON).excuse
    assert excuse
    assert excuse.path == "excuses/stable/R-20261122.3.json"
    assert excuse.to_json() == {
        "channel": "stable",
        "release": {"digest": CANDIDATE.digest, "alias": "R-20261122.3"},
        "verdict": "PENDING",
        "state": "SOAKING",
        "gate": "soaked",
        "message": "channel 'stable' needs 72 h of soak, R-20261122.3 has 5 h; eligible from 2026-11-25T10:00Z",
        "expected": "72 h",
        "got": "5 h",
        "owner": "the clock",
        "action": "wait",
        "eligible_at": "2026-11-25T10:00:00Z",
    }


def test_the_root_cause_is_the_worst_and_of_these_the_first() -> None:
    facts = evidence(findings=findings(sbom=Verdict.FAIL, closure=Verdict.FAIL, signature=Verdict.UNKNOWN), tests=())
    found = decided(evidence=facts, now=SOON)
    assert found.verdict is Verdict.FAIL
    assert found.root
    assert found.root.gate == "sbom"


def test_unknown_is_worse_than_waiting() -> None:
    found = decided(evidence=evidence(tests=()), now=SOON)
    assert (found.verdict, found.state) == (Verdict.UNKNOWN, State.BLOCKED)
    assert found.eligible_at is None


def test_eligible_when_the_last_wait_is_over() -> None:
    stable = rolled_back(
        channel(numbers=(1, 2)),
        at=BETA_AT,
        by="bob",
        reason="x",
        policy=POLICY_DIGEST,
        valid_seconds=1,
        until=SOAKED + timedelta(hours=9),
    )
    assert decided(channel=stable, now=SOON).eligible_at == SOAKED + timedelta(hours=9)


def test_nobody_knows_when_if_a_person_must_act() -> None:
    facts = evidence(lane=Lane.SECURITY_CRITICAL)
    found = decided(evidence=facts, now=BETA_AT)
    assert (found.verdict, found.eligible_at) == (Verdict.PENDING, None)


def test_a_question_that_nobody_asked_is_unknown() -> None:
    assert Decision(question=decided().question, results=()).verdict is Verdict.UNKNOWN
    assert Decision(question=decided().question, results=()).state is State.BLOCKED


def test_replays_to_the_same_bytes() -> None:
    for found in (decided(), decided(now=SOON), decided(stop="halt"), decided(waivers=[waiver("smoke")], by_hand="al")):
        raw = found.to_bytes()
        assert replay(raw) == found
        assert replay(raw).to_bytes() == raw


def test_is_canonical_json_with_its_question() -> None:
    raw = decided(now=SOON).to_bytes()
    value = json.loads(raw)
    assert canonical_json(value) == raw
    assert value["verdict"] == "PENDING"
    assert value["serial"] == 1
    assert value["question"]["now"] == "2026-11-22T15:00:00Z"
    assert value["question"]["policy"]["digest"] == policy().digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"verdict":"PENDING"', b'"verdict":"PASS"'),
        (b'"now":"2026-11-22T15:00:00Z"', b'"now":"2026-11-22T16:00:00Z"'),
        (b'"soak_seconds":259200', b'"soak_seconds":1'),
        (b'"has 5 h', b'"has 6 h'),
    ],
)
def test_a_forged_decision_does_not_replay(old: bytes, new: bytes) -> None:
    raw = decided(now=SOON).to_bytes()
    forged = raw.replace(old, new) if old in raw else raw.replace(b"has 5 h", b"has 6 h")
    with pytest.raises(Refused, match="does not replay"):
        replay(forged)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"question":{}}', b'{"question":7}', b"\xff"])
def test_refuses_to_replay_what_is_no_decision(raw: bytes) -> None:
    with pytest.raises(Refused, match="not a recorded"):
        replay(raw)


def test_fractions_of_a_second_do_not_change_a_decision() -> None:
    assert decided(now=SOAKED + timedelta(microseconds=5)).to_bytes() == decided().to_bytes()


def test_the_order_of_waivers_does_not_matter() -> None:
    both = [waiver("smoke"), waiver("soaked")]
    assert decided(waivers=both).to_bytes() == decided(waivers=both[::-1]).to_bytes()


def test_refuses_parts_of_different_channels() -> None:
    for change in ({"channel": channel("beta")}, {"evidence": evidence(channel="beta")}, {"upstream": channel("edge")}):
        with pytest.raises(Refused, match="different channels"):
            decided(**change)


def test_an_upstream_where_the_policy_has_none_is_refused() -> None:
    with pytest.raises(Refused, match="different channels"):
        decided(policy=policy(upstream=None))


def test_a_yes_moves_the_channel() -> None:
    found = decided()
    after = promote(channel(), found)
    assert (after.serial, after.current, after.previous) == (2, CANDIDATE, ref(1))
    assert after.history[0].decision == found.digest
    assert after.history[0].decided_by == "slipway"
    assert after.policy == policy().digest
    assert after.valid_until == SOAKED + timedelta(seconds=604800)


def test_a_promotion_by_hand_says_whose() -> None:
    assert promote(channel(), decided(by_hand="alice")).decided_by == "alice"


def test_a_promotion_by_hand_lifts_the_hold() -> None:
    stable = rolled_back(
        channel(numbers=(1, 2)), at=BETA_AT, by="bob", reason="x", policy=POLICY_DIGEST, valid_seconds=1
    )
    after = promote(stable, decided(channel=stable, by_hand="alice"))
    assert (after.hold, after.current) == (None, CANDIDATE)


def test_a_no_moves_nothing_and_says_why() -> None:
    with pytest.raises(Refused) as caught:
        promote(channel(), decided(now=SOON))
    assert caught.value.message == (
        "channel 'stable' needs 72 h of soak, R-20261122.3 has 5 h; eligible from 2026-11-25T10:00Z"
    )
    assert (caught.value.got, caught.value.expected, caught.value.hint) == ("5 h", "72 h", "wait")


def test_a_yes_about_yesterdays_channel_moves_nothing() -> None:
    found = decided()
    with pytest.raises(Refused, match="moved after the decision"):
        promote(move(channel(), ref(2)), found)
    with pytest.raises(Refused, match="moved after the decision"):
        promote(replace(channel(), extra={"frozen": True}), found)


def test_the_same_yes_counts_once() -> None:
    found = decided()
    after = promote(channel(), found)
    with pytest.raises(Refused):
        promote(after, found)


def test_candidates_are_the_newer_releases_of_upstream_newest_first() -> None:
    assert candidates(channel(numbers=(1,)), channel("beta", (1, 2, 3))) == (ref(3), ref(2))
    assert candidates(channel(numbers=(2,)), channel("beta", (1, 2, 3))) == (ref(3),)
    assert candidates(channel(numbers=(3,)), channel("beta", (1, 2, 3))) == ()


def test_an_empty_channel_may_take_any_of_them() -> None:
    assert candidates(channel(numbers=()), channel("beta", (1, 2))) == (ref(2), ref(1))
    assert candidates(channel(numbers=()), channel("beta", ())) == ()


def test_what_either_side_denied_is_no_candidate() -> None:
    beta = rolled_back(
        channel("beta", (1, 2, 3)), at=SOAKED, by="bob", reason="x", policy=POLICY_DIGEST, valid_seconds=1
    )
    assert candidates(channel(numbers=(1,)), beta) == (ref(2),)
    stable = rolled_back(
        channel(numbers=(1, 2)), at=SOAKED, by="bob", reason="x", policy=POLICY_DIGEST, valid_seconds=1
    )
    assert candidates(stable, channel("beta", (1, 2, 3))) == (ref(3),)


def test_a_release_every_hour_starves_nobody() -> None:
    """Kargo #5342: where age belongs to a stage, frequent builds never soak. Here it belongs to the release."""
    beta = channel("beta", range(1, 19), at=BETA_AT)
    stable, waiting = (
        channel(numbers=(1,)),
        policy(lanes=tuple(replace(r, soak_seconds=4 * 3600) for r in policy().lanes)),
    )
    ripe = []
    for each in candidates(stable, beta):
        at = beta.passed_at(each.digest)
        assert at
        facts = evidence(release=each, passed=(replace(evidence().passed[0], at=at),), tests=(smoke(Verdict.PASS),))
        found = decide(policy=waiting, evidence=facts, channel=stable, upstream=beta, now=BETA_AT)
        if found.verdict is Verdict.PASS:
            ripe.append(each)
        else:
            assert found.eligible_at == at + timedelta(hours=4), short_instant(at)
    assert ripe[0] == ref(14), "the newest release that is four hours old"
