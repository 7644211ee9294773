"""Publishes by digest, proves, and only then tags: builds, the RPM repository, the release itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from release import oci
from release.channel.tags import alias_moves
from release.digests import hex_of
from release.errors import Broken
from release.product import repository
from release.product.aliases import ReleaseRef, mint_alias
from release.product.builds import ARCH, Build, Rpm, Same
from release.product.releases import Referrer, Release
from release.product.repository import REPOMD, REPOMD_SIGNATURE, Snapshot, binaries, repodata_document
from release.source.distro import Distro
from release.tools.registry import gather
from release.tools.repodata import compose
from signing.attestations import signature_statement
from signing.policy import Role
from signing.statements import PROVENANCE, SIGNATURE, Resource
from tasks.builds import key_tag, pull_rpms
from tasks.fetch import fetch_document
from tasks.follow import move_tags
from tasks.sign import Claim, proofs_of, sign
from tasks.verify import signers

if TYPE_CHECKING:
    from tasks.wiring import Tools

BUILD_LOG = "application/vnd.slipway.build.log.v1"
LOG = "text/plain"
PUSHES = 16
REPODATA_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSnapshot:
    """The RPM repository of a release: its index, and the digest of the repomd.xml that stock dnf reads directly."""

    descriptor: oci.Descriptor
    direct: Mapping[str, str]  # arch -> digest of repomd-direct.xml


async def publish_log(tools: Tools, repository: str, log: bytes) -> oci.Descriptor:
    """A log as a blob of plain text, so that its URL can be opened in a browser."""
    pushed = await tools.registry.push_blob(repository, log)
    return oci.Descriptor(media_type=LOG, digest=pushed.digest, size=pushed.size, annotations={oci.TITLE: "build.log"})


def log_referrer(log: oci.Descriptor, subject: oci.Descriptor) -> oci.Document:
    """What keeps a log beside the build that it is about."""
    return oci.manifest(artifact_type=BUILD_LOG, layers=[log], subject=subject)


def log_resource(tools: Tools, repository: str, log: oci.Descriptor) -> Resource:
    """The log as provenance names it."""
    return Resource(
        uri=blob_url(tools, repository, log.digest), digests={"sha256": hex_of(log.digest)}, name="build.log"
    )


def blob_url(tools: Tools, repository: str, digest: str) -> str:
    """Where consumers and browsers find a blob."""
    return f"{tools.settings.registry_public}/v2/{repository}/blobs/{digest}"


async def publish_build(
    tools: Tools,
    distro: Distro,
    build: Build,
    *,
    claim: Callable[[oci.Descriptor], Claim],
    log: oci.Descriptor | None = None,
) -> oci.Descriptor:
    """Files, manifest by digest, provenance, and last the tag by which the build is found again."""
    repository = distro.rpms_repository
    blobs: Sequence[Rpm | oci.Descriptor] = (*build.rpms, *build.sources, *build.records)
    digests = [each.digest for each in blobs]
    document = build.to_document()
    await gather(
        digests,
        lambda digest: tools.registry.push_blob(repository, tools.store.path_of(digest), digest=digest),
        concurrency=PUSHES,
    )
    descriptor = await tools.registry.push_document(repository, document)
    if log:
        await tools.registry.push_document(repository, log_referrer(log, descriptor))
    await sign(tools, [claim(descriptor)], policy=signers(tools, distro))
    await tools.registry.push_document(repository, document, tag=key_tag(build.key))
    return descriptor


async def publish_same(
    tools: Tools,
    distro: Distro,
    same: Same,
    *,
    root: bytes,
    claim: Callable[[oci.Descriptor], Claim],
    log: oci.Descriptor,
) -> None:
    """What says, under a build key, that the build is the published one over again: proven first, then tagged."""
    repository, document = distro.rpms_repository, same.to_document()
    await tools.registry.push_blob(repository, root)
    descriptor = await tools.registry.push_document(repository, document)
    await tools.registry.push_document(repository, log_referrer(log, descriptor))
    await sign(tools, [claim(descriptor)], policy=signers(tools, distro))
    await tools.registry.push_document(repository, document, tag=key_tag(same.key))


async def publish_snapshot(
    tools: Tools, distro: Distro, *, commit: str, committed: datetime, builds: Sequence[Build], previous: str | None
) -> PublishedSnapshot:
    """One RPM repository over builds that are published already. Where these are the builds of the snapshot before, it
    is that snapshot, at whatever commit it was made: nothing that a consumer can see is another.

    `previous` is the digest of the snapshot before: what it holds is read from its metadata, not from RPM files.
    """
    before = await _before(tools, distro, await _attempted(tools, distro, commit) or previous)
    built = [build.to_document() for build in builds]
    if before is not None and {each.digest for each in built} == {each.digest for each in before.snapshot.builds}:
        return PublishedSnapshot(descriptor=before.index.descriptor, direct=_direct(before.documents))
    documents = [await _repodata(tools, distro, arch, builds, committed, before) for arch in distro.arches]
    snapshot = Snapshot.of(commit=commit, committed=committed, repodata=documents, built=built)
    index = snapshot.to_document()
    await tools.registry.push_document(distro.rpms_repository, index)
    await _sign_all(tools, distro, [(distro.rpms_repository, each) for each in (index, *documents)])
    for document in documents:
        tag = next(tag for tag, digest in snapshot.tags().items() if digest == document.digest)
        await tools.registry.push_document(distro.rpms_repository, document, tag=tag)
    await tools.registry.push_document(distro.rpms_repository, index, tag=_commit_tag(commit))
    return PublishedSnapshot(descriptor=index.descriptor, direct=_direct(documents))


def _direct(documents: Sequence[oci.Document]) -> Mapping[str, str]:
    return {each.annotations[ARCH]: _titled(each, repository.REPOMD_DIRECT) for each in documents}


async def provenance_of(
    tools: Tools, distro: Distro, builds: Sequence[Build], *, known: Sequence[Referrer] = ()
) -> tuple[Referrer, ...]:
    """The referrer that proves each build, so that a release names its proofs by digest and none can be swapped.

    `known` are the proofs that the release before names: what it has is not looked for and verified again here, but
    by whoever lets the release into a channel.
    """
    repository, policy = distro.rpms_repository, signers(tools, distro)
    named = {each.subject: each for each in known if each.kind == "provenance" and each.repository == repository}

    async def one(build: Build) -> Referrer:
        subject = build.to_document().digest
        if subject in named:
            return named[subject]
        proofs = await proofs_of(tools, repository, subject, PROVENANCE, policy=policy)
        if not proofs:
            raise Broken("a build has lost its provenance", where=f"{repository}@{subject}", got=build.package)
        first = min(digest for digest, _ in proofs)
        return Referrer(kind="provenance", repository=repository, subject=subject, digest=first)

    return await gather(builds, one, concurrency=PUSHES)


async def publish_release(
    tools: Tools, distro: Distro, release: Release, *, plan: bytes, certificates: bytes
) -> ReleaseRef:
    """The release object: pushed, signed, then named. The alias stands on everything that the release names."""
    repository = distro.releases_repository
    await tools.registry.push_blobs(repository, [release.record(), plan, certificates])
    document = release.to_document()
    await tools.registry.push_document(repository, document)
    await _sign_all(tools, distro, [(repository, document)])
    tags = [tag for tag in await tools.registry.tags(repository) if tag.startswith("R-")]
    digests = await asyncio.gather(*(tools.registry.resolve(repository, tag) for tag in tags))
    known = {tag: digest for tag, digest in zip(tags, digests, strict=True) if digest}
    alias = mint_alias(tags=known, digest=document.digest, commit_time=release.source.time)
    await move_tags(tools, distro, alias_moves(release, alias=alias, releases_repository=repository))
    return ReleaseRef(digest=document.digest, alias=alias)


async def keep_beside(
    tools: Tools, distro: Distro, release: str, content: bytes, *, kind: str, title: str
) -> oci.Descriptor:
    """A record about a release, as a referrer of it: for people to read, and not signed."""
    repository = distro.releases_repository
    subject = await fetch_document(tools, repository, release)
    await tools.registry.push_blob(repository, content)
    layer = oci.blob(content, kind, title=title)
    referrer = oci.manifest(artifact_type=kind, layers=[layer], subject=subject.descriptor)
    return await tools.registry.push_document(repository, referrer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """The snapshot before this one: its index, its repodata manifests, and their files by arch and path."""

    index: oci.Document
    snapshot: Snapshot
    documents: tuple[oci.Document, ...]
    files: Mapping[str, Mapping[str, bytes]]


async def _attempted(tools: Tools, distro: Distro, commit: str) -> str | None:
    """The proven snapshot that an earlier attempt made of this commit, if any. The signature of repomd.xml names a
    time, so making it once more would give another release of the same commit."""
    digest = await tools.registry.resolve(distro.rpms_repository, _commit_tag(commit))
    if digest is None:
        return None
    policy = signers(tools, distro)
    return digest if await proofs_of(tools, distro.rpms_repository, digest, SIGNATURE, policy=policy) else None


def _commit_tag(commit: str) -> str:
    return f"c-{commit}"


async def _before(tools: Tools, distro: Distro, previous: str | None) -> _Before | None:
    if previous is None:
        return None
    index = await fetch_document(tools, distro.rpms_repository, previous)
    snapshot = Snapshot.from_document(index)
    documents = [await fetch_document(tools, distro.rpms_repository, each.digest) for each in snapshot.repodata]
    files = {document.annotations[ARCH]: await _contents(tools, distro, document) for document in documents}
    return _Before(index=index, snapshot=snapshot, documents=tuple(documents), files=files)


async def _contents(tools: Tools, distro: Distro, document: oci.Document) -> dict[str, bytes]:
    contents = await gather(
        document.layers,
        lambda layer: tools.registry.pull_blob(distro.rpms_repository, layer.digest, limit_bytes=REPODATA_BYTES),
        concurrency=PUSHES,
    )
    return {str(layer.title): content for layer, content in zip(document.layers, contents, strict=True)}


async def _repodata(
    tools: Tools, distro: Distro, arch: str, builds: Sequence[Build], committed: datetime, before: _Before | None
) -> oci.Document:
    """The repodata of an arch, composed from the metadata before and the new RPMs, signed, and pushed by digest."""
    url = f"{tools.settings.registry_public}/v2/{distro.rpms_repository}/blobs"
    known = before.files.get(arch) if before else None
    await pull_rpms(tools, distro.rpms_repository, builds)
    files = dict(
        await asyncio.to_thread(
            compose,
            binaries(builds, arch),
            store=tools.store,
            blobs_url=url,
            revision=int(committed.timestamp()),
            previous=known,
        )
    )
    files[REPOMD_SIGNATURE] = await (await tools.rpm_signer()).sign_detached(files[REPOMD])
    document = repodata_document(arch, files)
    await tools.registry.push_blobs(distro.rpms_repository, files.values())
    await tools.registry.push_document(distro.rpms_repository, document)
    return document


async def _sign_all(tools: Tools, distro: Distro, documents: Sequence[tuple[str, oci.Document]]) -> None:
    claims = [
        Claim(
            repository=repository,
            subject=document.descriptor,
            role=Role.SIGN,
            predicate_type=SIGNATURE,
            statement=signature_statement(document.digest),
        )
        for repository, document in documents
    ]
    await sign(tools, claims, policy=signers(tools, distro))


def _titled(document: oci.Document, title: str) -> str:
    return next(layer.digest for layer in document.layers if layer.title == title)
