"""Who may say what, and which trust is enough: what is missing, shared or embedded means no."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from release.errors import Misconfigured, Refused
from signing.policy import (
    EMBEDDED_ORGANIZATION,
    Policy,
    Role,
    Speaker,
    Trust,
    identity_of,
    require_trust,
    trust_of,
)
from signing.statements import PROVENANCE, SIGNATURE, SPDX, VSA
from tests.signing.forge import Forge

ISSUER = "https://token.actions.githubusercontent.com"
BASE = "https://slipway.example/skiff"
POLICY = Policy.of(BASE, ISSUER)


@pytest.mark.parametrize(
    ("kind", "role"), [(PROVENANCE, "build"), (SIGNATURE, "sign"), (SPDX, "sign"), (VSA, "promote")]
)
def test_each_kind_of_statement_has_one_speaker(kind: str, role: str) -> None:
    assert POLICY.speaker_of(kind) == Speaker(identity=f"{BASE}/{role}", issuer=ISSUER)


@pytest.mark.parametrize("kind", ["", "https://slsa.dev/provenance/v0.2", "https://in-toto.io/Statement/v1", "sign"])
def test_nobody_may_say_what_the_policy_does_not_know(kind: str) -> None:
    with pytest.raises(Refused, match="nobody may say this") as refusal:
        POLICY.speaker_of(kind)
    assert refusal.value.got == kind


@pytest.mark.parametrize("kind", [PROVENANCE, SIGNATURE, SPDX, VSA])
def test_an_empty_policy_refuses_everything(kind: str) -> None:
    with pytest.raises(Refused, match="no signer") as refusal:
        Policy(speakers={}).speaker_of(kind)
    assert refusal.value.got == "an empty policy"


def test_a_role_that_is_missing_may_say_nothing() -> None:
    policy = Policy(speakers={Role.SIGN: Speaker(identity="https://a.example", issuer=ISSUER)})
    assert policy.speaker_of(SIGNATURE).identity == "https://a.example"
    with pytest.raises(Refused, match="no signer") as refusal:
        policy.speaker_of(VSA)
    assert "promote" in str(refusal.value.expected)


def test_two_roles_never_share_an_identity() -> None:
    one = Speaker(identity="https://ci.example/workflow", issuer=ISSUER)
    with pytest.raises(Misconfigured, match="share one identity") as error:
        Policy(speakers={Role.BUILD: one, Role.PROMOTE: one})
    assert "build" in str(error.value.got) and "promote" in str(error.value.got)
    Policy(speakers={Role.BUILD: one, Role.PROMOTE: Speaker(identity=one.identity, issuer="https://other.example")})


@pytest.mark.parametrize(("identity", "issuer"), [("", ISSUER), ("https://a.example", ""), ("", "")])
def test_a_speaker_has_an_identity_and_an_issuer(identity: str, issuer: str) -> None:
    with pytest.raises(Misconfigured, match="needs an identity and an issuer"):
        Speaker(identity=identity, issuer=issuer)


def test_a_policy_cannot_be_changed_afterwards() -> None:
    speakers = {Role.SIGN: Speaker(identity="https://a.example", issuer=ISSUER)}
    policy = Policy(speakers=speakers)
    speakers[Role.SIGN] = Speaker(identity="https://mallory.example", issuer=ISSUER)
    assert policy.speaker_of(SIGNATURE).identity == "https://a.example"
    with pytest.raises(TypeError):
        policy.speakers[Role.PROMOTE] = speakers[Role.SIGN]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        policy.speakers = {}  # type: ignore[misc]


def test_an_identity_base_may_end_with_a_slash() -> None:
    assert identity_of(f"{BASE}/", Role.SIGN) == identity_of(BASE, Role.SIGN) == f"{BASE}/sign"


def authority(organization: str | None, unit: str = "unit") -> x509.Certificate:
    """A self-signed authority with a name of our choice."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(parts))
        .issuer_name(x509.Name(parts))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def test_the_trust_of_an_embedded_instance_is_embedded(tmp_path: Path) -> None:
    certificate = Forge.at(tmp_path / "state").instance.authority.authority.certificate
    assert trust_of([certificate]) is Trust.EMBEDDED


@pytest.mark.parametrize(
    ("authorities", "trust"),
    [
        ([authority("sigstore.dev")], Trust.EXTERNAL),
        ([authority(None)], Trust.EXTERNAL),
        ([authority("sigstore.dev", unit=EMBEDDED_ORGANIZATION)], Trust.EXTERNAL),
        ([authority(EMBEDDED_ORGANIZATION)], Trust.EMBEDDED),
        ([authority("sigstore.dev"), authority(EMBEDDED_ORGANIZATION)], Trust.EMBEDDED),
    ],
)
def test_one_embedded_authority_makes_a_root_embedded(authorities: list[x509.Certificate], trust: Trust) -> None:
    assert trust_of(authorities) is trust


def test_no_authority_is_no_trust_at_all() -> None:
    with pytest.raises(Refused, match="proves nothing"):
        trust_of([])


def test_a_production_channel_refuses_embedded_trust() -> None:
    with pytest.raises(Refused, match="'stable' is a production channel") as refusal:
        require_trust(Trust.EMBEDDED, channel="stable", production=True)
    assert (refusal.value.got, refusal.value.expected) == ("trust: embedded", "trust: external")
    assert refusal.value.hint and "TUF" in refusal.value.hint


@pytest.mark.parametrize(("trust", "production"), [(Trust.EMBEDDED, False), (Trust.EXTERNAL, True)])
def test_other_channels_and_other_trust_pass(trust: Trust, production: bool) -> None:
    require_trust(trust, channel="edge", production=production)


@pytest.mark.parametrize(
    "module",
    [
        "signing.policy",
        "signing.statements",
        "signing.attestations",
        "signing.openpgp",
        "signing.gnupg",
        "signing.trust",
        "signing.identities",
        "signing.embedded",
        "signing.embedded.folder",
        "signing.embedded.__main__",
    ],
)
def test_a_module_that_does_not_sign_does_not_wait_for_sigstore(module: str) -> None:
    program = f"import sys, {module}; sys.exit('sigstore' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
