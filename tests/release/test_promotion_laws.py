"""Laws that hold for every history and every evidence, searched for counter-examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from release.channel.channel_files import channel_yaml, parse_channel
from release.channel.channels import Channel, check_succession, rolled_back
from release.channel.decisions import Decision
from release.channel.evidence import Approval, Evidence, Finding, Passed
from release.channel.policies import NEVER_WAIVED, GateKind, Lane, Waiver
from release.channel.promotions import candidates, decide, promote, replay
from release.errors import Refused
from release.product.releases import ReleaseTest, Trust, Verdict
from tests.release.promotion_world import (
    BETA_AT,
    POLICY_DIGEST,
    SOAKED,
    channel,
    decided,
    digest,
    evidence,
    findings,
    move,
    policy,
    ref,
)

numbers = st.integers(1, 5)
instants = st.integers(-100, 2000).map(lambda hours: BETA_AT + timedelta(hours=hours))
verdicts = st.sampled_from(Verdict)
names = st.sampled_from(["alice", "bob", "carol", "mallory"])
digests = st.sampled_from([digest("base 3"), digest("snapshot 3"), *(ref(n).digest for n in range(1, 6))])
gate_ids = st.sampled_from([*(gate.id for gate in policy().gates), "stop", "hold"])

some_findings = st.lists(
    st.builds(
        Finding, kind=st.sampled_from(NEVER_WAIVED), verdict=verdicts, got=st.text(max_size=5), expected=st.just("")
    ),
    max_size=8,
)
tests = st.lists(
    st.builds(
        ReleaseTest,
        name=st.sampled_from(["smoke", "other"]),
        verdict=verdicts,
        failures=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
        since=st.none() | instants,
    ),
    max_size=3,
)


def often(honest: Any, strange: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The honest value most of the time, so that a strange one elsewhere is what decides."""
    return st.integers(0, 3).flatmap(lambda pick: strange if pick == 0 else st.just(honest))


HONEST = evidence()
evidences = st.builds(
    Evidence,
    channel=st.just("stable"),
    release=often(HONEST.release, numbers.map(ref)),
    verifier=st.just("v"),
    trust=st.sampled_from(Trust),
    lane=often(HONEST.lane, st.sampled_from(Lane)),
    artifacts=often(HONEST.artifacts, st.lists(digests, max_size=3).map(tuple)),
    findings=often(HONEST.findings, some_findings.map(tuple)),
    tests=often(HONEST.tests, tests.map(tuple)),
    baseline=often((), tests.map(tuple)),
    approvals=st.lists(st.builds(Approval, by=names, at=instants), max_size=4).map(tuple),
    passed=often(
        HONEST.passed,
        st.lists(st.builds(Passed, channel=st.sampled_from(["beta", "edge"]), at=instants), max_size=2).map(tuple),
    ),
)
waivers = st.lists(
    st.builds(
        Waiver,
        channel=st.sampled_from(["stable", "beta"]),
        release=numbers.map(lambda n: ref(n).alias),
        gate=gate_ids,
        why=st.just("why"),
        by=names,
        expires=instants,
    ),
    max_size=4,
)
steps = st.lists(st.tuples(st.sampled_from(["move", "hand", "back"]), numbers, st.integers(0, 30)), max_size=25)


def walked(plan: Sequence[tuple[str, int, int]], name: str = "stable") -> list[Channel]:
    """Every state of a channel on a walk of moves, moves by hand and rollbacks; what is refused changes nothing."""
    states, now = [Channel(channel=name)], BETA_AT
    for kind, number, hours in plan:
        now += timedelta(hours=hours)
        try:
            states.append(step(states[-1], kind, number, now))
        except Refused:
            continue
    return states


def step(before: Channel, kind: str, number: int, now: datetime) -> Channel:
    if kind != "back":
        return move(before, ref(number), at=now, by_hand=kind == "hand")
    until = now + timedelta(hours=10) if number % 2 else None
    return rolled_back(before, at=now, by="al", reason="bad", policy=POLICY_DIGEST, valid_seconds=1, until=until)


channels = steps.map(lambda plan: walked(plan)[-1])
upstreams = steps.map(lambda plan: walked(plan, "beta")[-1])
questions: Any = st.fixed_dictionaries(
    {
        "evidence": evidences,
        "channel": often(channel(), channels),
        "upstream": often(channel("beta", (1, 2, 3)), st.none() | upstreams),
        "now": often(SOAKED, instants),
        "waivers": often((), waivers),
        "stop": often(None, st.text(max_size=5)),
        "by_hand": st.none() | names,
        "policy": often(
            policy(), st.sampled_from([policy(production=True), policy(gates=()), policy(gates=policy().gates[5:])])
        ),
    }
)


@settings(deadline=None)
@given(steps)
def test_the_serial_only_rises_and_history_is_never_rewritten(plan: list[tuple[str, int, int]]) -> None:
    states = walked(plan)
    for before, after in pairwise(states):
        assert after.serial == before.serial + 1
        check_succession(before, after)
    check_succession(states[0], states[-1])


@settings(deadline=None)
@given(steps)
def test_a_denied_release_never_becomes_current(plan: list[tuple[str, int, int]]) -> None:
    denied: set[str] = set()
    for state in walked(plan):
        assert state.current is None or state.current.digest not in denied
        denied |= {each.digest for each in state.deny}
        assert denied == {each.digest for each in state.deny}, "nothing automatic takes a denial back"


@settings(deadline=None)
@given(steps)
def test_every_pointer_survives_its_file(plan: list[tuple[str, int, int]]) -> None:
    state = walked(plan)[-1]
    assert parse_channel(channel_yaml(state), name="stable") == state


@settings(deadline=None)
@given(questions)
def test_a_decision_is_the_same_today_and_in_ten_years(question: dict[str, Any]) -> None:
    found = decide(**question)
    assert decide(**question).to_bytes() == found.to_bytes()
    assert replay(found.to_bytes()).to_bytes() == found.to_bytes()


@settings(deadline=None)
@given(questions, st.randoms())
def test_the_order_of_facts_does_not_matter(question: dict[str, Any], random: Any) -> None:
    def shuffled(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(random.sample(list(items), len(items)))

    facts = question["evidence"]
    mixed = replace(
        facts,
        findings=shuffled(facts.findings),
        tests=shuffled(facts.tests),
        approvals=shuffled(facts.approvals),
        artifacts=shuffled(facts.artifacts),
        passed=shuffled(facts.passed),
        baseline=shuffled(facts.baseline),
    )
    again = decide(**{**question, "evidence": mixed, "waivers": shuffled(question["waivers"])})
    assert again.to_bytes() == decide(**question).to_bytes()


@settings(deadline=None)
@given(questions)
def test_a_pass_has_a_pass_from_every_gate_and_every_proof(question: dict[str, Any]) -> None:
    found = decide(**question)
    if found.verdict is not Verdict.PASS:
        assert found.excuse
        assert found.excuse.message
        assert found.excuse.action
        return
    facts: Evidence = question["evidence"]
    assert question["stop"] is None
    assert {each.gate for each in found.results} >= {gate.id for gate in question["policy"].gates}
    assert all(each.verdict is Verdict.PASS for each in found.results)
    for kind in NEVER_WAIVED:
        assert [each.verdict for each in facts.findings if each.kind is kind]
        assert all(each.verdict is Verdict.PASS for each in facts.findings if each.kind is kind)
    assert not (question["policy"].production and facts.trust is Trust.EMBEDDED)
    since, rule = facts.passed_at("beta"), question["policy"].rule(facts.lane)
    assert since
    soaked = (question["now"] - since).total_seconds() >= rule.soak_seconds
    assert soaked or any(each.gate == "soaked" for each in question["waivers"])


@settings(deadline=None)
@given(questions)
def test_a_yes_can_always_be_carried_out_and_a_no_never(question: dict[str, Any]) -> None:
    found = decide(**question)
    try:
        after = promote(question["channel"], found)
    except Refused:
        assert found.verdict is not Verdict.PASS
    else:
        assert found.verdict is Verdict.PASS
        assert after.current == question["evidence"].release
        assert after.current.digest not in {each.digest for each in after.deny}


@settings(deadline=None)
@given(st.sampled_from(policy().gates), st.sampled_from([Verdict.FAIL, Verdict.UNKNOWN, Verdict.PENDING, None]))
def test_one_gate_without_a_pass_is_enough(gate: Any, verdict: Verdict | None) -> None:
    spoiled = spoil(gate.kind, verdict)
    assert spoiled.verdict is not Verdict.PASS
    assert spoiled.root
    assert spoiled.root.gate in (gate.id, "upstream")


def spoil(kind: GateKind, verdict: Verdict | None) -> Decision:
    """The decision when one gate's fact is bad (or, with None, missing) and everything else is in order."""
    if kind in NEVER_WAIVED:
        kept = tuple(each for each in findings() if each.kind is not kind)
        bad = (Finding(kind=kind, verdict=verdict, got="", expected=""),) if verdict else ()
        return decided(evidence=evidence(findings=kept + bad))
    if kind is GateKind.TEST_RESULT:
        bad_test = (ReleaseTest(name="smoke", verdict=verdict),) if verdict else ()
        return decided(evidence=evidence(tests=bad_test))
    if kind is GateKind.TRUST:
        return decided(policy=policy(production=True))
    if kind is GateKind.APPROVAL:
        return decided(evidence=evidence(lane=Lane.SECURITY_CRITICAL))
    return decided(now=SOAKED - timedelta(seconds=1)) if verdict else decided(evidence=evidence(passed=()))


@settings(deadline=None)
@given(questions, st.integers(1, 5000))
def test_waiting_is_enough_where_it_says_so(question: dict[str, Any], minutes: int) -> None:
    found = decide(**question)
    if found.verdict is not Verdict.PENDING or found.eligible_at is None or question["waivers"]:
        return
    ripe = decide(**{**question, "now": found.eligible_at})
    freeze = question["policy"].frozen(found.eligible_at)
    tests_expire = any(each.verdict is Verdict.PENDING for each in question["evidence"].tests)
    assert ripe.verdict is Verdict.PASS or freeze or tests_expire
    early = decide(**{**question, "now": min(found.eligible_at - timedelta(minutes=minutes), question["now"])})
    assert early.verdict is not Verdict.PASS


@settings(deadline=None)
@given(steps, steps)
def test_candidates_never_go_back_and_never_bring_back(up: list[tuple[str, int, int]], down: Any) -> None:
    beta, stable = walked(up, "beta")[-1], walked(down)[-1]
    found = candidates(stable, beta)
    denied = {each.digest for each in (*stable.deny, *beta.deny)}
    assert not {each.digest for each in found} & denied
    assert stable.current not in found
    assert len(set(found)) == len(found)


def test_the_world_of_these_laws_has_both_answers() -> None:
    assert decided().verdict is Verdict.PASS
    assert decided(channel=channel(), stop="x").verdict is Verdict.FAIL
