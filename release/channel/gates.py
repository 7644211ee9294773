"""What each gate asks: one rule a kind, from a question to a verdict that says what was expected and what was got."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from release.channel.policies import NEVER_WAIVED, Gate, GateKind, Waiver
from release.channel.questions import GateResult, Question, passed
from release.instants import Instant, short_instant, span_text
from release.product.releases import Trust, Verdict
from release.wording import listed


def judge(gate: Gate, question: Question) -> GateResult:
    """The gate's verdict on the question's candidate, with its waiver where one counts."""
    result = _RULES.get(gate.kind, _fact)(gate, question)
    if result.verdict is Verdict.PASS:
        return result
    release, channel, now = question.evidence.release, question.policy.channel, question.now
    for waiver in question.waivers:
        if waiver.covers(release, channel=channel, gate=gate, now=now):
            message = f"waived by {waiver.by} until {short_instant(waiver.expires)} ({waiver.why}): {result.message}"
            return replace(result, verdict=Verdict.PASS, waived_by=waiver.by, message=message, eligible_at=None)
    useless = next((w for w in question.waivers if _means(w, gate, question)), None)
    return replace(result, action=f"{result.action}; {_why_not(useless, gate)}") if useless else result


def _means(waiver: Waiver, gate: Gate, question: Question) -> bool:
    release = question.evidence.release
    named = waiver.release in (release.digest, release.alias)
    return named and waiver.gate == gate.id and waiver.channel == question.policy.channel


def _why_not(waiver: Waiver, gate: Gate) -> str:
    if gate.kind in NEVER_WAIVED:
        return f"the waiver by {waiver.by} is void: nothing waives a {gate.kind} gate"
    if not gate.waivable:
        return f"the waiver by {waiver.by} is void: the policy does not call gate {gate.id!r} waivable"
    return f"the waiver by {waiver.by} expired at {short_instant(waiver.expires)}"


def _fact(gate: Gate, question: Question) -> GateResult:
    """A checked fact. Nobody looked: UNKNOWN. These checks answer at once, so PENDING is UNKNOWN too."""
    found = question.evidence.finding(gate.kind)
    if found is None:
        return GateResult(
            gate=gate.id,
            kind=gate.kind,
            verdict=Verdict.UNKNOWN,
            message=f"nobody checked the {gate.kind} of {question.alias}",
            expected="a finding of the verifier",
            got="none",
            owner="the verifier",
            action="run the verification again",
        )
    verdict = Verdict.UNKNOWN if found.verdict is Verdict.PENDING else found.verdict
    if verdict is Verdict.PASS:
        return passed(gate.id, gate.kind, f"{gate.kind} of {question.alias}: {found.got}")
    failed = verdict is Verdict.FAIL
    return GateResult(
        gate=gate.id,
        kind=gate.kind,
        verdict=verdict,
        message=f"{gate.kind} of {question.alias} {'is wrong' if failed else 'could not be checked'}: {found.got}",
        expected=found.expected,
        got=found.got,
        owner="the maintainers" if failed else "the verifier",
        action="mend it in a new release" if failed else "run the verification again when its source answers",
    )


def _soak(gate: Gate, question: Question) -> GateResult:
    """Age belongs to the release: it counts from when the release passed upstream, however many came after."""
    needed, upstream = question.rule.soak_seconds, question.policy.upstream
    if not needed or upstream is None:
        return passed(gate.id, gate.kind, f"channel {question.policy.channel!r} asks for no soak")
    since = question.evidence.passed_at(upstream)
    age = int((question.now - since).total_seconds()) if since else 0
    asks = (
        f"channel {question.policy.channel!r} needs {span_text(needed)} of soak, {question.alias} has {span_text(age)}"
    )
    if age >= needed:
        return passed(gate.id, gate.kind, asks)
    eligible = since + timedelta(seconds=needed) if since else None
    when = f"eligible from {short_instant(eligible)}" if eligible else f"it has not passed {upstream!r} yet"
    return GateResult(
        gate=gate.id,
        kind=gate.kind,
        verdict=Verdict.PENDING,
        message=f"{asks}; {when}",
        expected=span_text(needed),
        got=span_text(age),
        owner="the clock" if eligible else f"channel {upstream!r}",
        action="wait",
        eligible_at=eligible,
    )


def _trust(gate: Gate, question: Question) -> GateResult:
    """Production refuses the embedded trust, whatever the gate accepts."""
    refused = {Trust.EMBEDDED} if question.policy.production else set()
    accepted = sorted(set(gate.accept) - refused)
    trust = question.evidence.trust
    if trust in accepted:
        return passed(gate.id, gate.kind, f"{question.alias} is signed under the {trust} trust")
    return GateResult(
        gate=gate.id,
        kind=gate.kind,
        verdict=Verdict.FAIL,
        message=f"{question.alias} is signed under the {trust} trust, which channel "
        f"{question.policy.channel!r} does not accept",
        expected=" or ".join(accepted) or "no trust at all",
        got=trust,
        owner="the maintainers",
        action="sign with a Sigstore that the channel accepts",
    )


def _test(gate: Gate, question: Question) -> GateResult:
    """Only a regression blocks: a failure that the channel's current release has too is not the candidate's."""
    name = gate.test or gate.id
    found = question.evidence.test(name)
    verdict = found.verdict if found else Verdict.UNKNOWN
    state, fresh = f"no result of test {name!r} for {question.alias}", ""
    if found and verdict is Verdict.PENDING:
        verdict, state = _overdue(gate, question, found.since)
    elif found and verdict is Verdict.FAIL:
        new = sorted(set(found.failures) - question.evidence.known_failures(name))
        verdict = Verdict.FAIL if new or not found.failures else Verdict.PASS
        fresh = ", ".join(new)
        state = f"test {name!r} fails for {question.alias}" + (f": {fresh}" if fresh else "")
        state += "" if verdict is Verdict.FAIL else ", as in the current release"
    elif found:
        state = f"test {name!r} of {question.alias}: {verdict}"
    if verdict is Verdict.PASS:
        return passed(gate.id, gate.kind, state)
    return GateResult(
        gate=gate.id,
        kind=gate.kind,
        verdict=verdict,
        message=state,
        expected=f"test {name!r} passes",
        got=fresh or (found.verdict if found else "no result"),
        owner="the maintainers" if verdict is Verdict.FAIL else f"test {name!r}",
        action="mend it in a new release" if verdict is Verdict.FAIL else "run the test, or wait for it",
    )


def _overdue(gate: Gate, question: Question, since: Instant | None) -> tuple[Verdict, str]:
    if since is None or gate.deadline_seconds is None:
        return Verdict.UNKNOWN, f"test {gate.test!r} of {question.alias} is pending without a deadline"
    due = since + timedelta(seconds=gate.deadline_seconds)
    if question.now < due:
        return Verdict.PENDING, f"test {gate.test!r} of {question.alias} runs; due at {short_instant(due)}"
    return Verdict.FAIL, f"test {gate.test!r} of {question.alias} gave no result until {short_instant(due)}"


def _approval(gate: Gate, question: Question) -> GateResult:
    needed, given = question.rule.approvals, question.approved_by
    got = f"{len(given)} ({', '.join(given)})" if given else "0"
    asks = f"channel {question.policy.channel!r} needs {needed} approvals, {question.alias} has {got}"
    if len(given) >= needed:
        return passed(gate.id, gate.kind, asks)
    return GateResult(
        gate=gate.id,
        kind=gate.kind,
        verdict=Verdict.PENDING,
        message=asks,
        expected=f"{needed} of {', '.join(question.policy.approvers)}",
        got=got,
        owner=", ".join(each for each in question.policy.approvers if each not in given),
        action=f"review {question.alias} and approve it",
    )


def _audit(gate: Gate, question: Question) -> GateResult:
    """Whether a night rebuilt this very release, whole. What it found is the guard's business, whatever gates there
    are."""
    found, alias = question.evidence.audit, question.alias
    if found and found.at and not found.unknown and not found.problem:
        return passed(gate.id, gate.kind, f"{alias} was rebuilt from scratch, whole, by {short_instant(found.at)}")
    state, got = f"no night has rebuilt {alias} from scratch", "no audit"
    if found and found.unknown:
        got = listed(found.unknown)
        state = f"the night could not rebuild {len(found.unknown)} packages of {alias}: {got}"
    return GateResult(
        gate=gate.id,
        kind=gate.kind,
        verdict=Verdict.UNKNOWN,
        message=state,
        expected="an audit of all its packages",
        got=(found.problem if found else None) or got,
        owner="the nightly audit",
        action="wait for the night, or start the deployment nightly/nightly",
    )


_RULES: Mapping[GateKind, Callable[[Gate, Question], GateResult]] = MappingProxyType(
    {
        GateKind.SOAK: _soak,
        GateKind.TRUST: _trust,
        GateKind.TEST_RESULT: _test,
        GateKind.APPROVAL: _approval,
        GateKind.AUDIT: _audit,
    }
)
