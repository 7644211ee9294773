"""What we say: signatures, provenance, verdicts and SBOMs as statements, and the referrer that carries a bundle.

Sources: SLSA v1.0 (provenance.md, verification_summary.md); `docs/provenance.md` for our build types; cosign 3,
`pkg/oci/remote/write.go`, for the manifest of a bundle.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from release import oci
from release.digests import hex_of
from release.errors import Refused
from release.product.builds import Build
from signing.policy import Trust
from signing.statements import (
    FAILED,
    PASSED,
    PROVENANCE,
    SIGNATURE,
    SPDX,
    VSA,
    Resource,
    Subject,
    statement,
    timestamp,
)

BUILD_TYPE = "https://slipway.dev/buildtypes/rpm/v1"
IMPORT_TYPE = "https://slipway.dev/buildtypes/rpm-import/v1"
# SLSA v1.1, SlsaResult: what a verdict says that examined something else than SLSA's levels.
_LEVELS = {PASSED: "SLSA_BUILD_LEVEL_UNEVALUATED", FAILED: "FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the builder, as the control plane saw it. `builder` and `invocation` are URIs or ids of ours.

    `trust` is written down as it is, so that nobody takes a laptop's build for more; no SLSA level is claimed.
    """

    builder: str
    invocation: str
    started: datetime
    finished: datetime
    trust: Trust
    log: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a package was built from: the spec at a commit, and every input that the sealed build could see."""

    repository: str
    ref: str
    commit: str
    spec: str
    sources: tuple[Resource, ...]
    build_root: tuple[Resource, ...]
    image: Resource


def signature_statement(digest: str) -> bytes:
    """The statement of a cosign signature: this manifest is ours, and nothing else."""
    return statement([Subject(digest=digest)], SIGNATURE, {})


def sbom_statement(digest: str, document: Mapping[str, Any]) -> bytes:
    """The SPDX document of an image or a build."""
    return statement([Subject(digest=digest)], SPDX, document)


def provenance_statement(*, build: Build, manifest: str, recipe: Recipe, run: Run) -> bytes:
    """SLSA provenance of one source build, about all its RPMs and its build `manifest` (a digest)."""
    commit = Resource(uri=f"git+{recipe.repository}@{recipe.ref}", digests={"gitCommit": recipe.commit})
    parameters = {
        **_package(build),
        "repository": recipe.repository,
        "ref": recipe.ref,
        "commit": recipe.commit,
        "spec": recipe.spec,
    }
    materials = (commit, *_ordered(recipe.sources), recipe.image, *_ordered(recipe.build_root))
    return _provenance(BUILD_TYPE, build, manifest, parameters, materials, run)


def import_statement(*, build: Build, manifest: str, materials: Sequence[Resource], run: Run) -> bytes:
    """SLSA provenance of a package that was converted from `materials` (packages of another distribution)."""
    parameters = {**_package(build), "origin": build.origin}
    return _provenance(IMPORT_TYPE, build, manifest, parameters, _ordered(materials), run)


def vsa_statement(
    *,
    digest: str,
    resource_uri: str,
    verifier: str,
    policy: Resource,
    inputs: Sequence[Resource],
    verdict: str,
    verified: datetime,
) -> bytes:
    """The verdict of a promotion: a SLSA verification summary of the release `digest`, offered at `resource_uri`.

    `verifier` is the URI of who decided, `policy` the policy file, `inputs` exactly the bundles that were read.
    It evaluates the channel's policy and claims no SLSA level.
    """
    if verdict not in _LEVELS:
        raise Refused("not a verdict", got=verdict, expected=f"{PASSED} or {FAILED}")
    predicate = {
        "verifier": {"id": verifier},
        "timeVerified": timestamp(verified),
        "resourceUri": resource_uri,
        "policy": policy.to_json(),
        "inputAttestations": [each.to_json() for each in inputs],
        "verificationResult": verdict,
        "verifiedLevels": [_LEVELS[verdict]],
        "slsaVersion": "1.0",
    }
    return statement([Subject(digest=digest)], VSA, predicate)


def bundle_referrer(bundle: bytes, *, subject: oci.Descriptor, predicate_type: str, created: datetime) -> oci.Document:
    """The manifest that makes a bundle a referrer of `subject`, in the form that cosign 3 finds and accepts.

    `Refused` when the bundle says something else than the caller thinks, and for every verdict but a passed one:
    `cosign verify` counts any statement of a trusted identity as a signature, a FAILED verdict too.
    """
    said = _statement_in(bundle)
    if said["predicateType"] != predicate_type:
        raise Refused("the bundle holds another statement", got=said["predicateType"], expected=predicate_type)
    if hex_of(subject.digest) not in [each["digest"].get("sha256") for each in said["subject"]]:
        raise Refused("the bundle is about something else", got=said["subject"], expected=subject.digest)
    verdict = said["predicate"].get("verificationResult")
    if predicate_type == VSA and verdict != PASSED:
        raise Refused(
            "only a passed verdict may become a referrer",
            got=verdict,
            expected=PASSED,
            hint="keep a failed verdict with the decision, not beside the release",
        )
    return oci.manifest(
        artifact_type=oci.BUNDLE,
        layers=[oci.blob(bundle, oci.BUNDLE)],
        subject=subject,
        annotations={
            "org.opencontainers.image.created": timestamp(created),
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
        },
    )


def _package(build: Build) -> dict[str, str]:
    return {"package": build.package, "evr": build.evr, "arch": build.arch, "buildKey": build.key}


def _ordered(resources: Sequence[Resource]) -> tuple[Resource, ...]:
    return tuple(sorted(resources, key=lambda each: (each.uri, each.name)))


def _provenance(
    build_type: str,
    build: Build,
    manifest: str,
    parameters: Mapping[str, str],
    materials: Sequence[Resource],
    run: Run,
) -> bytes:
    rpms = sorted(build.rpms, key=lambda rpm: rpm.file)
    subjects = [Subject(digest=manifest), *(Subject(digest=rpm.digest, name=rpm.file) for rpm in rpms)]
    predicate = {
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": dict(parameters),
            "internalParameters": {"trust": run.trust},
            "resolvedDependencies": [each.to_json() for each in materials],
        },
        "runDetails": {
            "builder": {"id": run.builder},
            "metadata": {
                "invocationId": run.invocation,
                "startedOn": timestamp(run.started),
                "finishedOn": timestamp(run.finished),
            },
            "byproducts": [run.log.to_json()],
        },
    }
    return statement(subjects, PROVENANCE, predicate)


def _statement_in(bundle: bytes) -> dict[str, Any]:
    """The statement a bundle claims to hold; only its form is checked here, the verifier checks the rest."""
    try:
        said = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"], validate=True))
        if not isinstance(said["predicateType"], str) or not isinstance(said["predicate"], dict):
            raise TypeError("predicateType and predicate")
        if not all(isinstance(each["digest"], dict) for each in said["subject"]):
            raise TypeError("subject")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("not a bundle with an in-toto statement", got=repr(bundle[:80]), expected=error) from error
    return dict(said)
