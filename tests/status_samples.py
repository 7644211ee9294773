"""A night in the life of a distribution, as a status: busy, quiet, or with everything wrong at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from release.status import (
    Audit,
    AuditFault,
    BuildState,
    BuildStatus,
    Candidate,
    ChannelStatus,
    Command,
    CommitState,
    CommitStatus,
    Health,
    Hold,
    Published,
    ReleaseStatus,
    RunStatus,
    Service,
    Stage,
    StageState,
    Status,
)

NOW = datetime(2026, 11, 23, 3, 12, 7, tzinfo=UTC)
LOG = "http://127.0.0.1:5801/v2/skiff/rpms/blobs/sha256:" + "1f" * 32


def before(**ago: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(**ago)


def digest(name: str) -> str:
    """A digest that stands for a name."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def sha(name: str) -> str:
    """A commit that stands for a name."""
    return hashlib.sha1(name.encode()).hexdigest()


def build(package: str, state: BuildState, seconds: float | None = None, reason: str = "") -> BuildStatus:
    """One build; it has a log once it ended."""
    log = LOG if state in (BuildState.BUILT, BuildState.FAILED) else None
    return BuildStatus(
        package=package, evr="1.2-3.skf1", arch="x86_64", state=state, seconds=seconds, reason=reason, log_url=log
    )


def channels() -> tuple[ChannelStatus, ...]:
    """Three channels, each behind the one before it; the last has never moved."""
    soaking = Candidate(
        alias="R-20261122.3", held_back_by="soaking: 2 h of 12 h", eligible_at=NOW + timedelta(hours=9, minutes=50)
    )
    return (
        ChannelStatus(
            name="edge",
            serial=41,
            alias="R-20261122.3",
            digest=digest("r3"),
            released_at=before(hours=2),
            moved_at=before(hours=2),
        ),
        ChannelStatus(
            name="beta",
            serial=23,
            alias="R-20261122.1",
            digest=digest("r1"),
            released_at=before(hours=15),
            moved_at=before(hours=3),
            candidate=soaking,
        ),
        ChannelStatus(name="stable", serial=0, alias=None, digest=None, released_at=None, moved_at=None),
    )


def commits() -> tuple[CommitStatus, ...]:
    """The newest commits: a failure that a later release mended among them."""

    def one(subject: str, state: CommitState, detail: str = "", log_url: str | None = None) -> CommitStatus:
        return CommitStatus(
            sha=sha(subject),
            subject=subject,
            author="Mira Okafor",
            committed_at=before(hours=4),
            state=state,
            detail=detail,
            log_url=log_url,
        )

    return (
        one("jq: Update to 1.7.1", CommitState.RELEASED, "as R-20261122.3"),
        one("docs: Say how to add a package", CommitState.NO_OP, "changes nothing that is built"),
        one("curl: Update to 8.11.0", CommitState.FAILED, "curl failed in %check", LOG),
    )


def release(alias: str = "R-20261122.3") -> ReleaseStatus:
    """A release with an image and the command that verifies it."""
    return ReleaseStatus(
        alias=alias,
        digest=digest(alias),
        commit=sha(alias),
        released_at=before(hours=2),
        rebuilt=1,
        published=(Published(name="image base", reference=f"registry.example/skiff/base@{digest('base')}"),),
        verify=(Command(proves="everything in the release", line=f"slipway verify {alias}"),),
    )


def quiet() -> Status:
    """Nothing needs anybody."""
    return Status(
        name="skiff",
        title="Skiff Linux",
        version="1.0",
        trust="embedded",
        taken_at=NOW,
        channels=channels(),
        commits=commits(),
        builds=(build("jq", BuildState.BUILT, 18.7, "its spec folder changed"),),
        releases=(release(), release("R-20261122.1")),
        services=(
            Service(name="registry", health=Health.UP, detail="4 ms", url="http://127.0.0.1:5801"),
            Service(name="Prefect", health=Health.UP),
        ),
        audit=Audit(finished_at=before(hours=1), release="R-20261122.3", equal=14, identical=12, log_url=LOG),
    )


def run(*builds: BuildStatus) -> RunStatus:
    """A run in its build stage."""
    return RunStatus(
        name="amber-otter",
        commit=sha("zlib"),
        subject="zlib: Fix the overflow",
        started_at=before(minutes=3),
        stages=(
            Stage(name="plan", state=StageState.DONE, seconds=1.9),
            Stage(name="build", state=StageState.RUNNING, seconds=178),
            Stage(name="sign", state=StageState.WAITING),
        ),
        builds=builds,
        url="http://127.0.0.1:5803/runs/flow-run/1",
    )


def busy() -> Status:
    """A run is in progress and a channel is held."""
    builds = (
        build("zlib", BuildState.BUILT, 21.4, "its spec folder changed"),
        build("libpng", BuildState.BUILDING, 48.0, "zlib-devel's interface changed"),
        build("curl", BuildState.WAITING),
        build("jq", BuildState.CACHED),
    )
    edge, beta, stable = channels()
    hold = Hold(reason="curl breaks proxies", by="mira", until=NOW + timedelta(hours=30))
    return replace(quiet(), run=run(*builds), channels=(edge, replace(beta, hold=hold), stable))


def missed() -> Audit:
    """A night that found a wrong skip, and could not rebuild everything; no night since."""
    fault = AuditFault(
        package="openssl",
        sentence="was left as it was, and comes out otherwise from scratch",
        files=("openssl: /usr/bin/openssl changed", "openssl-devel: /usr/include/openssl/opensslconf.h changed"),
        release="R-20261121.2",
        found_at=before(hours=40),
        diff_url=LOG,
    )
    return Audit(
        finished_at=before(hours=40), release="R-20261121.2", equal=12, identical=12, different=("openssl",),
        failed=("curl",), faults=(fault,), blocks=("R-20261122.3 does not move from edge to beta",), log_url=LOG,
    )  # fmt: skip


def broken() -> Status:
    """Everything is wrong at once."""
    failed = replace(commits()[2], subject="curl: Update to 8.12.0")
    return replace(
        busy(),
        run=run(build("curl", BuildState.FAILED, 97), build("libgit2", BuildState.BLOCKED)),
        commits=(failed, *commits()),
        services=(
            Service(name="registry", health=Health.DOWN, detail="connection refused"),
            Service(name="Prefect", health=Health.UNKNOWN),
        ),
        audit=missed(),
    )
