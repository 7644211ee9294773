"""What was found out about a release on its way into one channel: facts as data, no opinion.

Only the verifier (in `tasks/`, with code that shares nothing with the signer) fills it; everything else reads.
What it did not look at is absent, and absent never passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from release.instants import Instant
from release.policies import GateKind, Lane
from release.records import Digest
from release.releases import ReleaseRef, ReleaseTest, Trust, Verdict


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
    current release; `passed` one entry for each channel it went through; `verifier` names who looked.
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

    def finding(self, kind: GateKind) -> Finding | None:
        """The worst finding of a kind: one PASS never hides a FAIL."""
        found = [each for each in self.findings if each.kind is kind]
        return min(found, key=lambda each: (each.verdict is Verdict.PASS, each.verdict, each.got), default=None)

    def passed_at(self, channel: str) -> datetime | None:
        """Since when the release counts as passed in `channel`."""
        return min((each.at for each in self.passed if each.channel == channel), default=None)

    def approvers(self) -> frozenset[str]:
        """Everybody who said yes."""
        return frozenset(each.by for each in self.approvals)
