"""Each gate says yes only for its reason, and otherwise what was expected, what was got, and who can act."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from release.channel.policies import NEVER_WAIVED, Gate, GateKind, Lane
from release.channel.questions import GateResult
from release.product.releases import Trust, Verdict
from tests.release.promotion_world import (
    BETA_AT,
    SOAKED,
    approvals,
    decided,
    evidence,
    findings,
    policy,
    smoke,
    waiver,
    without,
)

HOUR = timedelta(hours=1)


def result(gate: str, **changes: Any) -> GateResult:
    return next(each for each in decided(**changes).results if each.gate == gate)


@pytest.mark.parametrize("kind", NEVER_WAIVED)
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN])
def test_a_finding_is_passed_on(kind: GateKind, verdict: Verdict) -> None:
    answers = decided(evidence=evidence(findings=findings(**{kind: verdict}))).results
    answer = next(each for each in answers if each.kind == kind)
    assert (answer.verdict, answer.got, answer.expected) == (verdict, f"what {kind} is", f"good {kind}")
    assert answer.owner
    assert answer.action


@pytest.mark.parametrize("kind", NEVER_WAIVED)
def test_what_nobody_checked_is_unknown(kind: GateKind) -> None:
    answers = decided(evidence=evidence(findings=without(kind))).results
    answer = next(each for each in answers if each.kind == kind)
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.message == f"nobody checked the {kind} of R-20261122.3"


def test_a_check_that_answers_later_has_not_answered() -> None:
    answer = result("signed", evidence=evidence(findings=findings(signature=Verdict.PENDING)))
    assert answer.verdict is Verdict.UNKNOWN


def test_soak_says_how_long_how_far_and_from_when() -> None:
    answer = result("soaked", now=BETA_AT + 5 * HOUR)
    assert answer.verdict is Verdict.PENDING
    assert answer.message == (
        "channel 'stable' needs 72 h of soak, R-20261122.3 has 5 h; eligible from 2026-11-25T10:00Z"
    )
    assert (answer.expected, answer.got, answer.eligible_at) == ("72 h", "5 h", SOAKED)


@pytest.mark.parametrize(
    ("lane", "hours", "verdict"),
    [
        (Lane.NORMAL, 72, Verdict.PASS),
        (Lane.NORMAL, 71.99, Verdict.PENDING),
        (Lane.SECURITY_HIGH, 4, Verdict.PASS),
        (Lane.SECURITY_HIGH, 3.99, Verdict.PENDING),
        (Lane.SECURITY_CRITICAL, 1, Verdict.PASS),
        (Lane.SECURITY_CRITICAL, 0, Verdict.PENDING),
        (Lane.SECURITY_CRITICAL, -5, Verdict.PENDING),
    ],
)
def test_each_lane_soaks_its_time(lane: Lane, hours: float, verdict: Verdict) -> None:
    assert result("soaked", evidence=evidence(lane=lane), now=BETA_AT + hours * HOUR).verdict is verdict


def test_soak_has_not_begun_before_upstream() -> None:
    answer = result("soaked", evidence=evidence(passed=()))
    assert answer.verdict is Verdict.PENDING
    assert answer.eligible_at is None
    assert "it has not passed 'beta' yet" in answer.message


@pytest.mark.parametrize("trust", Trust)
def test_a_trust_passes_where_it_is_accepted(trust: Trust) -> None:
    gates = [each for each in policy().gates if each.kind is not GateKind.TRUST]
    gates.append(Gate(id="trust", kind=GateKind.TRUST, accept=(trust,)))
    for given in Trust:
        answer = result("trust", policy=policy(gates=tuple(gates)), evidence=evidence(trust=given))
        assert answer.verdict is (Verdict.PASS if given is trust else Verdict.FAIL)


def test_production_refuses_the_embedded_trust_whatever_the_gate_accepts() -> None:
    answer = result("trust", policy=policy(production=True))
    assert answer.verdict is Verdict.FAIL
    assert (answer.got, answer.expected) == ("embedded", "private or public")


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        ((), Verdict.UNKNOWN),
        ((smoke(Verdict.PASS),), Verdict.PASS),
        ((smoke(Verdict.UNKNOWN),), Verdict.UNKNOWN),
        ((smoke(Verdict.FAIL, "boots"),), Verdict.FAIL),
        ((smoke(Verdict.FAIL),), Verdict.FAIL),
        ((smoke(Verdict.PASS), smoke(Verdict.FAIL, "boots")), Verdict.FAIL),
    ],
    ids=["missing", "pass", "unknown", "fail", "fail without cases", "both"],
)
def test_a_test_result_counts_as_it_is(tests: Any, verdict: Verdict) -> None:
    assert result("smoke", evidence=evidence(tests=tests)).verdict is verdict


@pytest.mark.parametrize(
    ("failing", "known", "verdict"),
    [
        (("boots",), ("boots",), Verdict.PASS),
        (("boots",), ("boots", "updates"), Verdict.PASS),
        (("boots", "updates"), ("boots",), Verdict.FAIL),
        ((), (), Verdict.FAIL),
    ],
)
def test_only_a_regression_blocks(failing: tuple[str, ...], known: tuple[str, ...], verdict: Verdict) -> None:
    facts = evidence(tests=(smoke(Verdict.FAIL, *failing),), baseline=(smoke(Verdict.FAIL, *known),))
    assert result("smoke", evidence=facts).verdict is verdict


def test_a_regression_is_named() -> None:
    facts = evidence(tests=(smoke(Verdict.FAIL, "boots", "updates"),), baseline=(smoke(Verdict.FAIL, "boots"),))
    answer = result("smoke", evidence=facts)
    assert answer.message == "test 'smoke' fails for R-20261122.3: updates"
    assert answer.got == "updates"


@pytest.mark.parametrize(("minutes", "verdict"), [(59, Verdict.PENDING), (60, Verdict.FAIL), (600, Verdict.FAIL)])
def test_a_test_that_is_pending_past_its_deadline_failed(minutes: int, verdict: Verdict) -> None:
    facts = evidence(tests=(smoke(Verdict.PENDING, since=SOAKED),))
    answer = result("smoke", evidence=facts, now=SOAKED + timedelta(minutes=minutes))
    assert answer.verdict is verdict
    assert "2026-11-25T11:00Z" in answer.message


def test_a_test_that_is_pending_since_nobody_knows_when_is_unknown() -> None:
    assert result("smoke", evidence=evidence(tests=(smoke(Verdict.PENDING),))).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        ((), Verdict.PENDING),
        (("alice",), Verdict.PENDING),
        (("alice", "alice"), Verdict.PENDING),
        (("alice", "mallory"), Verdict.PENDING),
        (("alice", "bob"), Verdict.PASS),
        (("alice", "bob", "carol"), Verdict.PASS),
    ],
)
def test_only_different_approvers_count(names: tuple[str, ...], verdict: Verdict) -> None:
    facts = evidence(lane=Lane.SECURITY_CRITICAL, approvals=approvals(*names))
    assert result("people", evidence=facts).verdict is verdict


def test_says_whose_approval_is_missing() -> None:
    answer = result("people", evidence=evidence(lane=Lane.SECURITY_CRITICAL, approvals=approvals("bob")))
    assert answer.message == "channel 'stable' needs 2 approvals, R-20261122.3 has 1 (bob)"
    assert answer.owner == "alice, carol"
    assert answer.expected == "2 of alice, bob, carol"


def test_a_normal_release_needs_no_approval() -> None:
    assert result("people").verdict is Verdict.PASS


@pytest.mark.parametrize("tests", [(), (smoke(Verdict.FAIL, "boots"),), (smoke(Verdict.UNKNOWN),)])
def test_a_waiver_excuses_one_gate_and_says_so(tests: Any) -> None:
    answer = result("smoke", evidence=evidence(tests=tests), waivers=[waiver("smoke")])
    assert (answer.verdict, answer.waived_by) == (Verdict.PASS, "alice")
    assert answer.message.startswith("waived by alice until 2026-11-26T10:00Z (before the weekend): ")


def test_a_waiver_can_end_the_soak_early() -> None:
    answer = result("soaked", now=BETA_AT + HOUR, waivers=[waiver("soaked")])
    assert (answer.verdict, answer.eligible_at) == (Verdict.PASS, None)


def test_a_gate_that_passes_needs_no_waiver() -> None:
    assert result("smoke", waivers=[waiver("smoke")]).waived_by is None


@pytest.mark.parametrize("kind", NEVER_WAIVED)
def test_no_waiver_covers_what_proves_origin(kind: GateKind) -> None:
    gate = next(each.id for each in policy().gates if each.kind is kind)
    facts = evidence(findings=findings(**{kind: Verdict.FAIL}))
    answer = result(gate, evidence=facts, waivers=[waiver(gate)])
    assert answer.verdict is Verdict.FAIL
    assert answer.action.endswith(f"the waiver by alice is void: nothing waives a {kind} gate")


def test_a_gate_that_is_not_waivable_stays() -> None:
    facts = evidence(lane=Lane.SECURITY_CRITICAL)
    answer = result("people", evidence=facts, waivers=[waiver("people")])
    assert answer.verdict is Verdict.PENDING
    assert "does not call gate 'people' waivable" in answer.action


def test_an_expired_waiver_is_named() -> None:
    answer = result("smoke", evidence=evidence(tests=()), waivers=[waiver("smoke", expires=SOAKED)])
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.action.endswith("the waiver by alice expired at 2026-11-25T10:00Z")


@pytest.mark.parametrize("change", [{"channel": "beta"}, {"release": "R-20261122.2"}])
def test_a_waiver_of_something_else_is_not_even_mentioned(change: dict[str, str]) -> None:
    answer = result("smoke", evidence=evidence(tests=()), waivers=[waiver("smoke", **change)])
    assert answer.verdict is Verdict.UNKNOWN
    assert "waiver" not in answer.action
