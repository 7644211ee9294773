"""Asks whether a published RPM repository is closed: everything that its packages require is provided in it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from release import oci
from release.graph.capabilities import parse
from release.graph.providers import Offer, Providers
from release.product.repository import Snapshot
from release.tools.registry import gather
from release.tools.repodata import capabilities
from tasks.fetch import fetch_document

if TYPE_CHECKING:
    from tasks.wiring import Tools

PULLS = 8


async def unclosed(tools: Tools, repository: str, snapshot: Snapshot) -> tuple[str, ...]:
    """`package: requirement` for each requirement of the snapshot that nothing in it provides.

    It reads the published metadata, as a consumer's dnf does, not what the pipeline believes that it published.
    """
    found = [await _unclosed(tools, repository, child.digest) for child in snapshot.repodata]
    return tuple(line for lines in found for line in lines)


async def _unclosed(tools: Tools, repository: str, repodata: str) -> list[str]:
    document = await fetch_document(tools, repository, repodata)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        async def pull(layer: oci.Descriptor) -> None:
            await tools.registry.pull_blob_to(repository, layer.digest, layer.size, folder / str(layer.title))

        await gather(document.layers, pull, concurrency=PULLS)
        return await asyncio.to_thread(_missing, folder)


def _missing(folder: Path) -> list[str]:
    packages = capabilities(folder)
    providers = Providers([Offer(source=None, binary=each) for each in packages])
    return [
        f"{package.name}: {requirement}"
        for package in packages
        for requirement in package.requires
        if not requirement.startswith("rpmlib(") and providers.resolve(parse(requirement)) is None
    ]
