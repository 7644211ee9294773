"""The state of a distribution's pipeline as one value: what the status page shows and `/status.json` says."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from release.digests import canonical_json


class CommitState(StrEnum):
    """Where a commit is; all but `queued` and `running` are terminal (the git note on the commit)."""

    QUEUED = "queued"
    RUNNING = "running"
    RELEASED = "released"
    SUPERSEDED = "superseded"
    NO_OP = "no-op"
    FAILED = "failed"
    REFUSED = "refused"


class BuildState(StrEnum):
    """Where one package of a run is; `cached` came from the registry, `blocked` needs one that failed. `skipped` was
    not built, because nothing that it observes changed; `kept` came out as it is published."""

    WAITING = "waiting"
    BUILDING = "building"
    BUILT = "built"
    KEPT = "kept"
    SKIPPED = "skipped"
    CACHED = "cached"
    FAILED = "failed"
    BLOCKED = "blocked"


class StageState(StrEnum):
    """Where one stage of a run is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Health(StrEnum):
    """Whether a service that we depend on answers; `unknown` when nobody could ask."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How urgent a finding is: `alarm` wakes somebody, `warning` waits for the morning."""

    ALARM = "alarm"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a channel does not move, who said so, and until when (None: until a person lifts it)."""

    reason: str
    by: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The release that would be next in a channel, what holds it back, and when that ends by itself, if it does."""

    alias: str
    held_back_by: str
    eligible_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """A channel pointer. Everything but the name is empty before the first promotion (`serial` is 0)."""

    name: str
    serial: int
    alias: str | None
    digest: str | None
    released_at: datetime | None
    moved_at: datetime | None
    hold: Hold | None = None
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStatus:
    """One package's build: why it is (re)built, how long it took in seconds, of these rpmbuild's, and its log."""

    package: str
    evr: str
    arch: str
    state: BuildState
    reason: str = ""
    seconds: float | None = None
    rpmbuild_seconds: float | None = None
    log_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a run (`plan`, `build`, `sign`, ...)."""

    name: str
    state: StageState
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """The run in progress."""

    name: str
    commit: str
    subject: str
    started_at: datetime
    stages: tuple[Stage, ...]
    builds: tuple[BuildStatus, ...]
    url: str | None = None

    @property
    def finished(self) -> int:
        """How many of its builds need no more work, whatever came out."""
        return sum(build.state not in (BuildState.WAITING, BuildState.BUILDING) for build in self.builds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """A commit on the stable branch and what became of it; `detail` completes the state's sentence in plain words."""

    sha: str
    subject: str
    author: str
    committed_at: datetime
    state: CommitState
    detail: str = ""
    log_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Something a release names: what it is, and the reference by digest under which anyone gets it."""

    name: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line to copy, and what it proves."""

    proves: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus:
    """A release: its digest is its identity, the alias is for people."""

    alias: str
    digest: str
    commit: str
    released_at: datetime
    rebuilt: int
    published: tuple[Published, ...]
    verify: tuple[Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFault:
    """A published build that a rebuild from scratch did not confirm: what is wrong (the sentence goes on after the
    package's name), the files that differ, the release in which it was found, and the text that shows how they differ.
    """

    package: str
    sentence: str
    files: tuple[str, ...]
    release: str
    found_at: datetime
    diff_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The newest nightly rebuild of everything: of which release, how many packages came out the same product, of these
    how many to the bit, and which could not be rebuilt (`failed`).

    `faults` are those of the builds that some channel has now, in whichever night they were found; `different` names
    their packages. `blocks` says what does not move on because of them.
    """

    finished_at: datetime
    release: str = ""
    equal: int
    identical: int
    different: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    faults: tuple[AuditFault, ...] = ()
    blocks: tuple[str, ...] = ()
    log_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that the pipeline depends on."""

    name: str
    health: Health
    detail: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything, newest first in each list. `trust` names who vouches (`embedded`, or the Sigstore in use)."""

    name: str
    title: str
    version: str
    trust: str
    taken_at: datetime
    channels: tuple[ChannelStatus, ...]
    commits: tuple[CommitStatus, ...]
    builds: tuple[BuildStatus, ...]
    releases: tuple[ReleaseStatus, ...]
    services: tuple[Service, ...]
    run: RunStatus | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a maintainer should know first: how urgent, what, and the section that says more."""

    level: Level
    text: str
    section: str


def render_json(status: Status, found: tuple[Finding, ...]) -> bytes:
    """The status and what was found in it, as canonical JSON: times in RFC 3339 (UTC), durations in seconds."""
    return canonical_json({**_plain(status), "findings": _plain(found)})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value
