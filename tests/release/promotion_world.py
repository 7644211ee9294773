"""A small world of releases, channels, policies and evidence: honest by default, wrong by one named change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from release import oci
from release.channel.channels import Channel, moved
from release.channel.decisions import Decision
from release.channel.evidence import Approval, Evidence, Finding, Passed
from release.channel.policies import NEVER_WAIVED, GateKind, Policy, Waiver
from release.channel.policy_files import parse_policy
from release.channel.promotions import decide
from release.digests import digest_of
from release.product.aliases import ReleaseRef
from release.product.releases import (
    ImageManifest,
    Referrer,
    Release,
    ReleaseImage,
    ReleaseTest,
    SourceCommit,
    Trust,
    Verdict,
)

BETA_AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
"""When the candidate passed beta: 72 hours of soak end at 2026-11-25T10:00Z."""
SOAKED = BETA_AT + timedelta(hours=72)
POLICY_DIGEST = digest_of(b"policy")

STABLE = """\
channel: stable
upstream: beta
production: false
valid_seconds: 604800
lanes:
  normal: {soak_seconds: 259200, approvals: 0}
  security-high: {soak_seconds: 14400, approvals: 0}
  security-critical: {soak_seconds: 3600, approvals: 2}
approvers: [alice, bob, carol]
gates:
  - {id: signed, kind: signature}
  - {id: provenance, kind: provenance}
  - {id: sbom, kind: sbom}
  - {id: closed, kind: closure}
  - {id: descends, kind: ancestry}
  - {id: trust, kind: trust, parameters: {accept: [embedded, private, public]}}
  - {id: soaked, kind: soak, waivable: true}
  - id: smoke
    kind: test-result
    parameters: {test: smoke, deadline_seconds: 3600}
    waivable: true
  - {id: people, kind: approval}
freezes:
  - reason: end of year
    starts: 2026-12-20T00:00:00Z
    ends: 2027-01-04T00:00:00Z
    exempt_lanes: [security-critical]
"""


def digest(seed: object) -> str:
    """A digest that a test can name by a word."""
    return digest_of(str(seed).encode())


def ref(number: int) -> ReleaseRef:
    """The n-th release of the day."""
    return ReleaseRef(digest=digest(f"release {number}"), alias=f"R-20261122.{number}")


CANDIDATE = ref(3)


def policy(text: str = STABLE, **changes: Any) -> Policy:
    """The stable channel's policy, with fields changed after parsing."""
    return replace(parse_policy(text, name="stable"), **changes)


def channel(name: str = "stable", numbers: Iterable[int] = (1,), at: datetime = BETA_AT) -> Channel:
    """A channel that moved through the given releases, an hour apart, ending at `at`."""
    steps = list(numbers)
    found = Channel(channel=name)
    for back, number in zip(range(len(steps) - 1, -1, -1), steps, strict=True):
        found = move(found, ref(number), at=at - timedelta(hours=back))
    return found


def move(before: Channel, release: ReleaseRef, *, at: datetime = SOAKED, **options: Any) -> Channel:
    """`moved` with the arguments that most tests do not care about."""
    return moved(
        before, release, at=at, decided_by="slipway", decision=None, policy=POLICY_DIGEST, valid_seconds=60, **options
    )


def findings(**verdicts: Verdict) -> tuple[Finding, ...]:
    """A finding of every kind: PASS unless named otherwise."""
    return tuple(
        Finding(kind=kind, verdict=verdicts.get(kind, Verdict.PASS), got=f"what {kind} is", expected=f"good {kind}")
        for kind in NEVER_WAIVED
    )


def evidence(**changes: Any) -> Evidence:
    """Evidence that a candidate of stable should have: everything in order, in beta since `BETA_AT`."""
    honest: dict[str, Any] = {
        "channel": "stable",
        "release": CANDIDATE,
        "verifier": "verify 1",
        "trust": Trust.EMBEDDED,
        "artifacts": (digest("snapshot 3"), digest("base 3")),
        "findings": findings(),
        "tests": (smoke(Verdict.PASS),),
        "passed": (Passed(channel="beta", at=BETA_AT),),
    }
    return Evidence(**{**honest, **changes})


def smoke(verdict: Verdict, *failures: str, since: datetime | None = None) -> ReleaseTest:
    """A result of the smoke test."""
    return ReleaseTest(name="smoke", verdict=verdict, failures=failures, since=since)


def approvals(*names: str) -> tuple[Approval, ...]:
    """A yes by each of them."""
    return tuple(Approval(by=name, at=BETA_AT) for name in names)


def waiver(gate: str, **changes: Any) -> Waiver:
    """A waiver of one gate for the candidate that lasts until long after."""
    honest: dict[str, Any] = {
        "channel": "stable",
        "release": CANDIDATE.alias,
        "gate": gate,
        "why": "before the weekend",
        "by": "alice",
        "expires": SOAKED + timedelta(days=1),
    }
    return Waiver(**{**honest, **changes})


def decided(**changes: Any) -> Decision:
    """The decision about the candidate, honest and ripe unless something is changed."""
    honest: dict[str, Any] = {
        "policy": policy(),
        "evidence": evidence(),
        "channel": channel(),
        "upstream": channel("beta", (1, 2, 3)),
        "now": SOAKED,
    }
    return decide(**{**honest, **changes})


def without(kind: GateKind) -> tuple[Finding, ...]:
    """All findings but one."""
    return tuple(each for each in findings() if each.kind is not kind)


def release(**changes: Any) -> Release:
    """A small release of two images and one architecture each."""
    honest: dict[str, Any] = {
        "source": SourceCommit(repository="skiff", commit="a" * 40, time=BETA_AT),
        "distro": "skiff",
        "version": "1.0",
        "trust": Trust.EMBEDDED,
        "rpms_repository": "skiff/rpms",
        "snapshot": oci.Descriptor(media_type=oci.INDEX, digest=digest("snapshot"), size=123),
        "images": (image("base"), image("distroless")),
        "referrers": (referrer("sbom", "base"), referrer("provenance", "base")),
        "plan": oci.blob(b'{"steps":[]}', "application/json"),
        "certificates": oci.blob(b"[]", "application/json"),
        "tests": (smoke(Verdict.PASS),),
    }
    return Release(**{**honest, **changes})


def image(name: str, *arches: str) -> ReleaseImage:
    """An image in a repository of its own name."""
    manifests = tuple(ImageManifest(arch=arch, digest=digest(f"{name} {arch}")) for arch in arches or ("x86_64",))
    return ReleaseImage(name=name, repository=f"skiff/{name}", digest=digest(name), manifests=manifests)


def referrer(kind: str, name: str) -> Referrer:
    """A proof beside an image."""
    return Referrer(kind=kind, repository=f"skiff/{name}", subject=digest(name), digest=digest(f"{kind} of {name}"))
