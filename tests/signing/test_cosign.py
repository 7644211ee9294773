"""Cosign, which shares no line with us, is the judge: what we sign it accepts, what it signs we accept."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from release import oci
from release.digests import digest_of
from release.errors import Error, Refused
from release.tools.debian_tools import fetch_tool
from signing.attestations import bundle_referrer, sbom_statement, signature_statement
from signing.policy import Role
from signing.statements import PROVENANCE, SIGNATURE, SPDX, Subject, statement
from signing.verifier import Verifier
from tests.conftest import STATE
from tests.signing.conftest import DIGEST, IDENTITY, Sigstore, changed

pytestmark = pytest.mark.integration
REPOSITORY = "skiff/base"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def cosign() -> Path:
    try:
        return asyncio.run(fetch_tool("cosign", "sid", STATE / "tools"))
    except Error as error:
        pytest.skip(f"cosign 3 cannot be fetched from Debian: {error.diagnostics()}")


class Pusher:
    """The least that puts an image and its referrers into a registry without the Referrers API."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/v2/{REPOSITORY}/", trust_env=False)
        self.registry = url.removeprefix("http://")

    def blob(self, content: bytes, media_type: str) -> oci.Descriptor:
        described = oci.blob(content, media_type)
        place = self.http.base_url.join(self.http.post("blobs/uploads/").raise_for_status().headers["location"])
        self.http.put(place.copy_merge_params({"digest": described.digest}), content=content).raise_for_status()
        return described

    def document(self, document: oci.Document, reference: str) -> None:
        headers = {"content-type": document.media_type}
        self.http.put(f"manifests/{reference}", content=document.raw, headers=headers).raise_for_status()

    def image(self, name: str) -> oci.Descriptor:
        config = self.blob(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}', oci.IMAGE_CONFIG)
        image = oci.manifest(config=config, layers=[], annotations={oci.TITLE: name})
        self.document(image, image.digest)
        return image.descriptor

    def attach(self, subject: oci.Descriptor, *bundles: tuple[bytes, str]) -> None:
        self.blob(oci.EMPTY_CONTENT, oci.EMPTY)
        referrers = []
        for bundle, kind in bundles:
            self.blob(bundle, oci.BUNDLE)
            referrers.append(bundle_referrer(bundle, subject=subject, predicate_type=kind, created=NOW))
            self.document(referrers[-1], referrers[-1].digest)
        fallback = oci.index(manifests=[each.descriptor for each in referrers])
        self.document(fallback, subject.digest.replace(":", "-"))


class Cosign:
    """Cosign as a consumer calls it, on one image."""

    def __init__(self, program: Path, sigstore: Sigstore, pusher: Pusher, image: oci.Descriptor) -> None:
        self._program, self._sigstore = program, sigstore
        self._reference = f"{pusher.registry}/{REPOSITORY}@{image.digest}"

    def __call__(self, *command: str, identity: str, issuer: str | None = None) -> subprocess.CompletedProcess[str]:
        return cosign_run(
            self._program,
            *command,
            "--trusted-root", str(self._sigstore.folder.trusted_root),
            "--certificate-identity", identity,
            "--certificate-oidc-issuer", issuer or self._sigstore.issuer,
            self._reference,
        )  # fmt: skip


def cosign_run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env={"HOME": "/nonexistent"})


@pytest.fixture
def pusher(registry_url: str) -> Pusher:
    return Pusher(registry_url)


def test_accepts_our_signature_of_an_image(cosign: Path, sigstore: Sigstore, pusher: Pusher) -> None:
    image = pusher.image("signed")
    (bundle,) = sigstore.signer(Role.SIGN).sign_statements([signature_statement(image.digest)])
    pusher.attach(image, (bundle, SIGNATURE))
    done = Cosign(cosign, sigstore, pusher, image)("verify", identity=f"{IDENTITY}/sign")
    assert done.returncode == 0, done.stderr
    (claim,) = json.loads(done.stdout)
    assert claim["critical"]["image"]["docker-manifest-digest"] == image.digest


@pytest.mark.parametrize(
    ("identity", "issuer"),
    [(f"{IDENTITY}/build", None), (f"{IDENTITY}/sign", "https://issuer.example"), (f"{IDENTITY}/sig", None)],
)
def test_refuses_our_signature_for_anybody_else(
    cosign: Path, sigstore: Sigstore, pusher: Pusher, identity: str, issuer: str | None
) -> None:
    image = pusher.image("signed-by-another")
    (bundle,) = sigstore.signer(Role.SIGN).sign_statements([signature_statement(image.digest)])
    pusher.attach(image, (bundle, SIGNATURE))
    done = Cosign(cosign, sigstore, pusher, image)("verify", identity=identity, issuer=issuer)
    assert done.returncode != 0
    assert "no matching CertificateIdentity found" in done.stderr


def test_refuses_an_image_that_nobody_signed(cosign: Path, sigstore: Sigstore, pusher: Pusher) -> None:
    done = Cosign(cosign, sigstore, pusher, pusher.image("unsigned"))("verify", identity=f"{IDENTITY}/sign")
    assert done.returncode != 0
    assert "no signatures found" in done.stderr


def test_refuses_the_signature_of_another_image(cosign: Path, sigstore: Sigstore, pusher: Pusher) -> None:
    image, other = pusher.image("one"), pusher.image("other")
    (bundle,) = sigstore.signer(Role.SIGN).sign_statements([signature_statement(other.digest)])
    # by hand, because bundle_referrer refuses to make this lie
    pusher.blob(oci.EMPTY_CONTENT, oci.EMPTY)
    lie = oci.manifest(artifact_type=oci.BUNDLE, layers=[pusher.blob(bundle, oci.BUNDLE)], subject=image)
    pusher.document(lie, lie.digest)
    pusher.document(oci.index(manifests=[lie.descriptor]), image.digest.replace(":", "-"))
    assert Cosign(cosign, sigstore, pusher, image)("verify", identity=f"{IDENTITY}/sign").returncode != 0


ENTRY = ("verificationMaterial", "tlogEntries", 0)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("dsseEnvelope", "signatures", 0, "sig"), lambda old: old[:-8] + "AAAAAAA="),
        ((*ENTRY, "inclusionProof", "checkpoint", "envelope"), lambda old: old[:-8] + "AAAAAA=\n"),
        ((*ENTRY, "inclusionProof", "hashes"), lambda old: old[1:]),
        (("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps"), []),
    ],
    ids=["signature", "checkpoint", "proof", "timestamp"],
)
def test_refuses_a_signature_that_was_tampered_with(
    cosign: Path, sigstore: Sigstore, pusher: Pusher, place: tuple[str | int, ...], value: Any
) -> None:
    image = pusher.image(f"tampered {place}")
    (bundle,) = sigstore.signer(Role.SIGN).sign_statements([signature_statement(image.digest)])
    pusher.attach(image, (changed(bundle, *place, to=value), SIGNATURE))
    assert Cosign(cosign, sigstore, pusher, image)("verify", identity=f"{IDENTITY}/sign").returncode != 0


def test_tells_provenance_from_an_sbom_of_the_same_image(cosign: Path, sigstore: Sigstore, pusher: Pusher) -> None:
    image = pusher.image("attested")
    subjects = [Subject(digest=DIGEST, name="keel.rpm"), Subject(digest=image.digest)]
    provenance = statement(subjects, PROVENANCE, {"buildDefinition": {}, "runDetails": {}})
    (built,) = sigstore.signer(Role.BUILD).sign_statements([provenance])
    (listed,) = sigstore.signer(Role.SIGN).sign_statements([sbom_statement(image.digest, {"spdxVersion": "SPDX-2.3"})])
    pusher.attach(image, (built, PROVENANCE), (listed, SPDX))
    ask = Cosign(cosign, sigstore, pusher, image)
    assert ask("verify-attestation", "--type", "slsaprovenance1", identity=f"{IDENTITY}/build").returncode == 0
    assert ask("verify-attestation", "--type", "spdxjson", identity=f"{IDENTITY}/sign").returncode == 0
    assert ask("verify-attestation", "--type", "spdxjson", identity=f"{IDENTITY}/build").returncode != 0


def test_a_build_signer_makes_no_image_signed_for_those_who_trust_the_sign_role(
    cosign: Path, sigstore: Sigstore, pusher: Pusher
) -> None:
    """The trap that roles are for: for its identity, `cosign verify` takes any statement as a signature."""
    image = pusher.image("provenance-only")
    (built,) = sigstore.signer(Role.BUILD).sign_statements([statement([Subject(digest=image.digest)], PROVENANCE, {})])
    pusher.attach(image, (built, PROVENANCE))
    ask = Cosign(cosign, sigstore, pusher, image)
    assert ask("verify", identity=f"{IDENTITY}/sign").returncode != 0
    assert ask("verify", identity=f"{IDENTITY}/build").returncode == 0


def attested(cosign: Path, sigstore: Sigstore, folder: Path) -> tuple[bytes, str]:
    """A bundle that cosign made with our services, and the digest it is about."""
    artifact, said, token, bundle = (folder / name for name in ("artifact", "statement", "token", "bundle"))
    artifact.write_bytes(b"an artifact")
    said.write_bytes(sbom_statement(digest_of(b"an artifact"), {"spdxVersion": "SPDX-2.3"}))
    token.write_text(sigstore.token(Role.SIGN).token())
    done = cosign_run(
        cosign, "attest-blob", "--yes",
        "--signing-config", sigstore.folder.signing_config,
        "--trusted-root", sigstore.folder.trusted_root,
        "--identity-token", token,
        "--statement", said,
        "--bundle", bundle, artifact,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return bundle.read_bytes(), digest_of(artifact.read_bytes())


def test_signs_with_our_services_and_we_verify_it(
    cosign: Path, sigstore: Sigstore, verifier: Verifier, tmp_path: Path
) -> None:
    bundle, digest = attested(cosign, sigstore, tmp_path)
    said: Any = verifier.verify_said(bundle, subject_digest=digest, predicate_type=SPDX, policy=sigstore.policy)
    assert said["spdxVersion"] == "SPDX-2.3"
    with pytest.raises(Refused, match="not verified"):
        verifier.verify_said(bundle, subject_digest=digest, predicate_type=SIGNATURE, policy=sigstore.policy)
