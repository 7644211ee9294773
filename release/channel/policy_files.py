"""Policy and waiver files as people write them: read strictly, refused with file and line where they ask too little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, model_validator

from release.channel.policies import NEVER_WAIVED, Freeze, Gate, GateKind, Lane, LaneRule, Policy, Waiver
from release.digests import digest_of
from release.documents import load_yaml
from release.errors import Misconfigured
from release.instants import Instant
from release.product.releases import Trust


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


def _with_normal(lanes: dict[Lane, _Lane]) -> dict[Lane, _Lane]:
    if Lane.NORMAL not in lanes:
        raise ValueError("a rule for the lane normal")
    return lanes


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
    lanes: Annotated[dict[Lane, _Lane], AfterValidator(_with_normal)]
    approvers: tuple[_Line, ...] = ()
    gates: tuple[_Gate, ...]
    freezes: tuple[_Freeze, ...] = ()

    @model_validator(mode="after")
    def _asks_for_what_it_demands(self) -> _Policy:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _most_approvals(self) -> int:
        exempt = {lane for freeze in self.freezes for lane in freeze.exempt_lanes}
        in_freeze = [self.lanes[lane if lane in self.lanes else Lane.NORMAL].approvals + 1 for lane in exempt]
        return max([rule.approvals for rule in self.lanes.values()] + in_freeze, default=0)

    def _problems(self) -> Iterator[str]:
        kinds = Counter(gate.kind for gate in self.gates)
        ids = Counter(gate.id for gate in self.gates)
        most = self._most_approvals()
        if missing := [kind for kind in NEVER_WAIVED if not kinds[kind]]:
            yield f"a gate of the kind {' and '.join(missing)}: an empty policy means no"
        if twice := [each for each, count in ids.items() if count > 1]:
            yield f"each gate id once: {twice[0]} is there {ids[twice[0]]} times"
        soaks = any(rule.soak_seconds for rule in self.lanes.values())
        if soaks and self.upstream is None:
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
        if self.production and not any(
            Trust.EMBEDDED not in gate.parameters.accept and not gate.waivable for gate in trusts
        ):
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
