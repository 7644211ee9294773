"""What the nights found out: releases that were rebuilt from scratch, and published builds that did not hold.

The ledger lies in git beside the pointers, and not in the registry: evidence against a release must not be forged or
hidden by whoever can push there (docs/decisions/0016). Reports and differences are blobs that it names by digest.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from release.channel.policies import Waiver
from release.instants import Instant
from release.interfaces.interface_differences import product_differences
from release.interfaces.interfaces import BinaryInterface
from release.product.aliases import ReleaseRef
from release.records import Digest, Recorded, from_bytes, to_json
from release.source.certificates import Outcome
from release.wording import listed

AUDIT = "audit"
"""What a waiver names as its gate to let a release pass in spite of what the nights found."""
NIGHTS = 30
FILES = 20  # differences that are named; the text beside the report has more


class FaultKind(StrEnum):
    """What is wrong with a published build. SKIP: it was left as it was, and from scratch it comes out otherwise each
    time: the worst bug there is. UNREPRODUCIBLE: it does not come out as it was published, and nothing was skipped, or
    two builds of one night differ. UNBUILDABLE: it does not build any more."""

    SKIP = "skip"
    UNREPRODUCIBLE = "unreproducible"
    UNBUILDABLE = "unbuildable"

    @property
    def sentence(self) -> str:
        """The same for people, after the package's name."""
        return _SENTENCES[self]


_SENTENCES = {
    FaultKind.SKIP: "was left as it was, and comes out otherwise from scratch",
    FaultKind.UNREPRODUCIBLE: "does not come out again as it was published",
    FaultKind.UNBUILDABLE: "does not build any more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Recorded):
    """A published build (`build` is the digest of its manifest) that a rebuild from scratch does not confirm.

    `files` say what differs, one line each; `diff` is the digest of a text that shows how; `release` is the alias in
    which it was found, at `found`. It stands for as long as a release holds this very build.
    """

    package: str
    build: Digest
    kind: FaultKind
    files: tuple[str, ...] = ()
    diff: Digest | None = None
    release: str
    found: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Night(Recorded):
    """One audit: which release, when it ended, the digest of its report (a blob), and how many of its packages came
    out the same product, and of these to the bit. `unknown` could not be rebuilt for a reason that is not theirs."""

    release: ReleaseRef
    at: Instant
    report: Digest
    packages: int
    equal: int
    identical: int
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger(Recorded):
    """The nights, newest first, and every fault that was ever found."""

    nights: tuple[Night, ...] = ()
    faults: tuple[Fault, ...] = ()

    def after(self, night: Night, faults: Iterable[Fault]) -> Ledger:
        """The ledger after one more night. What was found of a build before gives way to what was found now; a night
        that finds nothing clears nobody: the bits that are published were not confirmed once."""
        known = {each.build: each for each in self.faults} | {each.build: each for each in faults}
        ordered = sorted(known.values(), key=lambda each: (each.package, each.build))
        return replace(self, nights=(night, *self.nights)[:NIGHTS], faults=tuple(ordered))

    def of(self, release: ReleaseRef, builds: Collection[str]) -> Audited:
        """What it says of a release that holds these builds (digests of manifests)."""
        night = next((each for each in self.nights if each.release.digest == release.digest), None)
        return Audited(
            at=night.at if night else None,
            unknown=night.unknown if night else (),
            faults=tuple(each for each in self.faults if each.build in builds),
        )

    def to_bytes(self) -> bytes:
        """JSON, one fact a line for whoever reviews the commit; `parse_ledger` reads it back equal."""
        return f"{json.dumps(to_json(self), indent=1, sort_keys=True, ensure_ascii=False)}\n".encode()


def ledger_path(channel: str) -> str:
    """Where the ledger of the channel whose releases are audited lies on the channels branch."""
    return f"audits/{channel}.json"


def parse_ledger(raw: bytes) -> Ledger:
    """Read a ledger; `Refused` when it is none."""
    return from_bytes(Ledger, raw, what="a ledger of audits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What the nights say of one release: when it was audited itself, if it was; what that night could not rebuild;
    the faults of its builds, in whichever release they were found; or why the ledger could not be read."""

    at: Instant | None = None
    unknown: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    problem: str | None = None


def waiver_for(
    fault: Fault, release: ReleaseRef, waivers: Iterable[Waiver], *, channel: str, now: datetime
) -> Waiver | None:
    """The waiver that lets `release` into `channel` in spite of a fault: it names the gate `audit`, and the release, or
    the faulty build by the digest of its manifest, which covers every release that holds it."""
    named = (release.digest, release.alias, fault.build)
    return next(
        (
            each
            for each in waivers
            if each.channel == channel and each.gate == AUDIT and each.release in named and now < each.expires
        ),
        None,
    )


class Agreement(StrEnum):
    """How a rebuild agrees with what is published. IDENTICAL: the headers too, and with them every bit. EQUAL: the same
    product (a comment in the spec, or a changelog, is another header). FAILED: it does not build. UNKNOWN: the world
    failed."""

    IDENTICAL = "identical"
    EQUAL = "equal"
    DIFFERENT = "different"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageAudit(Recorded):
    """What the night says of one package. `headers` are the RPM files whose header is another, `root` says what its
    build root held or lacked against the record, `error` why it could not be rebuilt."""

    package: str
    build: Digest
    outcome: Outcome
    agreement: Agreement
    kind: FaultKind | None = None
    files: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    diff: Digest | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport(Recorded):
    """The audit of one release, package by package."""

    release: ReleaseRef
    commit: str
    finished: Instant
    packages: tuple[PackageAudit, ...]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What blocks promotion."""
        return tuple(
            Fault(
                package=each.package, build=each.build, kind=each.kind, files=each.files, diff=each.diff,
                release=self.release.alias, found=self.finished,
            )
            for each in self.packages
            if each.kind is not None
        )  # fmt: skip

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be rebuilt, for a reason that is not the package's."""
        return tuple(each.package for each in self.packages if each.agreement is Agreement.UNKNOWN)

    def night(self, report: str) -> Night:
        """The line of the ledger; `report` is the digest of the report itself."""
        count = {kind: sum(each.agreement is kind for each in self.packages) for kind in Agreement}
        return Night(
            release=self.release, at=self.finished, report=report, packages=len(self.packages),
            equal=count[Agreement.IDENTICAL] + count[Agreement.EQUAL], identical=count[Agreement.IDENTICAL],
            unknown=self.unknown,
        )  # fmt: skip


def compared(
    before: PackageAudit,
    published: Sequence[BinaryInterface],
    fresh: Sequence[BinaryInterface],
    *,
    headers: Iterable[str],
    recorded: Collection[str],
    consumed: Collection[str],
) -> PackageAudit:
    """The audit of a package that was rebuilt as `fresh`. `headers` are the RPM files with another header; `recorded`
    and `consumed` name what its build root held by its certificate, and held now."""
    files, others = product_differences(published, fresh)[:FILES], tuple(sorted(headers))
    equal = Agreement.EQUAL if others else Agreement.IDENTICAL
    more, less = sorted(set(consumed) - set(recorded)), sorted(set(recorded) - set(consumed))
    root = [f"its build root held {listed(more)}, which its record does not name"] if more else []
    root += [f"its build root lacked {listed(less)}, which its record names"] if less else []
    return replace(
        before, agreement=Agreement.DIFFERENT if files else equal, files=files, headers=others, root=tuple(root)
    )


def fault_of(outcome: Outcome, *, repeats: bool) -> FaultKind:
    """Whose fault it is that a rebuild differs; `repeats` when a second rebuild came out as the first one."""
    return FaultKind.UNREPRODUCIBLE if outcome is Outcome.BUILT or not repeats else FaultKind.SKIP
