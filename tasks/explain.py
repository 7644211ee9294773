"""Explains what a release did with one package: from the certificates that are kept with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from release.forecast.forecasts import Forecast
from release.forecast.told import told
from release.forecast.words import unknown_package
from release.source.certificates import Certificates, parse_certificates
from tasks.fetch import fetch_release
from tasks.recall import record
from tasks.record import recorded

if TYPE_CHECKING:
    from release.product.releases import Release
    from release.source.distro import Distro
    from tasks.wiring import Tools


async def explain(tools: Tools, distro: Distro, commit: str, package: str) -> tuple[str, ...] | None:
    """In plain words what became of a package in the release of a commit; None where the commit has no release.

    `Misconfigured` when the release has no such package.
    """
    release, alias = await _release_of(tools, distro, commit)
    if release is None:
        return None
    now = await _certificates(tools, distro, release)
    if package not in now.packages:
        raise unknown_package(package, now.packages)
    forecast = Forecast.from_json(json.loads(await record(tools, distro.releases_repository, release.plan)))
    older, _ = await _release_of(tools, distro, forecast.before) if forecast.before else (None, "")
    before = await _certificates(tools, distro, older) if older else None
    return told(package, now, release=alias, before=before, forecast=forecast)


async def _release_of(tools: Tools, distro: Distro, commit: str) -> tuple[Release | None, str]:
    note = await recorded(tools, commit)
    if note is None or note.release is None:
        return None, ""
    return await fetch_release(tools, distro, note.release.digest), note.release.alias


async def _certificates(tools: Tools, distro: Distro, release: Release) -> Certificates:
    return parse_certificates(await record(tools, distro.releases_repository, release.certificates))
