"""The timestamping authority: signed answers to RFC 3161 queries, so that a signature's time outlives its certificate.

The structures are those of RFC 3161 (queries, answers), RFC 5652 (SignedData) and RFC 5035 (signing certificate),
as far as an answer needs them; `cryptography` does the DER.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import Certificate, ObjectIdentifier

from release.errors import Refused
from signing.embedded.keys import Authority

_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_SHA256 = ObjectIdentifier("1.2.840.10045.4.3.2")
_SIGNED_DATA = ObjectIdentifier("1.2.840.113549.1.7.2")
_TST_INFO = ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE = ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_TIME = ObjectIdentifier("1.2.840.113549.1.9.5")
_SIGNING_CERTIFICATE_V2 = ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
_POLICY = ObjectIdentifier("1.3.6.1.4.1.57264.2")  # the policy of Sigstore's own timestamp-authority
_GRANTED = 0
_IMPRINTS = {  # SHA-2 and the bytes of its digests
    _SHA256: 32,
    ObjectIdentifier("2.16.840.1.101.3.4.2.2"): 48,
    ObjectIdentifier("2.16.840.1.101.3.4.2.3"): 64,
}


@asn1.sequence
class _Algorithm:
    algorithm: ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Imprint:
    hash_algorithm: _Algorithm
    hashed_message: bytes


@asn1.sequence
class _Query:
    version: int
    imprint: _Imprint
    policy: ObjectIdentifier | None
    nonce: int | None
    wants_certificate: Annotated[bool, asn1.Default(False)]


@asn1.sequence
class _Accuracy:
    seconds: int


@asn1.sequence
class _Info:
    version: int
    policy: ObjectIdentifier
    imprint: _Imprint
    serial: int
    time: asn1.GeneralizedTime
    accuracy: _Accuracy
    nonce: int | None


@asn1.sequence
class _CertificateId:
    certificate_hash: bytes  # SHA-256, the default of RFC 5035


@asn1.sequence
class _SigningCertificate:
    certificates: list[_CertificateId]


@asn1.sequence
class _Attribute:
    type: ObjectIdentifier
    values: asn1.SetOf[ObjectIdentifier | bytes | asn1.UTCTime | _SigningCertificate]


@asn1.sequence
class _Issued:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _Signer:
    version: int
    issued: _Issued
    digest_algorithm: _Algorithm
    attributes: Annotated[asn1.SetOf[_Attribute], asn1.Implicit(0)]
    signature_algorithm: _Algorithm
    signature: bytes


@asn1.sequence
class _Content:
    type: ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _SignedData:
    version: int
    digest_algorithms: asn1.SetOf[_Algorithm]
    content: _Content
    certificates: Annotated[asn1.SetOf[Certificate] | None, asn1.Implicit(0)]
    signers: asn1.SetOf[_Signer]


@asn1.sequence
class _Token:
    type: ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@asn1.sequence
class _Status:
    status: int


@asn1.sequence
class _Answer:
    status: _Status
    token: _Token


class TimestampAuthority:
    """Answers queries about SHA-2 imprints with the time it is given."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def answer(self, query: bytes, *, now: datetime) -> bytes:
        """A granted TimeStampResp (DER) for a TimeStampReq; `Refused` for one that is malformed or not SHA-2."""
        asked = _asked(query)
        info = _Info(
            version=1,
            policy=_POLICY,
            imprint=asked.imprint,
            serial=secrets.randbits(127),
            time=asn1.GeneralizedTime(now.replace(microsecond=0)),
            accuracy=_Accuracy(seconds=1),
            nonce=asked.nonce,
        )
        content = asn1.encode_der(info)
        certificate = self._authority.certificate
        data = _SignedData(
            version=3,
            digest_algorithms=asn1.SetOf([_algorithm(_SHA256)]),
            content=_Content(type=_TST_INFO, content=content),
            certificates=asn1.SetOf([certificate]) if asked.wants_certificate else None,
            signers=asn1.SetOf([self._signer(content, now)]),
        )
        return asn1.encode_der(_Answer(status=_Status(status=_GRANTED), token=_Token(type=_SIGNED_DATA, content=data)))

    def _signer(self, content: bytes, now: datetime) -> _Signer:
        certificate, der = self._authority.certificate, self._authority.der
        attributes = asn1.SetOf(
            [
                _Attribute(type=_CONTENT_TYPE, values=asn1.SetOf([_TST_INFO])),
                _Attribute(type=_SIGNING_TIME, values=asn1.SetOf([asn1.UTCTime(now.replace(microsecond=0))])),
                _Attribute(type=_MESSAGE_DIGEST, values=asn1.SetOf([hashlib.sha256(content).digest()])),
                _Attribute(
                    type=_SIGNING_CERTIFICATE_V2,
                    values=asn1.SetOf(
                        [
                            _SigningCertificate(
                                certificates=[_CertificateId(certificate_hash=hashlib.sha256(der).digest())]
                            )
                        ]
                    ),
                ),
            ]
        )
        return _Signer(
            version=1,
            issued=_Issued(
                issuer=asn1.decode_der(asn1.TLV, certificate.issuer.public_bytes()), serial=certificate.serial_number
            ),
            digest_algorithm=_algorithm(_SHA256),
            attributes=attributes,
            signature_algorithm=_algorithm(_ECDSA_SHA256),
            # RFC 5652, section 5.4: the attributes are signed as a SET, not under their implicit tag
            signature=self._authority.key.sign(asn1.encode_der(attributes), ec.ECDSA(hashes.SHA256())),
        )


def _asked(query: bytes) -> _Query:
    try:
        asked = asn1.decode_der(_Query, query)
    except ValueError as error:
        raise Refused("not a timestamp query", got=error, expected="RFC 3161, section 2.4.1") from error
    algorithm, size = asked.imprint.hash_algorithm.algorithm, len(asked.imprint.hashed_message)
    if _IMPRINTS.get(algorithm) != size:
        raise Refused("not the imprint of a SHA-2 digest", got=f"{algorithm.dotted_string}, {size} bytes")
    return asked


def _algorithm(identifier: ObjectIdentifier) -> _Algorithm:
    return _Algorithm(algorithm=identifier, parameters=None)
