"""Whether a release may move on: one pure decision that can be replayed to the same bytes, and the move it allows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from release.channel.channels import Channel, moved
from release.channel.decisions import Decision
from release.channel.evidence import Evidence
from release.channel.gates import judge
from release.channel.guards import guard
from release.channel.policies import Policy, Waiver
from release.channel.questions import Question
from release.digests import canonical_json, digest_of
from release.errors import Refused
from release.product.aliases import ReleaseRef
from release.product.releases import Verdict
from release.records import from_bytes, to_bytes

AUTOMATION = "slipway"


def decide(
    *,
    policy: Policy,
    evidence: Evidence,
    channel: Channel,
    upstream: Channel | None,
    now: datetime,
    waivers: Iterable[Waiver] = (),
    stop: str | None = None,
    by_hand: str | None = None,
) -> Decision:
    """Whether `evidence.release` may become current in `channel` at `now`, and if not, why.

    `upstream` is the pointer of the policy's upstream channel. `stop` is the text of the STOP file, None without
    one. `by_hand` names the person who promotes: that passes a hold for upstream's current release, and no gate.
    `Refused` when the parts speak of different channels; every other no is a verdict.
    """
    names = {policy.channel, evidence.channel, channel.channel}
    if len(names) > 1 or (upstream and upstream.channel != policy.upstream):
        raise Refused(
            "policy, evidence and pointers of different channels",
            got=f"{', '.join(sorted(names))}; upstream {upstream.channel if upstream else None}",
            expected=f"{policy.channel}; upstream {policy.upstream}",
        )
    question = Question(
        policy=policy,
        evidence=evidence,
        channel=channel,
        upstream=upstream,
        now=now.replace(microsecond=0),
        waivers=tuple(sorted(waivers, key=to_bytes)),
        stop=stop,
        by_hand=by_hand,
    )
    return Decision(question=question, results=(*guard(question), *(judge(gate, question) for gate in policy.gates)))


def replay(raw: bytes) -> Decision:
    """Decide a recorded decision's question again. `Refused` when the answer is not the recorded one, to the byte."""
    try:
        question = canonical_json(json.loads(raw)["question"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("not a recorded decision", got=repr(raw[:80]), expected="JSON with its question") from error
    asked = from_bytes(Question, question, what="a recorded question")
    again = decide(
        policy=asked.policy,
        evidence=asked.evidence,
        channel=asked.channel,
        upstream=asked.upstream,
        now=asked.now,
        waivers=asked.waivers,
        stop=asked.stop,
        by_hand=asked.by_hand,
    )
    if again.to_bytes() != raw:
        raise Refused("the decision does not replay", got=digest_of(raw), expected=again.digest)
    return again


def promote(channel: Channel, decision: Decision) -> Channel:
    """The channel after the move that `decision` allows. `Refused` when it allows none, or when the channel is not
    the one that was decided about any more: read it again and decide again."""
    question, excuse = decision.question, decision.excuse
    where = f"channel {channel.channel!r}"
    if decision.verdict is not Verdict.PASS:
        raise Refused(
            excuse.message if excuse else "nothing was asked",
            where=where,
            got=excuse.got if excuse else decision.verdict,
            expected=excuse.expected if excuse else Verdict.PASS,
            hint=excuse.action if excuse else None,
        )
    if channel != question.channel:
        raise Refused(
            "the channel moved after the decision",
            where=where,
            got=f"serial {channel.serial}",
            expected=f"serial {question.channel.serial} as decided",
            hint="read the pointer and decide again",
        )
    return moved(
        channel,
        question.evidence.release,
        at=question.now,
        decided_by=question.by_hand or AUTOMATION,
        decision=decision.digest,
        policy=question.policy.digest,
        valid_seconds=question.policy.valid_seconds,
        artifacts=question.evidence.artifacts,
        by_hand=question.by_hand is not None,
    )


def candidates(channel: Channel, upstream: Channel) -> tuple[ReleaseRef, ...]:
    """The releases of `upstream` that may follow the channel's current one, newest first.

    Every one of them soaks at the same time, so a stream of new releases starves none: the newest that is allowed
    moves. Releases before the one that is current here would be a way back, and only `rolled_back` goes back.
    """
    found: dict[str, ReleaseRef] = {}
    for entry in upstream.history:
        if channel.current and entry.release.digest == channel.current.digest:
            break
        if not (channel.denied({entry.release.digest}) or upstream.denied({entry.release.digest})):
            found.setdefault(entry.release.digest, entry.release)
    return tuple(found.values())
