"""Signs what was pushed: statements become bundles, bundles become referrers, and each is read back and verified."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from release import oci
from release.errors import Broken, Refused
from signing.attestations import bundle_referrer
from signing.policy import Policy, Role

if TYPE_CHECKING:
    from tasks.wiring import Tools

BUNDLE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something to be said about a pushed document: who says it (role), what kind, and the in-toto statement.

    `about` are the items of the predicate that tell it from other statements of its kind about the same document.
    """

    repository: str
    subject: oci.Descriptor
    role: Role
    predicate_type: str
    statement: bytes
    about: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


async def sign(tools: Tools, claims: Sequence[Claim], *, policy: Policy) -> tuple[str, ...]:
    """Make every claim true in the registry; the digest of each one's referrer, in order.

    A claim that is proven already is not signed again, so a killed run continues. Nothing returns before every
    bundle was fetched back and verified by code that signs nothing: only then may a tag move.
    """
    found = await asyncio.gather(*(proven(tools, each, policy=policy) for each in claims))
    missing = [claim for claim, proof in zip(claims, found, strict=True) if proof is None]
    for role in Role:
        batch = [claim for claim in missing if claim.role is role]
        if batch:
            statements = [claim.statement for claim in batch]
            bundles = await asyncio.to_thread(tools.signer(role).sign_statements, statements)
            await asyncio.gather(*(_attach(tools, *pair) for pair in zip(batch, bundles, strict=True)))
    proofs = await asyncio.gather(*(proven(tools, each, policy=policy) for each in claims))
    for claim, proof in zip(claims, proofs, strict=True):
        if proof is None:
            raise Broken(
                "a signature that was just attached is not found or does not verify",
                where=f"{claim.repository}@{claim.subject.digest}",
                expected=claim.predicate_type,
                hint="does the registry keep referrers? run the command again",
            )
    return tuple(proof for proof in proofs if proof is not None)


async def proven(tools: Tools, claim: Claim, *, policy: Policy) -> str | None:
    """The digest of a referrer that proves what the claim says about its subject, None where there is none."""
    for digest, predicate in await proofs_of(
        tools, claim.repository, claim.subject.digest, claim.predicate_type, policy=policy
    ):
        if claim.about.items() <= predicate.items():
            return digest
    return None


async def proofs_of(
    tools: Tools, repository: str, subject: str, predicate_type: str, *, policy: Policy
) -> tuple[tuple[str, dict[str, object]], ...]:
    """(referrer digest, predicate) of every bundle of this type on a subject that verifies under the policy.

    What does not verify does not count; that a bad bundle lies beside a good one is no reason to fail.
    """
    good = []
    for referrer in await tools.registry.referrers(repository, subject):
        said = referrer.annotations.get("dev.sigstore.bundle.predicateType")
        if said not in (None, predicate_type):
            continue
        bundle = await bundle_of(tools, repository, referrer.digest)
        if bundle is None:
            continue
        try:
            predicate = tools.verifier.verify_said(
                bundle, subject_digest=subject, predicate_type=predicate_type, policy=policy
            )
        except Refused:
            continue
        good.append((referrer.digest, dict(predicate)))
    return tuple(good)


async def bundle_of(tools: Tools, repository: str, referrer: str) -> bytes | None:
    """The bundle inside a referrer, None when the referrer is something else."""
    document = await tools.registry.pull_document(repository, referrer)
    layers = document.layers if document and document.media_type == oci.MANIFEST else ()
    if len(layers) != 1 or layers[0].media_type != oci.BUNDLE:
        return None
    return await tools.registry.pull_blob(repository, layers[0].digest, limit_bytes=BUNDLE_BYTES)


async def _attach(tools: Tools, claim: Claim, bundle: bytes) -> None:
    document = bundle_referrer(
        bundle, subject=claim.subject, predicate_type=claim.predicate_type, created=datetime.now(UTC)
    )
    await tools.registry.push_blob(claim.repository, bundle)
    await tools.registry.push_document(claim.repository, document)
