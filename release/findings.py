"""What a maintainer must know first: the few facts of a status that are wrong, told apart from all that is right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from release.status import BuildState, CommitState, Finding, Health, Level, Status
from release.wording import listed

# A nightly that is half a day late did not run.
AUDIT_OVERDUE = timedelta(hours=36)


def findings(status: Status) -> tuple[Finding, ...]:
    """What is wrong, the most urgent first; empty when a maintainer may sleep on."""
    found = [*_services(status), *_newest_commit(status), *_builds(status), *_audit(status), *_holds(status)]
    return tuple(sorted(found, key=lambda finding: finding.level is not Level.ALARM))


def _services(status: Status) -> Iterator[Finding]:
    for service in status.services:
        if service.health is not Health.UP:
            level = Level.ALARM if service.health is Health.DOWN else Level.WARNING
            state = "is down" if service.health is Health.DOWN else "could not be asked"
            yield Finding(level=level, text=_sentence(f"{service.name} {state}", service.detail), section="services")


def _newest_commit(status: Status) -> Iterator[Finding]:
    # A failure that a later commit mended is history; one that is still at the head blocks the distribution.
    ended = (each for each in status.commits if each.state not in (CommitState.QUEUED, CommitState.RUNNING))
    newest = next((each for each in ended if each.state is not CommitState.SUPERSEDED), None)
    if newest and newest.state in (CommitState.FAILED, CommitState.REFUSED):
        text = _sentence(f"Commit {newest.sha[:12]} {newest.state}", newest.detail)
        yield Finding(level=Level.ALARM, text=text, section="commits")


def _builds(status: Status) -> Iterator[Finding]:
    failed = [build.package for build in status.run.builds if build.state is BuildState.FAILED] if status.run else []
    if failed:
        yield Finding(level=Level.ALARM, text=f"Failed in this run: {', '.join(failed)}", section="run")


def _audit(status: Status) -> Iterator[Finding]:
    audit = status.audit
    if not audit:
        return
    if audit.different:
        # The build cache vouched for bits that a rebuild does not confirm: the worst bug there is.
        named = listed(audit.different)
        text = _sentence(f"The nightly rebuild does not confirm what was published ({named})", "; ".join(audit.blocks))
        yield Finding(level=Level.ALARM, text=text, section="audit")
    if audit.failed:
        text = f"The nightly rebuild failed: {', '.join(audit.failed)}"
        yield Finding(level=Level.WARNING, text=text, section="audit")
    if status.taken_at - audit.finished_at > AUDIT_OVERDUE:
        text = f"No nightly rebuild since {audit.finished_at:%Y-%m-%d}"
        yield Finding(level=Level.WARNING, text=text, section="audit")


def _holds(status: Status) -> Iterator[Finding]:
    for channel in status.channels:
        if channel.hold:
            text = _sentence(f"{channel.name} is on hold", channel.hold.reason)
            yield Finding(level=Level.WARNING, text=text, section="channels")


def _sentence(fact: str, why: str) -> str:
    return f"{fact}: {why}" if why else fact
