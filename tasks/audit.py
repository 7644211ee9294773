"""Rebuilds a published release from scratch and says, package by package, whether the bits are the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from release import oci
from release.instants import Instant
from release.product.builds import Build
from release.records import from_bytes, to_bytes
from release.tools.rpm_headers import header_digests
from tasks.bench import Bench
from tasks.build import run_build

if TYPE_CHECKING:
    from release.source.distro import Distro
    from tasks.wiring import Tools

AUDIT = "application/vnd.slipway.audit.v1+json"
AUDIT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageAudit:
    """One package: whether each of its RPMs has the published header and payload, and which have not."""

    package: str
    identical: bool
    different: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The audit of one release."""

    release: str
    commit: str
    finished: Instant
    packages: tuple[PackageAudit, ...]

    @property
    def clean(self) -> bool:
        """Whether everything was identical."""
        return all(each.identical for each in self.packages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A package's fresh RPMs by file name, and what the comparison said."""

    files: Mapping[str, Path]
    audit: PackageAudit


async def rebuild(
    tools: Tools, bench: Bench, name: str, inputs: Mapping[str, Rebuilt], published: Build | None, folder: Path
) -> Rebuilt:
    """Build a package against the fresh builds of what it needs, and compare it with what was published.

    A header names its payload's digest, and neither holds a signature: equal headers mean equal packages.
    """
    work = folder / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    needed = {file: path for each in inputs.values() for file, path in each.files.items()}
    package = bench.graph.packages[name]
    suffix = published.evr.removeprefix(package.evr) if published else ""
    output = await run_build(tools, bench, package, needed, work, suffix=suffix)
    fresh = {path.name: path for path in output.rpms}
    headers = dict(zip(fresh, await header_digests(list(fresh.values())), strict=True))
    known = {rpm.file: rpm.header_digest for rpm in published.rpms} if published else {}
    known = {file: header for file, header in known.items() if not file.endswith(".src.rpm")}
    different = tuple(sorted(file for file in headers.keys() | known.keys() if headers.get(file) != known.get(file)))
    return Rebuilt(files=fresh, audit=PackageAudit(package=name, identical=not different, different=different))


async def keep_report(tools: Tools, distro: Distro, report: AuditReport) -> str:
    """The report beside the release that it is about, as a referrer; its digest."""
    document = await tools.registry.pull_document(distro.releases_repository, report.release)
    content = to_bytes(report)
    layer = oci.blob(content, AUDIT, title="audit.json")
    await tools.registry.push_blob(distro.releases_repository, content)
    referrer = oci.manifest(artifact_type=AUDIT, layers=[layer], subject=document.descriptor if document else None)
    await tools.registry.push_document(distro.releases_repository, referrer)
    return referrer.digest


async def latest_report(tools: Tools, distro: Distro, release: str) -> AuditReport | None:
    """The newest audit of a release, None where there was none."""
    reports: list[AuditReport] = []
    for referrer in await tools.registry.referrers(distro.releases_repository, release):
        if referrer.artifact_type not in (AUDIT, oci.EMPTY, None):
            continue
        document = await tools.registry.pull_document(distro.releases_repository, referrer.digest)
        if document is None or document.descriptor.artifact_type != AUDIT:
            continue
        raw = await tools.registry.pull_blob(
            distro.releases_repository, document.layers[0].digest, limit_bytes=AUDIT_BYTES
        )
        reports.append(from_bytes(AuditReport, raw, what="an audit report"))
    return max(reports, key=_finished, default=None)


def _finished(report: AuditReport) -> datetime:
    return report.finished
