"""A decision and its excuse: the answers of all gates to one question, the verdict, and why not, for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from release.channel.policies import GateKind
from release.channel.questions import GateResult, Question
from release.digests import canonical_json, digest_of
from release.product.aliases import ReleaseRef
from release.product.releases import Verdict
from release.records import to_json

DECISION = "application/vnd.slipway.decision.v1+json"


class State(StrEnum):
    """Where a release stands on its way into a channel."""

    CANDIDATE = "CANDIDATE"
    SOAKING = "SOAKING"
    ELIGIBLE = "ELIGIBLE"
    LIVE = "LIVE"
    HELD = "HELD"
    FROZEN = "FROZEN"
    BLOCKED = "BLOCKED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """Why a release is not (yet) current, for a person: one root cause, who can act, how, and from when it may move."""

    channel: str
    release: ReleaseRef
    verdict: Verdict
    state: State
    gate: str
    message: str
    expected: str
    got: str
    owner: str
    action: str
    eligible_at: datetime | None

    @property
    def path(self) -> str:
        """Where it is kept. Written anew at each tick, never by hand."""
        return f"excuses/{self.channel}/{self.release.alias}.json"

    def to_json(self) -> dict[str, Any]:
        """The content of that file."""
        return dict(to_json(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answers of every guard and gate to one question. Only `decide` and `replay` make one."""

    question: Question
    results: tuple[GateResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst answer. Nothing asked is UNKNOWN."""
        return max((each.verdict for each in self.results), key=lambda each: each.severity, default=Verdict.UNKNOWN)

    @property
    def root(self) -> GateResult | None:
        """The root cause: the first of the worst answers; None when every answer is PASS."""
        worst = self.verdict
        return None if worst is Verdict.PASS else next((each for each in self.results if each.verdict is worst), None)

    @property
    def state(self) -> State:
        """The release's state in the channel."""
        return State.ELIGIBLE if self.verdict is Verdict.PASS else _state(self.root)

    @property
    def eligible_at(self) -> datetime | None:
        """From when the release may move if nothing else happens; None when that takes more than waiting."""
        open_results = [each for each in self.results if each.verdict is not Verdict.PASS]
        times = [each.eligible_at for each in open_results if each.eligible_at]
        if not open_results:
            return self.question.now
        return max(times) if len(times) == len(open_results) and self.verdict is Verdict.PENDING else None

    @property
    def excuse(self) -> Excuse | None:
        """Why not, or None when the answer is yes."""
        root, question = self.root, self.question
        if root is None:
            return None
        return Excuse(
            channel=question.channel.channel,
            release=question.evidence.release,
            verdict=self.verdict,
            state=self.state,
            gate=root.gate,
            message=root.message,
            expected=root.expected,
            got=root.got,
            owner=root.owner,
            action=root.action,
            eligible_at=self.eligible_at,
        )

    def to_json(self) -> dict[str, Any]:
        """The whole decision with its question, so that anybody can replay it."""
        return {
            "channel": self.question.channel.channel,
            "serial": self.question.channel.serial,
            "release": to_json(self.question.evidence.release),
            "verdict": self.verdict,
            "state": self.state,
            "excuse": self.excuse.to_json() if self.excuse else None,
            "eligible_at": to_json(self.eligible_at),
            "results": to_json(self.results),
            "question": to_json(self.question),
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON: what is signed and kept."""
        return canonical_json(self.to_json())

    @property
    def digest(self) -> str:
        """The digest of those bytes."""
        return digest_of(self.to_bytes())


def _state(root: GateResult | None) -> State:
    if root is None:
        return State.BLOCKED
    by_guard = {
        "current": State.LIVE,
        "denied": State.WITHDRAWN,
        "hold": State.HELD,
        "freeze": State.FROZEN,
        "stop": State.BLOCKED,
        "policy": State.BLOCKED,
    }
    if root.kind == GateKind.SOAK:
        return State.SOAKING
    by_verdict = {Verdict.PENDING: State.CANDIDATE, Verdict.FAIL: State.REJECTED}
    return by_guard.get(root.gate) or by_verdict.get(root.verdict, State.BLOCKED)
