"""Asking for a certificate: who holds a token and shows that the key is theirs gets one (Fulcio's API, version 2).

Source: fulcio.proto, CreateSigningCertificateRequest, in JSON. sigstore-python sends a CSR and a bearer token; cosign
and sigstore-go send the key, and the identity signed with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Base64Bytes, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from release.errors import Refused
from signing.embedded.authority import CertificateAuthority
from signing.embedded.tokens import TokenIssuer


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Credentials(_Model):
    oidc_identity_token: str


class _PublicKey(_Model):
    content: str


class _PublicKeyRequest(_Model):
    public_key: _PublicKey
    proof_of_possession: Base64Bytes


class _Request(_Model):
    credentials: _Credentials | None = None
    certificate_signing_request: Base64Bytes | None = None
    public_key_request: _PublicKeyRequest | None = None


def enrol(
    body: bytes, bearer: str, *, tokens: TokenIssuer, authority: CertificateAuthority, now: datetime
) -> dict[str, Any]:
    """The certificate chain, leaf first, for a request body; `Refused` when token or proof do not hold."""
    try:
        request = _Request.model_validate_json(body)
        token = request.credentials.oidc_identity_token if request.credentials else bearer
        identity = tokens.identity_in(token)
        key = _proven_key(request, identity)
    except (ValidationError, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise Refused("not a request for a certificate, or a key without proof", got=error) from error
    leaf = authority.issue(key, identity=identity, issuer=tokens.issuer, now=now)
    chain = [leaf, authority.authority.certificate]
    pem = [each.public_bytes(serialization.Encoding.PEM).decode() for each in chain]
    return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pem}}}


def _proven_key(request: _Request, identity: str) -> ec.EllipticCurvePublicKey:
    if request.certificate_signing_request:
        csr = x509.load_pem_x509_csr(request.certificate_signing_request)
        if not csr.is_signature_valid:
            raise InvalidSignature("the certificate signing request is not signed by its own key")
        return _p256(csr.public_key())
    if request.public_key_request:
        asked = request.public_key_request
        key = _p256(serialization.load_pem_public_key(asked.public_key.content.encode()))
        key.verify(asked.proof_of_possession, identity.encode(), ec.ECDSA(hashes.SHA256()))
        return key
    raise ValueError("neither certificateSigningRequest nor publicKeyRequest")


def _p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the key is not on P-256")
    return key
