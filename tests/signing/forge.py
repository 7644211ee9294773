"""A Sigstore in the hands of an attacker: bundles with any identity, time, authority or payload, without a socket."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rfc3161_client import TimestampRequestBuilder

from release.digests import digest_of, hex_of
from release.oci import BUNDLE
from signing.embedded.entries import enter
from signing.embedded.folder import Folder
from signing.embedded.instance import Instance
from signing.statements import PAYLOAD
from signing.trust import TrustFile
from signing.verifier import Verifier
from tests.signing.conftest import IDENTITY


@dataclass(frozen=True, kw_only=True)
class Forge:
    """An instance, its folder, and bundles made with it by hand."""

    instance: Instance
    folder: Folder

    @classmethod
    def at(cls, path: Path, *, now: datetime | None = None, url: str = "http://127.0.0.1:1") -> Forge:
        folder = Folder(path=path)
        with folder.owned():
            instance = Instance(folder, url=url, identity=IDENTITY, now=now or datetime.now(UTC))
            instance.publish()
        return cls(instance=instance, folder=folder)

    @property
    def issuer(self) -> str:
        return self.instance.tokens.issuer

    def verifier(self) -> Verifier:
        return Verifier(TrustFile(path=self.folder.trusted_root).for_verifying())

    def bundle(
        self,
        payload: bytes,
        *,
        identity: str = f"{IDENTITY}/sign",
        issued: datetime | None = None,
        stamped: datetime | None = None,
        payload_type: str = PAYLOAD,
    ) -> bytes:
        """A DSSE bundle: certificate issued at `issued`, entered into the log then, stamped at `stamped` (or then)."""
        at, issued = self.instance, issued or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = at.authority.issue(key.public_key(), identity=identity, issuer=self.issuer, now=issued)
        encoded = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
        signature = key.sign(encoded, ec.ECDSA(hashes.SHA256()))
        der = _text(certificate.public_bytes(serialization.Encoding.DER))
        asked = _request(bytes.fromhex(hex_of(digest_of(encoded))), signature, der)
        entry = enter(asked, log=at.log, authority=at.authority.authority.certificate, now=issued)
        query = TimestampRequestBuilder().data(signature).build().as_bytes()
        stamp = at.timestamps.answer(query, now=stamped or issued)
        material = {
            "certificate": {"rawBytes": der},
            "tlogEntries": [entry],
            "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": _text(stamp)}]},
        }
        envelope = {"payload": _text(payload), "payloadType": payload_type, "signatures": [{"sig": _text(signature)}]}
        return json.dumps({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}).encode()


def _request(digest: bytes, signature: bytes, certificate: str) -> bytes:
    verifier: dict[str, Any] = {
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        "x509Certificate": {"rawBytes": certificate},
    }
    signed = {"content": _text(signature), "verifier": verifier}
    return json.dumps({"hashedRekordRequestV002": {"digest": _text(digest), "signature": signed}}).encode()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
