"""What was found out about a release on its way into one channel: facts as data, no opinion.

Only the verifier (in `tasks/`, with code that shares nothing with the signer) fills it; everything else reads.
What it did not look at is absent, and absent never passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from release.channel.audits import Audited
from release.channel.policies import GateKind, Lane
from release.instants import Instant
from release.product.aliases import ReleaseRef
from release.product.releases import ReleaseTest, Trust, Verdict
from release.records import Digest, to_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one checked question (signature, provenance, sbom, closure, ancestry).

    UNKNOWN when the check itself failed: the registry was down, the log did not answer.
    """

    kind: GateKind
    verdict: Verdict
    got: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's yes to this release in this channel, whose origin was checked."""

    by: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Since when a release is current, or allowed to be, in a channel: the age that counts as soak."""

    channel: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All facts about `release` as a candidate of `channel`.

    `artifacts` are the digests inside the release, for denials; `baseline` the test results of the channel's
    current release; `passed` one entry for each channel it went through; `verifier` names who looked. `audit` is None
    only in decisions that were recorded before there were audits.
    """

    channel: str
    release: ReleaseRef
    verifier: str
    trust: Trust
    lane: Lane = Lane.NORMAL
    artifacts: tuple[Digest, ...] = ()
    findings: tuple[Finding, ...] = ()
    tests: tuple[ReleaseTest, ...] = ()
    baseline: tuple[ReleaseTest, ...] = ()
    approvals: tuple[Approval, ...] = ()
    passed: tuple[Passed, ...] = ()
    audit: Audited | None = None

    def __post_init__(self) -> None:
        """Facts have no order: equal facts make equal evidence, whoever found which first."""
        for name in ("artifacts", "findings", "tests", "baseline", "approvals", "passed"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=to_bytes)))

    def finding(self, kind: GateKind) -> Finding | None:
        """The worst finding of a kind: a PASS never hides a FAIL."""
        found = (each for each in self.findings if each.kind is kind)
        return max(found, key=lambda each: each.verdict.severity, default=None)

    def test(self, name: str) -> ReleaseTest | None:
        """The worst result of a named test."""
        found = (each for each in self.tests if each.name == name)
        return max(found, key=lambda each: each.verdict.severity, default=None)

    def known_failures(self, test: str) -> frozenset[str]:
        """The cases of a test that fail in the channel's current release too."""
        failed = [each for each in self.baseline if each.name == test and each.verdict is Verdict.FAIL]
        return frozenset(case for each in failed for case in each.failures)

    def passed_at(self, channel: str) -> datetime | None:
        """Since when the release counts as passed in `channel`."""
        return min((each.at for each in self.passed if each.channel == channel), default=None)
