"""What proves nothing must not pass: each bundle here is one lie away from a good one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sigstore.models import Bundle
from sigstore.verify import Verifier as SigstoreVerifier
from sigstore.verify.policy import Identity

from release.errors import Error, Refused
from signing.attestations import sbom_statement, signature_statement, vsa_statement
from signing.embedded.log import Log
from signing.policy import Policy, Trust
from signing.statements import FAILED, PASSED, PAYLOAD, SIGNATURE, SPDX, VSA, Resource
from signing.trust import TrustFile
from signing.verifier import MAX_BUNDLE, Verifier
from tests.signing.conftest import DIGEST, IDENTITY, changed
from tests.signing.forge import Forge

OTHER_DIGEST = "sha256:" + "6" * 64
MATERIAL = "verificationMaterial"
ENTRY = (MATERIAL, "tlogEntries", 0)
PROOF = (*ENTRY, "inclusionProof")
STAMP = (MATERIAL, "timestampVerificationData", "rfc3161Timestamps")
ENVELOPE = "dsseEnvelope"


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge.at(tmp_path_factory.mktemp("forge") / "state")


@pytest.fixture(scope="module")
def verifier(forge: Forge) -> Verifier:
    return forge.verifier()


@pytest.fixture(scope="module")
def good(forge: Forge) -> bytes:
    """A bundle that is fine. Entries before it make a proof with hashes to tamper with."""
    for number in range(4):
        forge.instance.log.append(b"entry %d" % number)
    return forge.bundle(signature_statement(DIGEST))


def ask(verifier: Verifier, bundle: bytes, forge: Forge, **changes: str) -> Any:
    """Verify as the sign role's consumer would; `changes` alter what is expected."""
    expected = {"subject_digest": DIGEST, "identity": f"{IDENTITY}/sign", "issuer": forge.issuer}
    return verifier.verify(bundle, **{**expected, "predicate_type": SIGNATURE, **changes})


def flip(encoded: str) -> str:
    """The same base64 with one bit of its last byte changed."""
    content = bytearray(base64.b64decode(encoded))
    content[-1] ^= 1
    return base64.b64encode(content).decode()


def verdict(result: str) -> bytes:
    nothing = Resource(uri="git+https://example.com/policies", digests={"gitCommit": "a" * 40})
    return vsa_statement(
        digest=DIGEST,
        resource_uri="oci://registry.example/skiff/releases:stable",
        verifier="https://slipway.example/promoter",
        policy=nothing,
        inputs=[nothing],
        verdict=result,
        verified=datetime.now(UTC),
    )


def test_accepts_what_is_said_by_the_right_one_about_the_right_thing(
    verifier: Verifier, good: bytes, forge: Forge
) -> None:
    assert ask(verifier, good, forge) == {}
    assert (
        verifier.verify_said(
            good, subject_digest=DIGEST, predicate_type=SIGNATURE, policy=Policy.of(IDENTITY, forge.issuer)
        )
        == {}
    )


def test_gives_the_predicate_and_nothing_else(verifier: Verifier, forge: Forge) -> None:
    bundle = forge.bundle(sbom_statement(DIGEST, {"spdxVersion": "SPDX-2.3"}))
    assert ask(verifier, bundle, forge, predicate_type=SPDX) == {"spdxVersion": "SPDX-2.3"}


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"identity": f"{IDENTITY}/build"}, "SANs do not match"),
        ({"identity": f"{IDENTITY}/sig"}, "SANs do not match"),
        ({"identity": f"{IDENTITY}/sign/"}, "SANs do not match"),
        ({"identity": IDENTITY.upper()}, "SANs do not match"),
        ({"identity": ""}, "match anybody"),
        ({"issuer": "https://token.actions.githubusercontent.com"}, "OIDCIssuer does not match"),
        ({"issuer": ""}, "match anybody"),
        ({"predicate_type": SPDX}, SIGNATURE),
        ({"predicate_type": ""}, SIGNATURE),
        ({"subject_digest": OTHER_DIGEST}, "other digests"),
        ({"subject_digest": "5" * 64}, "not a sha256 digest"),
        ({"subject_digest": ""}, "not a sha256 digest"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_refuses_when_another_was_expected(
    verifier: Verifier, good: bytes, forge: Forge, changes: dict[str, str], got: str
) -> None:
    with pytest.raises(Refused) as refusal:
        ask(verifier, good, forge, **changes)
    assert got in str(refusal.value.got)
    assert refusal.value.expected and refusal.value.hint


@pytest.mark.parametrize(
    ("place", "to", "got"),
    [
        ((ENVELOPE, "payload"), flip, "invalid signature"),
        ((ENVELOPE, "payload"), "", "signature"),
        ((ENVELOPE, "payloadType"), "text/plain", "invalid signature"),
        ((ENVELOPE, "signatures", 0, "sig"), flip, "verified time"),
        ((ENVELOPE, "signatures"), [], "exactly one signature"),
        ((ENVELOPE, "signatures"), lambda old: [*old, *old], "exactly one signature"),
        ((MATERIAL, "certificate", "rawBytes"), flip, ""),
        ((MATERIAL, "certificate", "rawBytes"), "", ""),
        ((MATERIAL, "certificate"), None, "Exactly one"),
        ((MATERIAL, "tlogEntries"), [], "log entr"),
        ((MATERIAL, "tlogEntries"), lambda old: [*old, *old], "log entr"),
        ((*ENTRY, "canonicalizedBody"), flip, ""),
        ((*ENTRY, "canonicalizedBody"), base64.b64encode(b"{}").decode(), ""),
        ((*ENTRY, "kindVersion", "kind"), "intoto", "Unsupported"),
        ((*ENTRY, "kindVersion", "version"), "0.0.1", "Unsupported"),
        ((*ENTRY, "inclusionProof"), None, ""),
        ((*PROOF, "hashes", 0), flip, "invalid root hash"),
        ((*PROOF, "hashes"), lambda old: old[:-1], "wrong size"),
        ((*PROOF, "logIndex"), lambda old: str(int(old) - 1), ""),
        ((*PROOF, "treeSize"), lambda old: str(int(old) + 1), ""),
        ((*PROOF, "rootHash"), flip, "invalid root hash"),
        ((*PROOF, "checkpoint", "envelope"), lambda old: old.replace("\n6\n", "\n7\n"), "invalid signature"),
        ((*PROOF, "checkpoint", "envelope"), "", "blank line"),
        ((*PROOF, "checkpoint", "envelope"), lambda old: old.split("\n\n")[0] + "\n\n", "signature"),
        ((*ENTRY, "logId", "keyId"), lambda old: "AAAA" + old[4:], "not found for log ID"),
        ((*ENTRY, "logIndex"), "0", "log index 0"),
        ((*PROOF, "logIndex"), "0", "log index 0"),
        ((*ENTRY, "logIndex"), None, "logIndex"),
        ((*STAMP, 0, "signedTimestamp"), flip, "verified time"),
        ((*STAMP, 0, "signedTimestamp"), "AAAA", "Timestamp"),
        (STAMP, [], "must contain"),
        ((MATERIAL, "timestampVerificationData"), None, "must contain"),
        (STAMP, lambda old: old * 2, "duplicate timestamp"),
        (("mediaType",), "application/vnd.dev.sigstore.bundle.v9+json", "mediaType"),
        ((ENVELOPE,), None, ""),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_refuses_a_bundle_that_was_tampered_with(
    verifier: Verifier, good: bytes, forge: Forge, place: tuple[str | int, ...], to: Any, got: str
) -> None:
    with pytest.raises(Refused, match="not verified") as refusal:
        ask(verifier, changed(good, *place, to=to), forge)
    assert got in str(refusal.value.got)


@pytest.mark.parametrize(
    "cut",
    [
        lambda whole: b"",
        lambda whole: b"{}",
        lambda whole: b"null",
        lambda whole: b"[]",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: whole + b"x",
        lambda whole: b"\xff\xfe" + whole,
        lambda whole: whole + b" " * MAX_BUNDLE,
    ],
    ids=["empty", "no-fields", "null", "list", "half", "almost", "more", "not-text", "huge"],
)
def test_refuses_what_is_no_bundle(
    verifier: Verifier, good: bytes, forge: Forge, cut: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(Refused, match="not verified"):
        ask(verifier, cut(good), forge)


@pytest.mark.parametrize("part", [(*ENTRY,), STAMP, (MATERIAL, "certificate"), (ENVELOPE,)], ids=str)
def test_refuses_parts_of_another_good_bundle(
    verifier: Verifier, good: bytes, forge: Forge, part: tuple[str | int, ...]
) -> None:
    other: Any = json.loads(forge.bundle(sbom_statement(DIGEST, {})))
    for step in part:
        other = other[step]
    with pytest.raises(Refused, match="not verified"):
        ask(verifier, changed(good, *part, to=other), forge)


def test_a_payload_of_another_type_is_no_statement(verifier: Verifier, forge: Forge) -> None:
    bundle = forge.bundle(signature_statement(DIGEST), payload_type="text/plain")
    with pytest.raises(Refused) as refusal:
        ask(verifier, bundle, forge)
    assert PAYLOAD in str(refusal.value.got)


@pytest.mark.parametrize(
    ("said", "got"),
    [
        (b"", "JSONDecodeError"),
        (b"[]", "TypeError"),
        (b"{}", "KeyError"),
        (json.dumps({"_type": "https://in-toto.io/Statement/v0.1"}).encode(), "v0.1"),
        (signature_statement(DIGEST).replace(b'"predicate":{}', b'"predicate":[]'), "not an object"),
        (signature_statement(DIGEST).replace(b'"sha256"', b'"sha512"'), "other digests"),
        (signature_statement(DIGEST).replace(b'{"sha256":"' + b"5" * 64 + b'"}', b"null"), "AttributeError"),
    ],
)
def test_refuses_a_signed_payload_that_is_no_proper_statement(
    verifier: Verifier, forge: Forge, said: bytes, got: str
) -> None:
    with pytest.raises(Refused, match="not verified") as refusal:
        ask(verifier, forge.bundle(said), forge)
    assert got in str(refusal.value.got)


def test_a_failed_verdict_is_never_a_verdict(verifier: Verifier, forge: Forge) -> None:
    who = f"{IDENTITY}/promote"
    passed = forge.bundle(verdict(PASSED), identity=who)
    assert ask(verifier, passed, forge, identity=who, predicate_type=VSA)["verificationResult"] == PASSED
    failed = forge.bundle(verdict(FAILED), identity=who)
    with pytest.raises(Refused) as refusal:
        ask(verifier, failed, forge, identity=who, predicate_type=VSA)
    assert "FAILED" in str(refusal.value.got)


@pytest.mark.parametrize("late", [timedelta(minutes=11), timedelta(days=400), -timedelta(minutes=1)])
def test_a_signature_must_be_stamped_while_its_certificate_is_valid(
    verifier: Verifier, forge: Forge, late: timedelta
) -> None:
    with pytest.raises(Refused, match="not verified"):
        ask(verifier, forge.bundle(signature_statement(DIGEST), stamped=datetime.now(UTC) + late), forge)


def test_a_signature_outlives_its_certificate_by_its_timestamp(verifier: Verifier, forge: Forge) -> None:
    before = datetime.now(UTC) - timedelta(minutes=50)
    assert ask(verifier, forge.bundle(signature_statement(DIGEST), issued=before), forge) == {}


def test_a_foreign_authority_of_the_same_name_proves_nothing(verifier: Verifier, forge: Forge, tmp_path: Path) -> None:
    stranger = Forge.at(tmp_path / "state")
    bundle = stranger.bundle(signature_statement(DIGEST))
    assert ask(stranger.verifier(), bundle, stranger) == {}
    with pytest.raises(Refused, match="not verified"):
        ask(verifier, bundle, forge)


@pytest.mark.parametrize("part", ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"])
def test_every_party_is_believed_by_its_key_alone(forge: Forge, good: bytes, tmp_path: Path, part: str) -> None:
    """Each of authority, log, certificate log and clock replaced by a stranger's, one at a time."""
    stranger = Forge.at(tmp_path / "state")
    mixed = {**forge.instance.trusted_root(), part: stranger.instance.trusted_root()[part]}
    (tmp_path / "root.json").write_text(json.dumps(mixed))
    with pytest.raises(Refused, match="not verified"):
        ask(Verifier(TrustFile(path=tmp_path / "root.json").for_verifying()), good, forge)


@pytest.mark.parametrize("part", ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"])
def test_a_trusted_root_that_lacks_a_party_proves_nothing(forge: Forge, good: bytes, tmp_path: Path, part: str) -> None:
    (tmp_path / "root.json").write_text(json.dumps({**forge.instance.trusted_root(), part: []}))
    with pytest.raises(Error):
        ask(Verifier(TrustFile(path=tmp_path / "root.json").for_verifying()), good, forge)


def test_log_index_zero_is_refused_although_its_proof_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without_genesis:
        without_genesis.setattr(Log, "append", lambda self, entry: None)
        forge = Forge.at(tmp_path / "state")
    bundle = forge.bundle(signature_statement(DIGEST))
    root = TrustFile(path=forge.folder.trusted_root).for_verifying()
    SigstoreVerifier(trusted_root=root).verify_dsse(Bundle.from_json(bundle), Identity(identity=f"{IDENTITY}/sign"))
    with pytest.raises(Refused) as refusal:
        ask(Verifier(root), bundle, forge)
    assert "log index 0" in str(refusal.value.got)


def test_every_foreign_exception_means_not_verified(
    verifier: Verifier, good: bytes, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'spec'")

    monkeypatch.setattr(SigstoreVerifier, "verify_dsse", crash)
    with pytest.raises(Refused, match="not verified"):
        ask(verifier, good, forge)


def test_knows_that_its_trust_is_embedded(verifier: Verifier) -> None:
    assert verifier.trust is Trust.EMBEDDED


def test_an_empty_policy_verifies_nothing(verifier: Verifier, good: bytes) -> None:
    with pytest.raises(Refused, match="no signer"):
        verifier.verify_said(good, subject_digest=DIGEST, predicate_type=SIGNATURE, policy=Policy(speakers={}))
