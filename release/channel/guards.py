"""What stands before every gate, whatever the policy says: stop, denial, hold, freeze, the way through upstream, and
what the nightly audit found."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from release.channel.audits import Fault, waiver_for
from release.channel.questions import GateResult, Question, passed
from release.instants import short_instant
from release.product.releases import Verdict
from release.wording import listed

KIND = "guard"


def guard(question: Question) -> Iterator[GateResult]:
    """The verdict of every guard, in the order in which a person would look for the cause."""
    for each in _GUARDS:
        if each is _audit and question.evidence.audit is None:
            continue  # a decision that was recorded before there were audits replays to the same bytes
        result = each(question)
        yield result or passed(each.__name__.strip("_"), KIND, "nothing in the way")


def _stop(question: Question) -> GateResult | None:
    if question.stop is None:
        return None
    reason = question.stop.strip() or "no reason given"
    return GateResult(
        gate="stop",
        kind=KIND,
        verdict=Verdict.FAIL,
        message=f"every channel is stopped: {reason}",
        expected="no policies/STOP",
        got=reason,
        owner="whoever committed policies/STOP",
        action="remove policies/STOP by a commit; a rollback works meanwhile",
    )


def _policy(question: Question) -> GateResult | None:
    """An empty policy means no; parsing refuses it too, so this is for a policy that was never parsed."""
    missing = question.policy.missing()
    if not missing:
        return None
    return GateResult(
        gate="policy",
        kind=KIND,
        verdict=Verdict.FAIL,
        message=f"the policy of {question.policy.channel!r} lacks gates: an empty policy means no",
        expected=f"gates of the kinds {', '.join(missing)}",
        got=", ".join(gate.kind for gate in question.policy.gates) or "no gates",
        owner="the maintainers",
        action=f"add them to policies/{question.policy.channel}.yaml",
    )


def _current(question: Question) -> GateResult | None:
    current, channel = question.channel.current, question.channel
    if current is None or current.digest != question.evidence.release.digest:
        return None
    return GateResult(
        gate="current",
        kind=KIND,
        verdict=Verdict.FAIL,
        message=f"{question.alias} is current in {channel.channel!r} already, under serial {channel.serial}",
        expected="another release",
        got=current.digest,
        owner="nobody",
        action="nothing to do",
    )


def _denied(question: Question) -> GateResult | None:
    evidence = question.evidence
    denial = question.channel.denied({evidence.release.digest, *evidence.artifacts})
    if denial is None:
        return None
    return GateResult(
        gate="denied",
        kind=KIND,
        verdict=Verdict.FAIL,
        message=f"{question.alias} is denied in {question.channel.channel!r}: {denial.reason}",
        expected="a release without anything denied",
        got=denial.alias or denial.digest,
        owner=denial.by,
        action=f"fix it in a new release, or take the denial out of channels/{question.channel.channel}.yaml",
    )


def _hold(question: Question) -> GateResult | None:
    """A hold ends by its time, or when a person promotes the current candidate; nothing else lifts it."""
    hold = question.channel.held(question.now)
    if hold is None or (question.by_hand and _is_candidate(question)):
        return None
    name = question.channel.channel
    until = f"until {short_instant(hold.until)}" if hold.until else "until a person promotes"
    return GateResult(
        gate="hold",
        kind=KIND,
        verdict=Verdict.PENDING if hold.until else Verdict.FAIL,
        message=f"channel {name!r} is held by {hold.by} {until}: {hold.reason}",
        expected="no hold",
        got=hold.reason,
        owner=hold.by,
        action=f"slipway promote {name} {_candidate(question)}, by hand, lifts it",
        eligible_at=hold.until,
    )


def _freeze(question: Question) -> GateResult | None:
    """Deny wins; an exempt lane needs one approval more than usual."""
    freeze = question.policy.frozen(question.now)
    if freeze is None:
        return None
    exempt, needed = question.evidence.lane in freeze.exempt_lanes, question.rule.approvals + 1
    given, ends = len(question.approved_by), short_instant(freeze.ends)
    if exempt and given >= needed:
        return None
    asks = f"; lane {question.evidence.lane} needs {needed} approvals and has {given}" if exempt else ""
    return GateResult(
        gate="freeze",
        kind=KIND,
        verdict=Verdict.PENDING,
        message=f"channel {question.policy.channel!r} is frozen until {ends}: {freeze.reason}{asks}",
        expected=f"{needed} approvals" if exempt else f"a time after {ends}",
        got=f"{given} approvals" if exempt else short_instant(question.now),
        owner=", ".join(question.policy.approvers) if exempt else "the clock",
        action=f"approve {question.alias}" if exempt else "wait",
        eligible_at=freeze.ends,
    )


def _upstream(question: Question) -> GateResult | None:
    name = question.policy.upstream
    if name is None:
        return None
    if question.upstream is None:
        verdict, state, got = Verdict.UNKNOWN, f"nobody knows the state of {name!r}", "no pointer"
    elif denial := question.upstream.denied({question.evidence.release.digest, *question.evidence.artifacts}):
        verdict, state, got = Verdict.FAIL, f"{question.alias} was withdrawn from {name!r}", denial.reason
    elif question.evidence.passed_at(name) is None:
        verdict, state, got = Verdict.PENDING, f"{question.alias} has not passed {name!r} yet", "never there"
    else:
        return None
    return GateResult(
        gate="upstream",
        kind=KIND,
        verdict=verdict,
        message=state,
        expected=f"a release that passed {name!r}",
        got=got,
        owner=f"channel {name!r}",
        action="wait for it" if verdict is Verdict.PENDING else f"see why in {name!r}",
    )


def _audit(question: Question) -> GateResult | None:
    """The first channel is where the nights look. It is the one guard that a waiver reaches, because a package that
    cannot be reproduced would otherwise hold back every security fix; it reaches it aloud."""
    found, name = question.evidence.audit, question.policy.channel
    if found is None or question.policy.upstream is None:
        return None
    if found.problem:
        return _audit_unread(found.problem)
    pairs = [
        (fault, waiver_for(fault, question.evidence.release, question.waivers, channel=name, now=question.now))
        for fault in found.faults
    ]
    standing = [fault for fault, waiver in pairs if waiver is None]
    if standing:
        return _faulty(question, standing)
    if not pairs:
        return None
    waivers = {f"{each.by} until {short_instant(each.expires)} ({each.why})" for _, each in pairs if each}
    packages = listed([fault.package for fault, _ in pairs])
    return GateResult(
        gate="audit",
        kind=KIND,
        verdict=Verdict.PASS,
        message=f"waived by {'; '.join(sorted(waivers))}: the nightly audit does not confirm {packages}",
        waived_by=", ".join(sorted({each.by for _, each in pairs if each})),
    )


def _faulty(question: Question, faults: list[Fault]) -> GateResult:
    first, alias = faults[0], question.alias
    others = f" (and {listed([each.package for each in faults[1:]])})" if faults[1:] else ""
    files = "; ".join(first.files[:3]) or "see the audit's report"
    return GateResult(
        gate="audit",
        kind=KIND,
        verdict=Verdict.FAIL,
        message=f"the nightly audit does not confirm {alias}: {first.package} {first.kind.sentence}{others}",
        expected="builds that come out from scratch as they were published",
        got=f"{files}; found in {first.release} at {short_instant(first.found)}, build {first.build}",
        owner="the maintainers",
        action=f"have it built again by a commit that changes its spec: {listed([each.package for each in faults])}",
    )


def _audit_unread(problem: str) -> GateResult:
    return GateResult(
        gate="audit",
        kind=KIND,
        verdict=Verdict.UNKNOWN,
        message="what the nightly audit found cannot be read",
        expected="the ledger of the audits on the channels branch",
        got=problem,
        owner="the maintainers",
        action="mend the file, or the repository",
    )


def _candidate(question: Question) -> str:
    """The release that a person may promote during a hold: what upstream points at, or the one that is asked about."""
    if question.upstream and question.upstream.current:
        return question.upstream.current.alias
    return question.alias


def _is_candidate(question: Question) -> bool:
    current = question.upstream.current if question.upstream else question.evidence.release
    return current is not None and current.digest == question.evidence.release.digest


_GUARDS: tuple[Callable[[Question], GateResult | None], ...] = (
    _stop,
    _policy,
    _current,
    _denied,
    _hold,
    _freeze,
    _upstream,
    _audit,
)
