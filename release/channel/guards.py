"""What stands before every gate, whatever the policy says: stop, denial, hold, freeze, and the way through upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from release.channel.questions import GateResult, Question, passed
from release.instants import short_instant
from release.product.releases import Verdict

KIND = "guard"


def guard(question: Question) -> Iterator[GateResult]:
    """The verdict of every guard, in the order in which a person would look for the cause."""
    for each in _GUARDS:
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
)
