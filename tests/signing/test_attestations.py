"""Statements: the exact bytes that are signed, what they claim and do not claim, and the referrer that carries them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sigstore.dsse import Statement

from release import oci
from release.digests import canonical_json
from release.errors import Refused
from release.product.builds import Build, Rpm
from signing.attestations import (
    BUILD_TYPE,
    IMPORT_TYPE,
    Recipe,
    Run,
    bundle_referrer,
    import_statement,
    provenance_statement,
    sbom_statement,
    signature_statement,
    vsa_statement,
)
from signing.policy import Trust
from signing.statements import FAILED, PASSED, PROVENANCE, SIGNATURE, SPDX, VSA, Resource, Subject, statement

DIGEST, KEY = "sha256:" + "5" * 64, "sha256:" + "6" * 64
MANIFEST = oci.Descriptor(media_type=oci.MANIFEST, digest=DIGEST, size=321)
NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)


def rpm(name: str, digit: str) -> Rpm:
    return Rpm(file=f"{name}-1.0-1.sk1.x86_64.rpm", digest="sha256:" + digit * 64, size=10, header_digest=digit * 64)


BUILD = Build(package="keel", evr="1.0-1.sk1", arch="x86_64", key=KEY, rpms=(rpm("keel-devel", "b"), rpm("keel", "a")))
RUN = Run(
    builder="https://slipway.example/skiff/builder",
    invocation="flow-run/0b1c",
    started=NOW,
    finished=NOW + timedelta(seconds=90),
    trust=Trust.EMBEDDED,
    log=Resource(uri="oci://registry.example/skiff/rpms@sha256:" + "c" * 64, digests={"sha256": "c" * 64}, name="log"),
)
RECIPE = Recipe(
    repository="https://git.example/skiff.git",
    ref="refs/heads/stable",
    commit="d" * 40,
    spec="SPECS/keel/keel.spec",
    sources=(Resource(uri="https://keel.example/keel-1.0.tar.gz", digests={"sha256": "e" * 64}),),
    build_root=(
        Resource(uri="pkg:rpm/skiff/make@4.4", digests={"sha256": "2" * 64}, annotations={"origin": "stage0"}),
        Resource(uri="pkg:rpm/skiff/gcc@14", digests={"sha256": "1" * 64}, annotations={"origin": "stage0"}),
    ),
    image=Resource(uri="oci://local/toolchain", digests={"sha256": "f" * 64}, name="builder image"),
)


def parsed(said: bytes) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(said)
    return whole


def test_a_signature_says_this_digest_is_ours_and_nothing_else() -> None:
    assert parsed(signature_statement(DIGEST)) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "", "digest": {"sha256": "5" * 64}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }


def test_an_sbom_statement_holds_the_document() -> None:
    said = parsed(sbom_statement(DIGEST, {"spdxVersion": "SPDX-2.3", "packages": []}))
    assert said["predicateType"] == "https://spdx.dev/Document"
    assert said["predicate"] == {"spdxVersion": "SPDX-2.3", "packages": []}


def provenance(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"build": BUILD, "manifest": DIGEST, "recipe": RECIPE, "run": RUN, **changes}
    return parsed(provenance_statement(**given))


def test_provenance_is_about_every_rpm_of_a_build_and_its_manifest() -> None:
    assert provenance()["subject"] == [
        {"name": "", "digest": {"sha256": "5" * 64}},
        {"name": "keel-1.0-1.sk1.x86_64.rpm", "digest": {"sha256": "a" * 64}},
        {"name": "keel-devel-1.0-1.sk1.x86_64.rpm", "digest": {"sha256": "b" * 64}},
    ]


def test_provenance_names_everything_that_decided_the_build() -> None:
    definition = provenance()["predicate"]["buildDefinition"]
    assert definition["buildType"] == BUILD_TYPE == "https://slipway.dev/buildtypes/rpm/v1"
    assert definition["externalParameters"] == {
        "repository": "https://git.example/skiff.git",
        "ref": "refs/heads/stable",
        "commit": "d" * 40,
        "spec": "SPECS/keel/keel.spec",
        "package": "keel",
        "evr": "1.0-1.sk1",
        "arch": "x86_64",
        "buildKey": KEY,
    }
    assert [each["uri"] for each in definition["resolvedDependencies"]] == [
        "git+https://git.example/skiff.git@refs/heads/stable",
        "https://keel.example/keel-1.0.tar.gz",
        "oci://local/toolchain",
        "pkg:rpm/skiff/gcc@14",
        "pkg:rpm/skiff/make@4.4",
    ]
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": "d" * 40}
    assert definition["resolvedDependencies"][3]["annotations"] == {"origin": "stage0"}


def test_provenance_tells_the_run_and_the_log() -> None:
    details = provenance()["predicate"]["runDetails"]
    assert details["builder"] == {"id": "https://slipway.example/skiff/builder"}
    assert details["metadata"] == {
        "invocationId": "flow-run/0b1c",
        "startedOn": "2026-11-23T10:00:00Z",
        "finishedOn": "2026-11-23T10:01:30Z",
    }
    assert [each["name"] for each in details["byproducts"]] == ["log"]


@pytest.mark.parametrize("trust", list(Trust))
def test_provenance_says_which_trust_it_has_and_claims_no_level(trust: Trust) -> None:
    said = provenance(run=replace(RUN, trust=trust))
    assert said["predicate"]["buildDefinition"]["internalParameters"] == {"trust": trust.value}
    assert "LEVEL" not in json.dumps(said).upper()


def test_an_import_is_no_build() -> None:
    origin = Resource(uri="pkg:deb/debian/zlib1g@1.3", digests={"sha256": "9" * 64})
    said = parsed(import_statement(build=replace(BUILD, origin="stage0"), manifest=DIGEST, materials=[origin], run=RUN))
    definition = said["predicate"]["buildDefinition"]
    assert said["predicateType"] == PROVENANCE
    assert definition["buildType"] == IMPORT_TYPE != BUILD_TYPE
    assert definition["externalParameters"]["origin"] == "stage0"
    assert definition["externalParameters"]["buildKey"] == KEY
    assert definition["resolvedDependencies"] == [origin.to_json()]


def verdict(result: str) -> bytes:
    return vsa_statement(
        digest=DIGEST,
        resource_uri="oci://registry.example/skiff/releases:stable",
        verifier="https://slipway.example/skiff/promoter",
        policy=Resource(uri="git+https://git.example/skiff.git", digests={"gitCommit": "a" * 40}),
        inputs=[Resource(uri="oci://registry.example/x", digests={"sha256": "b" * 64})],
        verdict=result,
        verified=NOW,
    )


@pytest.mark.parametrize(("result", "level"), [(PASSED, "SLSA_BUILD_LEVEL_UNEVALUATED"), (FAILED, "FAILED")])
def test_a_verdict_is_a_verification_summary_that_claims_no_level(result: str, level: str) -> None:
    said = parsed(verdict(result))
    assert said["predicateType"] == VSA
    assert said["predicate"] == {
        "verifier": {"id": "https://slipway.example/skiff/promoter"},
        "timeVerified": "2026-11-23T10:00:00Z",
        "resourceUri": "oci://registry.example/skiff/releases:stable",
        "policy": {"uri": "git+https://git.example/skiff.git", "digest": {"gitCommit": "a" * 40}},
        "inputAttestations": [{"uri": "oci://registry.example/x", "digest": {"sha256": "b" * 64}}],
        "verificationResult": result,
        "verifiedLevels": [level],
        "slsaVersion": "1.0",
    }


@pytest.mark.parametrize("result", ["", "passed", "PENDING", "UNKNOWN"])
def test_there_are_two_verdicts(result: str) -> None:
    with pytest.raises(Refused, match="not a verdict"):
        verdict(result)


def test_equal_facts_give_equal_bytes_in_whatever_order_they_came() -> None:
    shuffled = replace(RECIPE, build_root=RECIPE.build_root[::-1])
    turned = replace(BUILD, rpms=BUILD.rpms[::-1])
    elsewhere = replace(RUN, started=NOW.astimezone(timezone(timedelta(hours=5))))
    one = provenance_statement(build=BUILD, manifest=DIGEST, recipe=RECIPE, run=RUN)
    assert provenance_statement(build=turned, manifest=DIGEST, recipe=shuffled, run=elsewhere) == one
    assert canonical_json(parsed(one)) == one


def test_every_statement_is_one_that_sigstore_signs() -> None:
    for said in (
        signature_statement(DIGEST),
        sbom_statement(DIGEST, {}),
        verdict(PASSED),
        provenance_statement(build=BUILD, manifest=DIGEST, recipe=RECIPE, run=RUN),
    ):
        Statement(said)


def test_a_statement_about_nothing_or_about_no_digest_is_refused() -> None:
    with pytest.raises(Refused, match="about nothing"):
        statement([], SIGNATURE, {})
    for digest in ("", "5" * 64, "sha256:" + "5" * 63, "sha512:" + "5" * 128, "sha256:" + "G" * 64):
        with pytest.raises(Refused, match="not a sha256 digest"):
            statement([Subject(digest=digest)], SIGNATURE, {})


def bundle(said: bytes) -> bytes:
    """As much of a bundle as a referrer looks at; the verifier looks at the rest."""
    envelope = {"payload": base64.b64encode(said).decode(), "payloadType": "application/vnd.in-toto+json"}
    return json.dumps({"mediaType": oci.BUNDLE, "dsseEnvelope": envelope}).encode()


def referrer(said: bytes, kind: str = SIGNATURE, subject: oci.Descriptor = MANIFEST) -> oci.Document:
    return bundle_referrer(bundle(said), subject=subject, predicate_type=kind, created=NOW)


def test_a_referrer_has_the_form_that_cosign_writes() -> None:
    carried = bundle(signature_statement(DIGEST))
    document = referrer(signature_statement(DIGEST))
    assert document.json() == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "size": 2,
        },
        "layers": [oci.blob(carried, oci.BUNDLE).to_json()],
        "subject": {"mediaType": oci.MANIFEST, "digest": DIGEST, "size": 321},
        "annotations": {
            "org.opencontainers.image.created": "2026-11-23T10:00:00Z",
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
        },
    }


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (sbom_statement(DIGEST, {}), SPDX),
        (verdict(PASSED), VSA),
        (provenance_statement(build=BUILD, manifest=DIGEST, recipe=RECIPE, run=RUN), PROVENANCE),
    ],
    ids=["sbom", "verdict", "provenance"],
)
def test_every_kind_travels_alike(said: bytes, kind: str) -> None:
    assert referrer(said, kind).annotations["dev.sigstore.bundle.predicateType"] == kind


def test_a_failed_verdict_never_becomes_a_referrer() -> None:
    with pytest.raises(Refused, match="only a passed verdict") as refusal:
        referrer(verdict(FAILED), VSA)
    assert refusal.value.got == "FAILED"
    missing = statement([Subject(digest=DIGEST)], VSA, {})
    with pytest.raises(Refused, match="only a passed verdict"):
        referrer(missing, VSA)


def test_a_failed_verdict_cannot_pass_as_something_else() -> None:
    for kind in (SIGNATURE, SPDX, PROVENANCE):
        with pytest.raises(Refused, match="another statement") as refusal:
            referrer(verdict(FAILED), kind)
        assert refusal.value.got == VSA


def test_a_bundle_is_attached_only_to_what_it_is_about() -> None:
    with pytest.raises(Refused, match="about something else"):
        referrer(signature_statement(KEY))
    of_an_rpm = oci.Descriptor(media_type=oci.MANIFEST, digest="sha256:" + "a" * 64, size=1)
    said = provenance_statement(build=BUILD, manifest=DIGEST, recipe=RECIPE, run=RUN)
    assert referrer(said, PROVENANCE, of_an_rpm)


@pytest.mark.parametrize(
    "make",
    [
        lambda good: b"",
        lambda good: b"{}",
        lambda good: b"[]",
        lambda good: b"null",
        lambda good: good[:-5],
        lambda good: bundle(b""),
        lambda good: bundle(b"null"),
        lambda good: bundle(b'{"predicateType": "x"}'),
        lambda good: bundle(b'{"predicateType": "x", "predicate": {}, "subject": [{"digest": "x"}]}'),
        lambda good: bundle(b'{"predicateType": "x", "predicate": {}, "subject": [null]}'),
        lambda good: bundle(b'{"predicateType": ["x"], "predicate": {}, "subject": []}'),
        lambda good: bundle(b'{"predicateType": "x", "predicate": [], "subject": []}'),
        lambda good: good.replace(b'"payload": "', b'"payload": "!'),
    ],
)
def test_refuses_to_carry_what_is_no_bundle(make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Refused, match="not a bundle"):
        bundle_referrer(
            make(bundle(signature_statement(DIGEST))), subject=MANIFEST, predicate_type=SIGNATURE, created=NOW
        )
