"""Keys and certificates of the embedded authorities: made once, kept in the state folder, branded in every name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from release.errors import Misconfigured
from signing.embedded.folder import Folder
from signing.policy import EMBEDDED_ORGANIZATION

AUTHORITY_LIFE = timedelta(days=3650)
# Valid from a little earlier, so that a clock that steps back does not stand before its own certificate.
LEEWAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A key and the certificate that speaks for it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)


def ec_key(folder: Folder, name: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key `<name>.key` of the folder."""
    key = _key(folder, name, lambda: ec.generate_private_key(ec.SECP256R1()))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _foreign(folder, f"{name}.key")
    return key


def ed25519_key(folder: Folder, name: str) -> Ed25519PrivateKey:
    """The Ed25519 key `<name>.key` of the folder."""
    key = _key(folder, name, Ed25519PrivateKey.generate)
    if not isinstance(key, Ed25519PrivateKey):
        raise _foreign(folder, f"{name}.key")
    return key


def root_authority(folder: Folder, name: str, common_name: str, now: datetime) -> Authority:
    """A self-signed authority: `<name>.key` and `<name>.crt`."""
    key, subject = ec_key(folder, name), _name(common_name)

    def make() -> bytes:
        builder = certificate_builder(
            subject=subject, issuer=subject, key=key.public_key(), issuer_key=key.public_key(), start=now - LEEWAY
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return _signed(builder.add_extension(key_usage(certifies=True), critical=True), key)

    return Authority(key=key, certificate=_certificate(folder, name, make))


def timestamp_authority(folder: Folder, name: str, root: Authority, now: datetime) -> Authority:
    """An authority for timestamps alone (RFC 3161, section 2.3: this one usage, critical), certified by `root`."""
    key = ec_key(folder, name)

    def make() -> bytes:
        builder = certificate_builder(
            subject=_name("Slipway timestamps"),
            issuer=root.certificate.subject,
            key=key.public_key(),
            issuer_key=root.key.public_key(),
            start=now - LEEWAY,
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(key_usage(), critical=True).add_extension(usage, critical=True)
        return _signed(builder, root.key)

    return Authority(key=key, certificate=_certificate(folder, name, make))


def certificate_builder(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    start: datetime,
    life: timedelta = AUTHORITY_LIFE,
) -> x509.CertificateBuilder:
    """What all our certificates share: names, times, a random serial and both key identifiers (RFC 5280)."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def key_usage(*, certifies: bool = False) -> x509.KeyUsage:
    """Either certifies others or signs; never both."""
    return x509.KeyUsage(
        digital_signature=not certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


def public_der(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    """SubjectPublicKeyInfo of a key as DER: the form in which a trusted root lists it."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _key(folder: Folder, name: str, make: Callable[[], ec.EllipticCurvePrivateKey | Ed25519PrivateKey]) -> object:
    def pem() -> bytes:
        return make().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    try:
        return serialization.load_pem_private_key(folder.once(f"{name}.key", pem), password=None)
    except ValueError as error:
        raise _foreign(folder, f"{name}.key") from error


def _certificate(folder: Folder, name: str, make: Callable[[], bytes]) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(folder.once(f"{name}.crt", make))
    except ValueError as error:
        raise _foreign(folder, f"{name}.crt") from error


def _foreign(folder: Folder, file: str) -> Misconfigured:
    return Misconfigured(
        "not a key or a certificate that the embedded Sigstore made",
        where=str(folder.path / file),
        hint="restore the folder from a copy, or remove all of it and sign anew with a new authority",
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, EMBEDDED_ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
