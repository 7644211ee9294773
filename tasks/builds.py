"""Finds builds in the registry, which is the cache of every machine, and brings their RPMs into the local store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release import oci
from release.digests import hex_of
from release.product.builds import Build, Rpm, Same
from release.tools.registry import gather
from release.tools.rpm_headers import header_digests
from signing.policy import Policy
from signing.statements import PROVENANCE
from tasks.sign import proofs_of

if TYPE_CHECKING:
    from tasks.wiring import Tools

PULLS = 16


def key_tag(key: str) -> str:
    """The tag under which a build is found again: `k-<64 hex digits of the build key>`."""
    return f"k-{hex_of(key)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the registry has under a build key: the digest of a build's manifest and, where another build of this key
    came out the same as that one, the record of what it observed."""

    manifest: str
    root: oci.Descriptor | None = None


async def find_build(tools: Tools, repository: str, key: str, *, policy: Policy) -> Found | None:
    """The build of a key, None where there is none that is proven.

    The tag alone proves nothing, because whoever can write to the registry can set it: the build counts when its
    provenance verifies under the build identity, is about exactly this manifest, and names exactly this key.
    """
    document = await tools.registry.pull_document(repository, key_tag(key))
    if document is None:
        return None
    same = Same.from_document(document)
    said = same.key if same else Build.from_document(document).key
    if said != key:
        return None
    for _, predicate in await proofs_of(tools, repository, document.digest, PROVENANCE, policy=policy):
        if signed_key(predicate) == key:
            return Found(manifest=same.build, root=same.root) if same else Found(manifest=document.digest)
    return None


def signed_key(predicate: dict[str, object]) -> object:
    """The build key that a provenance predicate names."""
    definition = predicate.get("buildDefinition")
    parameters = definition.get("externalParameters") if isinstance(definition, dict) else None
    return parameters.get("buildKey") if isinstance(parameters, dict) else None


async def keep_rpms(tools: Tools, paths: Sequence[Path]) -> tuple[Rpm, ...]:
    """Take signed RPM files into the local store; what they are called there, in order. The paths are gone after."""
    headers = await header_digests(paths)
    sizes = [path.stat().st_size for path in paths]
    digests = await asyncio.to_thread(lambda: [tools.store.take_file(path) for path in paths])
    return tuple(
        Rpm(file=path.name, digest=digest, size=size, header_digest=header)
        for path, digest, size, header in zip(paths, digests, sizes, headers, strict=True)
    )


async def pull_rpms(tools: Tools, repository: str, builds: Iterable[Build]) -> None:
    """Every binary and source RPM of the builds in the local store, verified by digest."""
    wanted = [rpm for build in builds for rpm in build.rpms if not tools.store.has(rpm.digest)]

    async def pull(rpm: Rpm) -> None:
        await tools.registry.pull_blob_to(repository, rpm.digest, rpm.size, tools.store.path_of(rpm.digest))

    await gather(wanted, pull, concurrency=PULLS)
