"""What a channel asks of a release: gates, lanes, freezes, approvals, and the signed-off exceptions from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from release.instants import Instant
from release.product.aliases import ReleaseRef
from release.product.releases import Trust
from release.records import Digest


class GateKind(StrEnum):
    """The kinds of questions that a gate can ask."""

    SIGNATURE = "signature"
    PROVENANCE = "provenance"
    SBOM = "sbom"
    CLOSURE = "closure"
    ANCESTRY = "ancestry"
    SOAK = "soak"
    TRUST = "trust"
    TEST_RESULT = "test-result"
    APPROVAL = "approval"
    AUDIT = "audit"


class Lane(StrEnum):
    """How urgent a release is; without a word about it, it is normal, which soaks longest."""

    NORMAL = "normal"
    SECURITY_HIGH = "security-high"
    SECURITY_CRITICAL = "security-critical"


NEVER_WAIVED = (
    GateKind.SIGNATURE,
    GateKind.PROVENANCE,
    GateKind.SBOM,
    GateKind.CLOSURE,
    GateKind.ANCESTRY,
)
"""Gates that every policy names and no waiver covers: without them a channel would point at bits of unknown origin."""
_LANE = re.compile(r"^Slipway-Lane:[ \t]*(\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One question. `test` and `deadline_seconds` belong to test-result, `accept` to trust."""

    id: str
    kind: GateKind
    waivable: bool = False
    test: str | None = None
    deadline_seconds: int | None = None
    accept: tuple[Trust, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRule:
    """What one lane asks: seconds in the upstream channel, and how many of the approvers."""

    lane: Lane
    soak_seconds: int
    approvals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A window in which nothing moves but the exempt lanes, with one approval more."""

    reason: str
    starts: Instant
    ends: Instant
    exempt_lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One channel's policy; `digest` is that of the file. `valid_seconds` is how long a pointer stays fresh."""

    channel: str
    upstream: str | None = None
    production: bool
    valid_seconds: int
    lanes: tuple[LaneRule, ...]
    approvers: tuple[str, ...]
    gates: tuple[Gate, ...]
    freezes: tuple[Freeze, ...]
    digest: Digest

    def rule(self, lane: Lane) -> LaneRule:
        """The lane's rule; a lane that the policy does not name is treated as normal."""
        rules = {each.lane: each for each in self.lanes}
        return rules.get(lane) or rules[Lane.NORMAL]

    def frozen(self, now: datetime) -> Freeze | None:
        """The freeze window that `now` is in."""
        return next((each for each in self.freezes if each.starts <= now < each.ends), None)

    def missing(self) -> tuple[GateKind, ...]:
        """The gates that every policy needs and this one lacks."""
        return tuple(kind for kind in NEVER_WAIVED if kind not in {each.kind for each in self.gates})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A signed-off exception: one release (digest or alias), one gate, one channel, until it expires."""

    channel: str
    release: str
    gate: str
    why: str
    by: str
    expires: Instant

    def covers(self, release: ReleaseRef, *, channel: str, gate: Gate, now: datetime) -> bool:
        """Whether this excuses `release` from `gate` now. Nothing excuses from a gate that is not waivable."""
        named = self.channel == channel and self.gate == gate.id and self.release in (release.digest, release.alias)
        return named and gate.waivable and gate.kind not in NEVER_WAIVED and now < self.expires


def lane_of(message: str) -> Lane:
    """The lane that a commit asks for by the trailer `Slipway-Lane:`. An unknown word is `normal`: the longest soak."""
    words = [each.lower() for each in _LANE.findall(message)]
    return Lane(words[-1]) if words and words[-1] in set(Lane) else Lane.NORMAL
