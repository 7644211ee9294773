"""A question of promotion and the form of its answers: frozen data, so that it can be asked again at any time."""

from __future__ import annotations

from dataclasses import dataclass

from release.channel.channels import Channel
from release.channel.evidence import Evidence
from release.channel.policies import LaneRule, Policy, Waiver
from release.instants import Instant
from release.product.releases import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything a decision depends on: may `evidence.release` become current in `channel` at `now`?

    `stop` is the text of the STOP file, None without one. `by_hand` names the person who asks, None for automation.
    """

    policy: Policy
    evidence: Evidence
    channel: Channel
    now: Instant
    upstream: Channel | None = None
    waivers: tuple[Waiver, ...] = ()
    stop: str | None = None
    by_hand: str | None = None

    @property
    def alias(self) -> str:
        """The candidate's name for people."""
        return self.evidence.release.alias

    @property
    def rule(self) -> LaneRule:
        """What the candidate's lane asks."""
        return self.policy.rule(self.evidence.lane)

    @property
    def approved_by(self) -> tuple[str, ...]:
        """The approvers who said yes, each once."""
        return tuple(sorted({each.by for each in self.evidence.approvals} & set(self.policy.approvers)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The answer of one gate or guard. `message` is a sentence, `owner` who can change it, `action` how.

    `eligible_at` is when a PENDING answer turns into PASS by itself, where that is known.
    """

    gate: str
    kind: str
    verdict: Verdict
    message: str
    expected: str = ""
    got: str = ""
    owner: str = ""
    action: str = ""
    eligible_at: Instant | None = None
    waived_by: str | None = None


def passed(gate: str, kind: str, message: str) -> GateResult:
    """A PASS with its sentence."""
    return GateResult(gate=gate, kind=kind, verdict=Verdict.PASS, message=message)
