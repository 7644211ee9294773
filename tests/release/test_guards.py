"""What stands before the gates holds whatever the gates say, and names the one cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from release.channel.channels import Channel, rolled_back
from release.channel.decisions import State
from release.channel.policies import Lane
from release.instants import parse_instant
from release.product.releases import Verdict
from tests.release.promotion_world import (
    CANDIDATE,
    POLICY_DIGEST,
    SOAKED,
    approvals,
    channel,
    decided,
    digest,
    evidence,
    policy,
    ref,
    waiver,
)

CHRISTMAS = parse_instant("2026-12-24T18:00:00Z")
ENDS = parse_instant("2027-01-04T00:00:00Z")


def held(until: datetime | None = None, deny: tuple[str, ...] = ()) -> Channel:
    """Stable after release 2 was rolled back to 1."""
    return rolled_back(
        channel(numbers=(1, 2)),
        at=SOAKED - timedelta(hours=1),
        by="bob",
        reason="dnf crashes",
        policy=POLICY_DIGEST,
        valid_seconds=60,
        until=until,
        deny=deny,
    )


def outcome(**changes: Any) -> tuple[Verdict, State, str]:
    found = decided(**changes)
    return found.verdict, found.state, found.root.gate if found.root else ""


def test_nothing_stands_in_the_way_of_a_good_release() -> None:
    assert outcome() == (Verdict.PASS, State.ELIGIBLE, "")


def test_stop_halts_everything() -> None:
    found = decided(stop="signing key is being replaced\n", by_hand="alice")
    assert (found.verdict, found.state) == (Verdict.FAIL, State.BLOCKED)
    assert found.excuse
    assert found.excuse.message == "every channel is stopped: signing key is being replaced"


def test_an_empty_stop_file_stops_too() -> None:
    assert outcome(stop="") == (Verdict.FAIL, State.BLOCKED, "stop")


def test_stop_does_not_halt_a_rollback() -> None:
    assert held().current == ref(1)  # a rollback asks no policy: it takes no stop and no decision


def test_an_empty_policy_means_no_even_unparsed() -> None:
    found = decided(policy=policy(gates=()))
    assert (found.verdict, found.state) == (Verdict.FAIL, State.BLOCKED)
    assert found.root
    assert (found.root.got, found.root.gate) == ("no gates", "policy")


@pytest.mark.parametrize("position", range(5))
def test_a_policy_that_lost_a_gate_means_no(position: int) -> None:
    gates = policy().gates
    found = decided(policy=policy(gates=gates[:position] + gates[position + 1 :]))
    assert found.verdict is Verdict.FAIL
    assert found.root
    assert gates[position].kind in found.root.expected


def test_the_current_release_is_live_and_nothing_is_to_be_done() -> None:
    assert outcome(channel=channel(numbers=(1, 3))) == (Verdict.FAIL, State.LIVE, "current")


def test_a_denied_release_is_withdrawn() -> None:
    stable = replace(held(), deny=(replace(held().deny[0], digest=CANDIDATE.digest),))
    assert outcome(channel=stable, by_hand="alice") == (Verdict.FAIL, State.WITHDRAWN, "denied")


def test_a_release_with_a_denied_artifact_is_withdrawn() -> None:
    stable = held(until=SOAKED, deny=(digest("base 3"),))
    assert outcome(channel=stable) == (Verdict.FAIL, State.WITHDRAWN, "denied")
    assert outcome(channel=stable, evidence=evidence(artifacts=())) == (Verdict.PASS, State.ELIGIBLE, "")


def test_a_hold_without_an_end_waits_for_a_person() -> None:
    found = decided(channel=held(), now=SOAKED + timedelta(days=365 * 20))
    assert (found.verdict, found.state, found.eligible_at) == (Verdict.FAIL, State.HELD, None)
    assert found.excuse
    assert found.excuse.owner == "bob"
    assert found.excuse.action == "slipway promote stable R-20261122.3, by hand, lifts it"


def test_a_hold_with_an_end_waits_for_it() -> None:
    found = decided(channel=held(until=SOAKED + timedelta(hours=2)))
    assert (found.verdict, found.state) == (Verdict.PENDING, State.HELD)
    assert found.eligible_at == SOAKED + timedelta(hours=2)
    assert decided(channel=held(until=SOAKED)).verdict is Verdict.PASS


def test_a_person_passes_a_hold_with_the_current_candidate() -> None:
    assert outcome(channel=held(), by_hand="alice") == (Verdict.PASS, State.ELIGIBLE, "")


def test_a_person_does_not_pass_a_hold_with_another_release() -> None:
    found = decided(channel=held(), upstream=channel("beta", (1, 3, 4)), by_hand="alice")
    assert (found.verdict, found.state) == (Verdict.FAIL, State.HELD)
    assert found.excuse
    assert "R-20261122.4" in found.excuse.action


def test_a_person_passes_no_gate() -> None:
    found = decided(by_hand="alice", now=SOAKED - timedelta(hours=1))
    assert (found.verdict, found.state) == (Verdict.PENDING, State.SOAKING)


def test_a_freeze_waits_for_its_end() -> None:
    found = decided(now=CHRISTMAS)
    assert (found.verdict, found.state, found.eligible_at) == (Verdict.PENDING, State.FROZEN, ENDS)
    assert found.excuse
    assert found.excuse.message == "channel 'stable' is frozen until 2027-01-04T00:00Z: end of year"


@pytest.mark.parametrize(
    ("names", "verdict"), [(("alice", "bob"), Verdict.PENDING), (("alice", "bob", "carol"), Verdict.PASS)]
)
def test_an_exempt_lane_needs_one_approval_more(names: tuple[str, ...], verdict: Verdict) -> None:
    facts = evidence(lane=Lane.SECURITY_CRITICAL, approvals=approvals(*names))
    found = decided(now=CHRISTMAS, evidence=facts)
    assert found.verdict is verdict
    if found.excuse:
        assert found.excuse.message.endswith("lane security-critical needs 3 approvals and has 2")


def test_approvals_do_not_thaw_another_lane() -> None:
    facts = evidence(lane=Lane.SECURITY_HIGH, approvals=approvals("alice", "bob", "carol"))
    assert outcome(now=CHRISTMAS, evidence=facts) == (Verdict.PENDING, State.FROZEN, "freeze")


def test_deny_wins_over_a_freeze_and_a_hold() -> None:
    stable = held(deny=(digest("base 3"),))
    assert outcome(channel=stable, now=CHRISTMAS)[2] == "denied"


@pytest.mark.parametrize("gate", ["stop", "hold", "freeze", "denied", "upstream", "policy"])
def test_no_waiver_reaches_a_guard(gate: str) -> None:
    cases: dict[str, dict[str, Any]] = {
        "stop": {"stop": "halt"},
        "hold": {"channel": held()},
        "freeze": {"now": CHRISTMAS},
        "denied": {"channel": held(deny=(digest("base 3"),))},
        "upstream": {"evidence": evidence(passed=())},
        "policy": {"policy": policy(gates=())},
    }
    late = waiver(gate, expires=CHRISTMAS + timedelta(days=99))
    found = decided(**cases[gate], waivers=[late])
    assert found.verdict is not Verdict.PASS
    assert found.root
    assert found.root.gate == gate


def test_a_release_that_was_never_upstream_is_no_candidate() -> None:
    assert outcome(evidence=evidence(passed=())) == (Verdict.PENDING, State.CANDIDATE, "upstream")


def test_a_release_that_upstream_withdrew_is_rejected() -> None:
    beta = rolled_back(
        channel("beta", (1, 2, 3)), at=SOAKED, by="bob", reason="broken", policy=POLICY_DIGEST, valid_seconds=60
    )
    assert outcome(upstream=beta) == (Verdict.FAIL, State.REJECTED, "upstream")


def test_an_upstream_that_cannot_be_read_is_unknown() -> None:
    assert outcome(upstream=None) == (Verdict.UNKNOWN, State.BLOCKED, "upstream")


def test_a_hold_in_the_first_channel_is_passed_by_hand() -> None:
    first = policy(upstream=None)
    assert decided(policy=first, upstream=None, channel=held(), by_hand="alice").verdict is Verdict.PASS
