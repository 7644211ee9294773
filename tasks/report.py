"""Reports an audit: the report with its differences beside the release, and the night in the ledger, in git."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from release import oci
from release.channel.audits import AuditReport, Ledger, ledger_path
from release.errors import Broken
from release.records import to_bytes
from release.tools.git import MovedMeanwhile
from tasks.fetch import fetch_document, fetch_ledger
from tasks.promote import ATTEMPTS

if TYPE_CHECKING:
    from release.source.distro import Distro
    from tasks.wiring import Tools

AUDIT = "application/vnd.slipway.audit.v1+json"
DIFFERENCE = "text/plain"


async def report(tools: Tools, distro: Distro, found: AuditReport, differences: Mapping[str, bytes]) -> Ledger:
    """Keep a report, and commit what it says to the ledger. Only the commit counts: what lies in the registry is text
    for people, which the ledger names by digest."""
    repository = distro.releases_repository
    release = await fetch_document(tools, repository, found.release.digest)
    content = to_bytes(found)
    names = {each.diff: f"{each.package}.diff" for each in found.packages if each.diff}
    layers = [oci.blob(content, AUDIT, title="audit.json")]
    layers += [oci.blob(text, DIFFERENCE, title=names[digest]) for digest, text in sorted(differences.items())]
    await tools.registry.push_blobs(repository, [content, *differences.values()])
    referrer = oci.manifest(artifact_type=AUDIT, layers=layers, subject=release.descriptor)
    await tools.registry.push_document(repository, referrer)
    for _ in range(ATTEMPTS):
        try:
            return await _commit(tools, distro, found, layers[0].digest)
        except MovedMeanwhile:
            continue
    raise Broken("the channels branch moved each time that it was read", hint="start nightly/nightly again")


async def _commit(tools: Tools, distro: Distro, found: AuditReport, report: str) -> Ledger:
    from tasks.wiring import AUTHOR

    ledger, read_at = await fetch_ledger(tools, distro)
    night, path = found.night(report), ledger_path(distro.channels[0])
    after = ledger.after(night, found.faults)
    lines = [f"{each.package}: {each.kind.sentence}" for each in found.faults]
    lines += [f"{each}: could not be rebuilt" for each in night.unknown]
    subject = f"audit: {found.release.alias}, {night.equal} of {night.packages} packages hold"
    await asyncio.to_thread(
        tools.repository.commit_files,
        distro.channels_branch, {path: after.to_bytes()}, message="\n".join([subject, "", *lines, ""]),
        expected_head=read_at, author=AUTHOR, time=found.finished,
    )  # fmt: skip
    return after
