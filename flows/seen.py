"""What Prefect's own pages show: the plan, the builds and the release as artifacts. Losing them loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from release.channel.audits import AuditReport
from release.forecast.accounts import Account
from release.forecast.forecasts import Forecast
from release.product.aliases import ReleaseRef
from release.source.certificates import Certificates, Outcome
from tasks.assemble import Assembled
from tasks.progress import Progress
from tasks.want import Made

ROWS = 200  # of a table that people look at
_log = logging.getLogger(__name__)


async def forecast(found: Forecast, commit: str) -> None:
    """A table of what will be built, in order, and what may be, and why."""
    rows = [{"package": each.package, "will be built": "yes", "why": "; ".join(each.reasons)} for each in found.certain]
    rows += [
        {"package": each.package, "will be built": "if what it observes changes", "why": " ".join(map(str, each.path))}
        for each in found.possible[:ROWS]
    ]
    rows += [
        {"package": f"image {each.image}", "will be built": "yes" if each.certain else "perhaps", "why": each.reason}
        for each in found.images
    ]
    await _shown(acreate_table_artifact(rows, key=f"plan-{commit[:12]}", description="What is rebuilt, and why"))


async def builds(done: Mapping[str, Made]) -> None:
    """A table of the builds with durations and links to their logs."""
    rows = [
        {
            "package": name,
            "evr": each.standing.build.evr,
            "how": "built" if each.ran else "stands",
            "seconds": each.ran.seconds if each.ran else 0,
            "rpmbuild": each.ran.rpmbuild_seconds if each.ran else 0,
            "log": each.ran.log_url if each.ran else "",
        }
        for name, each in sorted(done.items())
    ]
    await _shown(acreate_table_artifact(rows, key="builds", description="Builds of this run"))


async def certificates(found: Certificates, commit: str) -> None:
    """A table of every package that something happened to, and why; of a release, or of a commit that gave none."""
    rows = [
        {"package": name, "outcome": str(each.outcome), "why": "; ".join(each.reasons)}
        for name, each in found.packages.items()
        if each.outcome is not Outcome.UNCHANGED
    ]
    await _shown(
        acreate_table_artifact(
            rows, key=f"certificates-{commit[:12]}", description="What was compared, and what came of it"
        )
    )


async def account(found: Account, commit: str) -> None:
    """The forecast beside the fact, in words."""
    seconds = f"{found.seconds:.0f} s of builds" if found.seconds is not None else "nothing was built"
    if found.foreseen_seconds is not None:
        seconds += f"; foreseen were {found.foreseen_seconds:.0f} to {found.foreseen_seconds_at_most or 0:.0f} s"
    await _shown(acreate_markdown_artifact(f"{found.text()}\n\n{seconds}.", key=f"forecast-{commit[:12]}"))


async def release(
    reference: ReleaseRef, made: Mapping[str, Made], images: Sequence[Assembled], progress: Progress
) -> None:
    """The release on one page: digests, images, time of each stage."""
    lines = [
        f"# {reference.alias}",
        f"`{reference.digest}`",
        f"{sum(each.ran is not None for each in made.values())} packages built, "
        f"{sum(each.ran is None for each in made.values())} stand as they are.",
        "| image | digest | |",
        "|---|---|---|",
        *(
            f"| {each.image.repository} | `{each.image.digest}` | {'reused' if each.reused else 'new'} |"
            for each in images
        ),
        "",
        "| stage | seconds |",
        "|---|---|",
        *(f"| {name} | {seconds:.1f} |" for name, seconds in progress.seconds().items()),
    ]
    markdown = "\n\n".join(lines[:3]) + "\n\n" + "\n".join(lines[3:])
    await _shown(acreate_markdown_artifact(markdown, key=f"release-{reference.alias.lower().replace('.', '-')}"))


async def audit(report: AuditReport) -> None:
    """A table of the night's verdicts."""
    rows = [
        {
            "package": each.package,
            "in the release": str(each.outcome),
            "from scratch": str(each.agreement),
            "fault": each.kind.sentence if each.kind else "",
            "differs": "; ".join(each.files) or each.error,
            "beside": "; ".join((*each.root, *(f"another header: {file}" for file in each.headers))),
        }
        for each in report.packages
    ]
    await _shown(acreate_table_artifact(rows, key="nightly", description=f"Audit of {report.release.alias}"))


async def _shown(artifact: Awaitable[object]) -> None:
    """Prefect is a window, not a wall: what it cannot show is logged, and the release goes on."""
    try:
        await artifact
    except Exception as error:  # whatever the client raises
        _log.warning("Prefect did not take an artifact: %s", error)
