"""Looks at a release as a consumer would, with code that signs nothing, and writes down what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from release.channel.audits import Audited
from release.channel.channels import Channel
from release.channel.evidence import Evidence, Finding, Passed
from release.channel.policies import GateKind, lane_of
from release.errors import Broken, Error, Refused
from release.product import builds
from release.product.aliases import ReleaseRef
from release.product.releases import Release, Trust, Verdict
from release.source.distro import Distro
from signing.policy import Policy as SignerPolicy
from signing.policy import Trust as SignerTrust
from signing.statements import PROVENANCE, SIGNATURE, SPDX
from tasks.builds import signed_key
from tasks.closure import unclosed
from tasks.fetch import fetch_builds, fetch_document, fetch_ledger, fetch_release, fetch_snapshot
from tasks.sign import proofs_of

if TYPE_CHECKING:
    from tasks.wiring import Tools

VERIFIER = "slipway-verifier"
Check = Callable[["Subject"], Awaitable[str]]


class Subject:
    """The release under examination, and what the checks need beside it."""

    def __init__(self, tools: Tools, distro: Distro, release: Release, channel: Channel) -> None:
        self.tools = tools
        self.distro = distro
        self.release = release
        self.channel = channel
        self.policy = signers(tools, distro)


async def examine(
    tools: Tools, distro: Distro, *, release: ReleaseRef, channel: Channel, upstream: Channel | None
) -> Evidence:
    """All facts about a release as the candidate of a channel. A check that cannot be made is UNKNOWN, never absent."""
    found = await fetch_release(tools, distro, release.digest)
    subject = Subject(tools, distro, found, channel)
    findings = await asyncio.gather(*(_find(kind, check, subject) for kind, check in _CHECKS.items()))
    commit = await asyncio.to_thread(tools.repository.commit, found.source.commit)
    current = await fetch_release(tools, distro, channel.current.digest) if channel.current else None
    passed_at = upstream.passed_at(release.digest) if upstream else None
    return Evidence(
        channel=channel.channel,
        release=release,
        verifier=VERIFIER,
        trust=Trust.EMBEDDED if tools.verifier.trust is SignerTrust.EMBEDDED else Trust.PRIVATE,
        lane=lane_of(f"{commit.subject}\n\n{commit.body}"),
        artifacts=found.artifacts,
        findings=tuple(findings),
        tests=found.tests,
        baseline=current.tests if current else (),
        passed=(Passed(channel=upstream.channel, at=passed_at),) if upstream and passed_at else (),
        audit=await audited(tools, distro, release, found),
    )


async def audited(tools: Tools, distro: Distro, reference: ReleaseRef, release: Release) -> Audited:
    """What the nights say of a release and of the builds that it holds. Where the ledger cannot be read, that is the
    answer, and it does not pass."""
    try:
        ledger, _ = await fetch_ledger(tools, distro)
        snapshot = await fetch_snapshot(tools, release.rpms_repository, release.snapshot.digest)
    except Error as error:
        return Audited(problem=error.diagnostics())
    return ledger.of(reference, {each.digest for each in snapshot.builds})


async def examine_image(tools: Tools, distro: Distro, repository: str, reference: str) -> list[dict[str, str]]:
    """What is proven about an image by `repository[:tag|@digest]`: signatures of index and manifests, SBOMs."""
    _, at, digest = reference.partition("@")
    tag = reference.removeprefix(repository).removeprefix(":") or "latest"
    index = await fetch_document(tools, repository, digest if at else tag)
    policy = signers(tools, distro)
    asked = [
        (index.digest, SIGNATURE),
        *((each.digest, kind) for each in index.manifests for kind in (SIGNATURE, SPDX)),
    ]
    found = []
    for subject, kind in asked:
        proofs = await proofs_of(tools, repository, subject, kind, policy=policy)
        speaker = policy.speaker_of(kind).identity
        got = f"{subject[:19]} by {speaker}" if proofs else f"{subject[:19]}: nothing that verifies by {speaker}"
        found.append(
            {"what": "sbom" if kind == SPDX else "signature", "verdict": "PASS" if proofs else "FAIL", "got": got}
        )
    return found


def signers(tools: Tools, distro: Distro) -> SignerPolicy:
    """Who may say what about this distribution's artifacts."""
    return SignerPolicy.of(distro.identity, tools.issuer)


async def _find(kind: GateKind, check: Check, subject: Subject) -> Finding:
    expected = _EXPECTED[kind]
    try:
        return Finding(kind=kind, verdict=Verdict.PASS, got=await check(subject), expected=expected)
    except Broken as error:
        return Finding(kind=kind, verdict=Verdict.UNKNOWN, got=error.diagnostics(), expected=expected)
    except Error as error:
        return Finding(kind=kind, verdict=Verdict.FAIL, got=error.diagnostics(), expected=expected)


async def _signature(subject: Subject) -> str:
    release, distro = subject.release, subject.distro
    signed = [(release.rpms_repository, release.snapshot.digest), (distro.releases_repository, release.digest)]
    for image in release.images:
        signed += [(image.repository, digest) for digest in (image.digest, *(each.digest for each in image.manifests))]
    await asyncio.gather(*(_require(subject, repository, digest, SIGNATURE) for repository, digest in signed))
    return f"{len(signed)} digests signed by {subject.policy.speaker_of(SIGNATURE).identity}"


async def _provenance(subject: Subject) -> str:
    repository = subject.release.rpms_repository
    snapshot = await fetch_snapshot(subject.tools, repository, subject.release.snapshot.digest)

    async def check(digest: str, key: str) -> None:
        for predicate in await _require(subject, repository, digest, PROVENANCE):
            if signed_key(predicate) == key:
                return
        raise Refused("the provenance is of another build", where=f"{repository}@{digest}", expected=f"build key {key}")

    await asyncio.gather(*(check(each.digest, each.annotations[builds.KEY]) for each in snapshot.builds))
    return f"{len(snapshot.builds)} builds with provenance by {subject.policy.speaker_of(PROVENANCE).identity}"


async def _sbom(subject: Subject) -> str:
    images = subject.release.images
    manifests = [(image.repository, each.digest) for image in images for each in image.manifests]
    await asyncio.gather(*(_require(subject, repository, digest, SPDX) for repository, digest in manifests))
    return f"{len(manifests)} images with an SPDX SBOM"


async def _closure(subject: Subject) -> str:
    release = subject.release
    snapshot = await fetch_snapshot(subject.tools, release.rpms_repository, release.snapshot.digest)
    built = await fetch_builds(subject.tools, release.rpms_repository, snapshot)
    published = {rpm.digest for build in built for rpm in build.rpms}
    for image in release.images:
        for manifest in image.manifests:
            for predicate in await _require(subject, image.repository, manifest.digest, SPDX):
                strangers = _packages_of(predicate) - published
                if strangers:
                    raise Refused(
                        "an image holds packages that are not in the snapshot",
                        where=f"{image.repository}@{manifest.digest}",
                        got=", ".join(sorted(strangers)[:5]),
                    )
    missing = await unclosed(subject.tools, release.rpms_repository, snapshot)
    if missing:
        raise Refused(
            "the snapshot is not closed under dependencies",
            where=f"{release.rpms_repository}@{release.snapshot.digest}",
            got="\n       ".join(missing[:10]),
            hint="add the package that provides it, or drop the requirement",
        )
    return f"{len(published)} packages, nothing missing"


async def _ancestry(subject: Subject) -> str:
    commit, current = subject.release.source.commit, subject.channel.current
    if current is None:
        return "the channel's first release"
    before = (await fetch_release(subject.tools, subject.distro, current.digest)).source.commit
    repository = subject.tools.repository
    if not await asyncio.to_thread(repository.is_ancestor, before, commit):
        base = await asyncio.to_thread(repository.merge_base, before, commit)
        raise Refused(
            "the release does not contain what the channel has now",
            got=f"commit {commit[:12]}",
            expected=f"a descendant of {before[:12]} ({current.alias})",
            hint=_after_a_force_push(subject.channel.channel, base),
        )
    return f"{commit[:12]} descends from {before[:12]}"


def _after_a_force_push(channel: str, base: str | None) -> str:
    """What a person does who wants a rewritten history; nobody and nothing does it for them (decision 0014)."""
    older = f"{base[:12]} or older" if base else "a commit of this history"
    return (
        f"was the branch force-pushed? slipway rollback {channel} --to <a release of {older}> --reason ..., "
        f"then slipway promote {channel} <this release>"
    )


async def _require(
    subject: Subject, repository: str, digest: str, predicate_type: str
) -> tuple[dict[str, object], ...]:
    proofs = await proofs_of(subject.tools, repository, digest, predicate_type, policy=subject.policy)
    if not proofs:
        speaker = subject.policy.speaker_of(predicate_type)
        raise Refused(
            "nothing that verifies says this",
            where=f"{repository}@{digest}",
            got="no such bundle among the referrers",
            expected=f"{predicate_type} by {speaker.identity} (issuer {speaker.issuer})",
        )
    return tuple(predicate for _, predicate in proofs)


def _packages_of(predicate: dict[str, object]) -> set[str]:
    """Digests of the RPMs that an SPDX document lists: packages with a purl of the type rpm."""
    packages = predicate.get("packages")
    found: set[str] = set()
    for package in packages if isinstance(packages, list) else ():
        references = str(package.get("externalRefs", ""))
        if "pkg:rpm/" in references:
            found |= {f"sha256:{each['checksumValue']}" for each in package.get("checksums", ())}
    return found


_CHECKS: dict[GateKind, Check] = {
    GateKind.SIGNATURE: _signature,
    GateKind.PROVENANCE: _provenance,
    GateKind.SBOM: _sbom,
    GateKind.CLOSURE: _closure,
    GateKind.ANCESTRY: _ancestry,
}
_EXPECTED = {
    GateKind.SIGNATURE: "a signature by the release identity on the release, its snapshot and every image",
    GateKind.PROVENANCE: "SLSA provenance by the build identity on every build, about its own build key",
    GateKind.SBOM: "an SPDX SBOM by the release identity on every image",
    GateKind.CLOSURE: "every package of every image in the snapshot, every requirement provided in it",
    GateKind.ANCESTRY: "a commit that descends from the channel's current release",
}
