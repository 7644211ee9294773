"""Writing to the log (Rekor's API, version 2): a signature by a key that our authority certified becomes an entry.

Source: rekor-tiles, `api/proto/rekor/v2`: HashedRekordRequestV002 and its canonical entry (RFC 8785).
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from release.digests import canonical_json
from release.errors import Refused
from signing.embedded.log import Inclusion, Log

KIND, VERSION = "hashedrekord", "0.0.2"


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Certificate(_Model):
    raw_bytes: Base64Bytes


class _Verifier(_Model):
    key_details: Literal["PKIX_ECDSA_P256_SHA_256"]
    x509_certificate: _Certificate


class _Signature(_Model):
    content: Base64Bytes
    verifier: _Verifier


class _HashedRekord(_Model):
    digest: Base64Bytes
    signature: _Signature


class _Request(_Model):
    hashed_rekord: _HashedRekord = Field(alias="hashedRekordRequestV002")


def enter(body: bytes, *, log: Log, authority: x509.Certificate, now: datetime) -> dict[str, Any]:
    """Append what a request body holds and answer its TransparencyLogEntry.

    `Refused` when the signature does not hold, or its certificate is not one of `authority` that is valid now.
    """
    try:
        asked = _Request.model_validate_json(body).hashed_rekord
        certificate = x509.load_der_x509_certificate(asked.signature.verifier.x509_certificate.raw_bytes)
        certificate.verify_directly_issued_by(authority)
        _check_signature(certificate, asked)
    except (ValidationError, ValueError, TypeError, InvalidSignature) as error:
        raise Refused("not an entry for this log", got=error or type(error).__name__) from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Refused("the certificate is not valid now", got=certificate.not_valid_after_utc, expected=now)
    entry = canonical_json(_canonical(asked))
    return _answer(entry, log.append(entry), log.key_id)


def _check_signature(certificate: x509.Certificate, asked: _HashedRekord) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("the certificate's key is not ECDSA")
    key.verify(asked.signature.content, asked.digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def _canonical(asked: _HashedRekord) -> dict[str, Any]:
    verifier = asked.signature.verifier
    return {
        "apiVersion": VERSION,
        "kind": KIND,
        "spec": {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": _text(asked.digest)},
                "signature": {
                    "content": _text(asked.signature.content),
                    "verifier": {
                        "keyDetails": verifier.key_details,
                        "x509Certificate": {"rawBytes": _text(verifier.x509_certificate.raw_bytes)},
                    },
                },
            }
        },
    }


def _answer(entry: bytes, inclusion: Inclusion, key_id: bytes) -> dict[str, Any]:
    """Numbers are strings: 64-bit integers in the JSON form of protocol buffers."""
    return {
        "logIndex": str(inclusion.index),
        "logId": {"keyId": _text(key_id)},
        "kindVersion": {"kind": KIND, "version": VERSION},
        "canonicalizedBody": _text(entry),
        "inclusionProof": {
            "logIndex": str(inclusion.index),
            "treeSize": str(inclusion.size),
            "rootHash": _text(inclusion.root),
            "hashes": [_text(each) for each in inclusion.hashes],
            "checkpoint": {"envelope": inclusion.checkpoint},
        },
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
