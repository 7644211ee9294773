"""What a channel asks of a release: gates, lanes, freezes and approvals, written by people, and signed-off exceptions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from release.digests import digest_of
from release.documents import load_yaml
from release.errors import Misconfigured
from release.instants import Instant
from release.records import Digest
from release.releases import ReleaseRef, Trust


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
    upstream: str | None
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


def parse_policy(text: str, *, name: str) -> Policy:
    """Read `policies/<name>.yaml`. `Misconfigured` with file and line: unknown keys and gate kinds, missing gates,
    a rule without the gate that asks for it, a channel that is not `name`."""
    where = f"policies/{name}.yaml"
    read = load_yaml(text, _Policy, where=where)
    if read.channel != name:
        raise Misconfigured("the file is another channel's", where=where, got=read.channel, expected=name)
    return Policy(
        channel=read.channel,
        upstream=read.upstream,
        production=read.production,
        valid_seconds=read.valid_seconds,
        lanes=tuple(LaneRule(lane=lane, **dict(rule)) for lane, rule in sorted(read.lanes.items())),
        approvers=read.approvers,
        gates=tuple(
            Gate(id=gate.id, kind=gate.kind, waivable=gate.waivable, **dict(gate.parameters)) for gate in read.gates
        ),
        freezes=tuple(Freeze(**dict(freeze)) for freeze in read.freezes),
        digest=digest_of(text.encode()),
    )


def parse_waivers(text: str, *, where: str = "policies/waivers.yaml") -> tuple[Waiver, ...]:
    """Read the waivers of all channels; `Misconfigured` with file and line."""
    return tuple(Waiver(**dict(each)) for each in load_yaml(text, _Waivers, where=where).waivers)


def lane_of(message: str) -> Lane:
    """The lane that a commit asks for by the trailer `Slipway-Lane:`. An unknown word is `normal`: the longest soak."""
    words = [each.lower() for each in _LANE.findall(message)]
    return Lane(words[-1]) if words and words[-1] in set(Lane) else Lane.NORMAL


_Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
_Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$", max_length=500)]
_Seconds = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(gt=0)]
_OF_KIND = {GateKind.TEST_RESULT: ("test", "deadline_seconds"), GateKind.TRUST: ("accept",)}


class _Parameters(BaseModel):
    test: _Word | None = None
    deadline_seconds: _Positive | None = None
    accept: tuple[Trust, ...] = ()


class _Gate(BaseModel):
    id: _Word
    kind: GateKind
    parameters: _Parameters = _Parameters()
    waivable: bool = False

    @model_validator(mode="after")
    def _fits_its_kind(self) -> _Gate:
        wanted = _OF_KIND.get(self.kind, ())
        given = [name for name, value in self.parameters if value]
        if sorted(given) != sorted(wanted):
            raise ValueError(f"a {self.kind} gate with {' and '.join(wanted) if wanted else 'no parameters'}")
        if self.waivable and self.kind in NEVER_WAIVED:
            raise ValueError(f"no `waivable`: nothing waives a {self.kind} gate")
        return self


class _Lane(BaseModel):
    soak_seconds: _Seconds
    approvals: _Seconds


class _Freeze(BaseModel):
    reason: _Line
    starts: Instant
    ends: Instant
    exempt_lanes: tuple[Lane, ...] = ()

    @model_validator(mode="after")
    def _lasts(self) -> _Freeze:
        if self.starts >= self.ends:
            raise ValueError("a window that starts before it ends")
        return self


class _Policy(BaseModel):
    channel: _Word
    upstream: _Word | None = None
    production: bool
    valid_seconds: _Positive
    lanes: dict[Lane, _Lane]
    approvers: tuple[_Line, ...] = ()
    gates: tuple[_Gate, ...]
    freezes: tuple[_Freeze, ...] = ()

    @model_validator(mode="after")
    def _asks_for_what_it_demands(self) -> _Policy:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterable[str]:
        kinds = Counter(gate.kind for gate in self.gates)
        ids = Counter(gate.id for gate in self.gates)
        most = max((rule.approvals for rule in self.lanes.values()), default=0)
        most += any(freeze.exempt_lanes for freeze in self.freezes)
        if missing := [kind for kind in NEVER_WAIVED if not kinds[kind]]:
            yield f"a gate of the kind {' and '.join(missing)}: an empty policy means no"
        if twice := [each for each, count in ids.items() if count > 1]:
            yield f"each gate id once: {twice[0]} is there {ids[twice[0]]} times"
        if Lane.NORMAL not in self.lanes:
            yield "a rule for the lane normal"
        if soaks := any(rule.soak_seconds for rule in self.lanes.values()):
            if self.upstream is None:
                yield "an upstream to soak in, or soak_seconds: 0"
        if soaks and not kinds[GateKind.SOAK]:
            yield "a gate of the kind soak: a lane asks for soak_seconds"
        if most and not kinds[GateKind.APPROVAL]:
            yield "a gate of the kind approval: a lane or an exempt lane asks for approvals"
        if most > len(set(self.approvers)):
            yield f"at least {most} approvers: a lane or an exempt lane asks for so many approvals"
        if self.upstream == self.channel:
            yield "an upstream that is another channel"
        trusts = [gate for gate in self.gates if gate.kind is GateKind.TRUST]
        if self.production and not any(Trust.EMBEDDED not in gate.accept and not gate.waivable for gate in trusts):
            yield "a trust gate that does not accept embedded and cannot be waived: the channel is for production"


class _Waiver(BaseModel):
    channel: _Word
    release: _Line
    gate: _Word
    why: _Line
    by: _Line
    expires: Instant


class _Waivers(BaseModel):
    waivers: tuple[_Waiver, ...]
