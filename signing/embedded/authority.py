"""The certificate authority (Fulcio's part): a certificate of ten minutes for a key, in the name of a proven identity.

Sources: Fulcio's certificate specification and OID list; RFC 6962, section 3.2, for the certificate's SCT.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from signing.embedded.keys import Authority, certificate_builder, key_usage, public_der

CERTIFICATE_LIFE = timedelta(minutes=10)
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")  # the issuer's URL as bare text
_ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")  # the same as a DER string
_V1, _CERTIFICATE_TIMESTAMP, _PRECERTIFICATE = 0, 0, 1
_ECDSA_SHA256 = b"\x04\x03"  # RFC 5246, section 7.4.1.4.1: hash, then signature algorithm


class CertificateAuthority:
    """Issues signing certificates; `witness` is the key of the certificate log, whose receipt each one carries."""

    def __init__(self, authority: Authority, witness: ec.EllipticCurvePrivateKey) -> None:
        self.authority = authority
        self._witness = witness

    @property
    def witness_id(self) -> bytes:
        """The certificate log's id (RFC 6962, section 3.2): SHA-256 of its public key."""
        return hashlib.sha256(public_der(self._witness)).digest()

    @property
    def witness_key(self) -> bytes:
        """The certificate log's public key, DER."""
        return public_der(self._witness)

    def issue(self, key: ec.EllipticCurvePublicKey, *, identity: str, issuer: str, now: datetime) -> x509.Certificate:
        """A certificate for `key`, valid from `now`: its holder is `identity` (a URI), as `issuer` knows it."""
        ca = self.authority
        builder = (
            certificate_builder(
                subject=x509.Name([]),
                issuer=ca.certificate.subject,
                key=key,
                issuer_key=ca.key.public_key(),
                start=now.replace(microsecond=0),
                life=CERTIFICATE_LIFE,
            )
            .add_extension(key_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2, asn1.encode_der(issuer)), critical=False)
        )
        # The receipt is about the certificate without the receipt, so it is signed twice.
        precertificate = builder.sign(ca.key, hashes.SHA256()).tbs_certificate_bytes
        receipts = x509.UnrecognizedExtension(
            ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, asn1.encode_der(self._receipts(precertificate, now))
        )
        return builder.add_extension(receipts, critical=False).sign(ca.key, hashes.SHA256())

    def _receipts(self, precertificate: bytes, now: datetime) -> bytes:
        """A SignedCertificateTimestampList of one."""
        moment = int(now.timestamp() * 1000)
        issuer = hashlib.sha256(public_der(self.authority.key)).digest()
        signed = (
            struct.pack("!BBQH", _V1, _CERTIFICATE_TIMESTAMP, moment, _PRECERTIFICATE)
            + issuer
            + len(precertificate).to_bytes(3, "big")
            + precertificate
            + _sized(b"")
        )
        signature = self._witness.sign(signed, ec.ECDSA(hashes.SHA256()))
        receipt = struct.pack("!B32sQ", _V1, self.witness_id, moment) + _sized(b"") + _ECDSA_SHA256 + _sized(signature)
        return _sized(_sized(receipt))


def _sized(content: bytes) -> bytes:
    """A vector of TLS: two bytes of length, then the content."""
    return struct.pack("!H", len(content)) + content
