"""What wakes somebody, what waits for the morning, and what is history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from release.findings import AUDIT_OVERDUE, findings
from release.status import Audit, BuildState, CommitState, Finding, Health, Level, Service, Status
from tests import status_samples as samples


def texts(status: Status, level: Level | None = None) -> list[str]:
    return [finding.text for finding in findings(status) if level in (None, finding.level)]


def with_commits(*states: CommitState) -> Status:
    """The newest first."""
    template = samples.commits()[0]
    commits = [replace(template, sha=samples.sha(f"{n}"), state=state) for n, state in enumerate(states)]
    return replace(samples.quiet(), commits=tuple(commits))


def test_a_quiet_night_has_no_findings() -> None:
    assert findings(samples.quiet()) == ()


def test_an_empty_pipeline_has_no_findings_before_its_first_night() -> None:
    empty = replace(samples.quiet(), commits=(), builds=(), releases=(), audit=None)
    assert findings(empty) == ()


def test_finds_everything_that_is_wrong_and_puts_alarms_first() -> None:
    found = findings(samples.broken())
    assert [finding.level for finding in found] == [Level.ALARM] * 4 + [Level.WARNING] * 4
    assert {finding.section for finding in found} == {"services", "commits", "run", "audit", "channels"}
    assert texts(samples.broken(), Level.ALARM) == [
        "registry is down: connection refused",
        f"Commit {samples.commits()[2].sha[:12]} failed: curl failed in %check",
        "Failed in this run: curl",
        "The nightly rebuild does not confirm what was published (openssl): "
        "R-20261122.3 does not move from edge to beta",
    ]
    assert texts(samples.broken(), Level.WARNING) == [
        "Prefect could not be asked",
        "The nightly rebuild failed: curl",
        "No nightly rebuild since 2026-11-21",
        "beta is on hold: curl breaks proxies",
    ]


@pytest.mark.parametrize(
    ("health", "level"), [(Health.UP, None), (Health.DOWN, Level.ALARM), (Health.UNKNOWN, Level.WARNING)]
)
def test_a_service_that_is_down_is_an_alarm_and_one_nobody_could_ask_is_not_fine(
    health: Health, level: Level | None
) -> None:
    status = replace(samples.quiet(), services=(Service(name="registry", health=health),))
    assert [finding.level for finding in findings(status)] == ([level] if level else [])


@pytest.mark.parametrize("state", [CommitState.FAILED, CommitState.REFUSED])
def test_a_commit_that_failed_is_an_alarm_until_a_later_one_ends_well(state: CommitState) -> None:
    assert findings(with_commits(state))
    assert findings(with_commits(CommitState.RUNNING, state)), "the mending commit is not out yet"
    assert findings(with_commits(CommitState.QUEUED, CommitState.SUPERSEDED, state)), "a superseded one proves nothing"
    assert not findings(with_commits(CommitState.RELEASED, state))
    assert not findings(with_commits(CommitState.NO_OP, state))


def test_a_finding_of_a_commit_names_it_and_says_why() -> None:
    failed = replace(samples.commits()[2], detail="")
    assert findings(replace(samples.quiet(), commits=(failed,))) == (
        Finding(level=Level.ALARM, text=f"Commit {failed.sha[:12]} failed", section="commits"),
    )


def test_names_every_package_that_failed_in_the_run_and_none_that_waits() -> None:
    builds = [samples.build(name, BuildState.FAILED) for name in ("curl", "openssl")]
    status = replace(samples.quiet(), run=samples.run(*builds, samples.build("jq", BuildState.WAITING)))
    assert texts(status) == ["Failed in this run: curl, openssl"]


def test_an_audit_is_overdue_only_when_a_night_was_missed() -> None:
    def after(age: object) -> Status:
        return replace(samples.quiet(), audit=Audit(finished_at=samples.NOW - age, equal=14, identical=14))  # type: ignore[operator]

    assert not findings(after(AUDIT_OVERDUE))
    assert texts(after(AUDIT_OVERDUE * 1.01)) == ["No nightly rebuild since 2026-11-21"]
