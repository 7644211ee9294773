"""Recalls what the release before has: certificates, and each package's build with what others can observe of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from release import oci
from release.errors import Broken
from release.interfaces.interfaces import INTERFACES
from release.interfaces.interfaces import from_bytes as parse_interfaces
from release.product.aliases import ReleaseRef
from release.product.builds import ROOT, Build, parse_root
from release.product.releases import Release
from release.product.standing import Standing
from release.source.certificates import Certificates, parse_certificates
from release.tools.registry import gather
from tasks.fetch import RECORD_BYTES, fetch_document

if TYPE_CHECKING:
    from release.source.distro import Distro
    from tasks.wiring import Tools

PULLS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The release that a new one is compared with, and the builds in it by source package."""

    reference: ReleaseRef
    release: Release
    certificates: Certificates
    standing: Mapping[str, Standing] = field(repr=False)


async def recall(tools: Tools, distro: Distro, reference: ReleaseRef, release: Release) -> Previous:
    """Everything that the next release needs to know of this one. Records are kept by digest on this machine.

    A release of version 0.1 has no certificates that can be used: the next one then builds everything once.
    """
    raw = await record(tools, distro.releases_repository, release.certificates)
    certificates = parse_certificates(raw)

    async def one(package: str) -> Standing:
        build = certificates.packages[package].build
        return await standing(tools, release.rpms_repository, build)

    packages = tuple(certificates.packages)
    found = await gather(packages, one, concurrency=PULLS)
    return Previous(
        reference=reference,
        release=release,
        certificates=certificates,
        standing=MappingProxyType(dict(zip(packages, found, strict=True))),
    )


async def standing(tools: Tools, repository: str, manifest: str, *, root: oci.Descriptor | None = None) -> Standing:
    """The build behind the digest of a manifest that somebody proven has named, with its records. `root` is the
    record of what was observed, where another build than this one was made last and came out the same."""
    build = Build.from_document(await _document(tools, repository, manifest))
    interfaces, seen = build.record(INTERFACES), root or build.record(ROOT)
    if interfaces is None or seen is None:
        raise Broken(
            "a build without its records", where=f"{repository}@{manifest}", got=build.package,
            expected=f"layers {INTERFACES} and {ROOT}",
        )  # fmt: skip
    return Standing(
        build=build,
        manifest=manifest,
        interfaces=parse_interfaces(await record(tools, repository, interfaces)),
        consumed=parse_root(await record(tools, repository, seen)),
    )


async def record(tools: Tools, repository: str, blob: oci.Descriptor) -> bytes:
    """A small blob by digest: from this machine's store, otherwise from the registry, and then kept."""
    if tools.store.has(blob.digest):
        return tools.store.read(blob.digest)
    content = await tools.registry.pull_blob(repository, blob.digest, limit_bytes=RECORD_BYTES)
    tools.store.put_bytes(content)
    return content


async def _document(tools: Tools, repository: str, digest: str) -> oci.Document:
    """The manifest of a build, of which a release has as many as packages: kept by digest, too."""
    if tools.store.has(digest):
        return oci.Document(media_type=oci.MANIFEST, raw=tools.store.read(digest))
    document = await fetch_document(tools, repository, digest)
    tools.store.put_bytes(document.raw)
    return document
