"""One embedded Sigstore: its authorities, log and tokens over one state folder, and what the world must trust of it."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from release.errors import Broken
from signing.embedded.authority import CertificateAuthority
from signing.embedded.folder import Folder
from signing.embedded.keys import Authority, ec_key, ed25519_key, public_der, root_authority, timestamp_authority
from signing.embedded.log import ORIGIN, Log
from signing.embedded.timestamps import TimestampAuthority
from signing.embedded.tokens import TokenIssuer
from signing.policy import EMBEDDED_ORGANIZATION

_P256 = "PKIX_ECDSA_P256_SHA_256"
_ED25519 = "PKIX_ED25519"


class Instance:
    """Opens the folder (which the caller owns) and makes what is missing; the same folder gives the same instance.

    `url` is where the service answers, `identity` the base of the identity URIs.
    """

    def __init__(self, folder: Folder, *, url: str, identity: str, now: datetime) -> None:
        if folder.trust_config.exists() and not folder.log.exists():
            raise Broken(
                "the transparency log is gone, and a new one would contradict what the old one promised",
                where=str(folder.log),
                hint="restore the file from a copy, or remove the whole folder and sign anew with a new authority",
            )
        self.url = url
        self._folder = folder
        issuer = folder.once(folder.issuer.name, f"{url}/embedded".encode)
        self.tokens = TokenIssuer(folder, url=url, issuer=issuer.decode(), identity=identity)
        self.authority = CertificateAuthority(
            root_authority(folder, "ca", "Slipway signing", now), witness=ec_key(folder, "ct")
        )
        self._stamp_root = root_authority(folder, "tsa-root", "Slipway timestamp root", now)
        self._stamper = timestamp_authority(folder, "tsa", self._stamp_root, now)
        self.timestamps = TimestampAuthority(self._stamper)
        self._log_key: Ed25519PrivateKey = ed25519_key(folder, "log-head")
        self.log = Log(folder.log, self._log_key)

    def publish(self) -> None:
        """Write the trust files into the folder, once the service has its port."""
        self._folder.replace(self._folder.trusted_root, _json(self.trusted_root()))
        self._folder.replace(self._folder.signing_config, _json(self.signing_config()))
        self._folder.replace(self._folder.trust_config, _json(self.trust_config()))

    def trust_config(self) -> dict[str, Any]:
        """ClientTrustConfig v0.1: all that a signer needs."""
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(),
            "signingConfig": self.signing_config(),
        }

    def trusted_root(self) -> dict[str, Any]:
        """TrustedRoot v0.1: all that a verifier needs, offline. No `operator` field: cosign 2.5 refuses it."""
        log_key = {"rawBytes": _text(public_der(self._log_key)), "keyDetails": _ED25519}
        ct_key = {"rawBytes": _text(self.authority.witness_key), "keyDetails": _P256}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._tlog(f"https://{ORIGIN}", log_key, self.log.key_id)],
            "certificateAuthorities": [self._chain(self.authority.authority)],
            "ctlogs": [self._tlog(f"{self.url}/ct", ct_key, self.authority.witness_id)],
            "timestampAuthorities": [self._chain(self._stamper, self._stamp_root)],
        }

    def signing_config(self) -> dict[str, Any]:
        """SigningConfig v0.2: where the services are."""
        one = {"selector": "ANY"}
        return {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [self._service(self.url, 1)],
            "oidcUrls": [self._service(self.tokens.issuer, 1)],
            "rekorTlogUrls": [self._service(self.url, 2)],
            "tsaUrls": [self._service(f"{self.url}/api/v1/timestamp", 1)],
            "rekorTlogConfig": one,
            "tsaConfig": one,
        }

    @property
    def _valid(self) -> dict[str, str]:
        start = self.authority.authority.certificate.not_valid_before_utc
        return {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _tlog(self, url: str, key: dict[str, str], log_id: bytes) -> dict[str, Any]:
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {**key, "validFor": self._valid},
            "logId": {"keyId": _text(log_id)},
        }

    def _chain(self, *authorities: Authority) -> dict[str, Any]:
        return {
            "subject": {"organization": EMBEDDED_ORGANIZATION, "commonName": "Slipway"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": _text(each.der)} for each in authorities]},
            "validFor": self._valid,
        }

    def _service(self, url: str, version: int) -> dict[str, Any]:
        return {"url": url, "majorApiVersion": version, "validFor": self._valid, "operator": EMBEDDED_ORGANIZATION}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
