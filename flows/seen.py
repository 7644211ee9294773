"""What Prefect's own pages show: the plan, the builds and the release as artifacts. Losing them loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from release.product.aliases import ReleaseRef
from release.source.plan import Plan
from tasks.assemble import Assembled
from tasks.audit import AuditReport
from tasks.build import Built
from tasks.progress import Progress

_log = logging.getLogger(__name__)


async def plan(found: Plan, commit: str) -> None:
    """A table of what will be built, in order, and why."""
    rows = [{"package": step.package, "why": step.reason, "after": ", ".join(step.requires)} for step in found.steps]
    rows += [{"package": f"image {image.image}", "why": image.reason, "after": ""} for image in found.images]
    await _shown(acreate_table_artifact(rows, key=f"plan-{commit[:12]}", description="What is rebuilt, and why"))


async def builds(done: Mapping[str, Built]) -> None:
    """A table of the builds with durations and links to their logs."""
    rows = [
        {
            "package": name,
            "evr": each.build.evr,
            "how": "reused" if each.reused else "built",
            "seconds": each.seconds,
            "rpmbuild": each.rpmbuild_seconds,
            "log": each.log_url or "",
        }
        for name, each in sorted(done.items())
    ]
    await _shown(acreate_table_artifact(rows, key="builds", description="Builds of this run"))


async def release(
    reference: ReleaseRef, built: Mapping[str, Built], images: Sequence[Assembled], progress: Progress
) -> None:
    """The release on one page: digests, images, time of each stage."""
    lines = [
        f"# {reference.alias}",
        f"`{reference.digest}`",
        f"{sum(not each.reused for each in built.values())} packages built, "
        f"{sum(each.reused for each in built.values())} taken from the registry.",
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
            "bit-identical": "yes" if each.identical else "NO",
            "differs": ", ".join(each.different) or each.error or "",
        }
        for each in report.packages
    ]
    await _shown(acreate_table_artifact(rows, key="nightly", description=f"Audit of {report.release}"))


async def _shown(artifact: Awaitable[object]) -> None:
    """Prefect is a window, not a wall: what it cannot show is logged, and the release goes on."""
    try:
        await artifact
    except Exception as error:  # whatever the client raises
        _log.warning("Prefect did not take an artifact: %s", error)
