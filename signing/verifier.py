"""The consumer's side: what a bundle proves, decided offline from a trusted root and by code that signs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier as SigstoreVerifier
from sigstore.verify.policy import Identity

from release.digests import hex_of
from release.errors import Error, Refused
from signing.policy import Policy, Trust, trust_of
from signing.statements import PASSED, PAYLOAD, STATEMENT, VSA

MAX_BUNDLE = 16 * 1024 * 1024  # a statement about 5,000 RPMs makes a bundle of 0.8 MB


class Verifier:
    """Believes what `trusted_root` names and nothing else. It needs no network and keeps no state."""

    def __init__(self, trusted_root: TrustedRoot) -> None:
        try:
            self._sigstore = SigstoreVerifier(trusted_root=trusted_root)
            self.trust: Trust = trust_of(trusted_root.get_fulcio_certs())
        except Error:
            raise
        except Exception as error:
            raise Refused("a trusted root that proves nothing", got=error) from error

    def verify_said(
        self, bundle: bytes, *, subject_digest: str, predicate_type: str, policy: Policy
    ) -> Mapping[str, Any]:
        """The predicate, when the one whom the policy lets say `predicate_type` said it about the subject."""
        speaker = policy.speaker_of(predicate_type)
        return self.verify(
            bundle,
            subject_digest=subject_digest,
            identity=speaker.identity,
            issuer=speaker.issuer,
            predicate_type=predicate_type,
        )

    def verify(
        self, bundle: bytes, *, subject_digest: str, identity: str, issuer: str, predicate_type: str
    ) -> Mapping[str, Any]:
        """The predicate of an in-toto bundle, when all of this holds; otherwise `Refused`, whatever went wrong.

        1. The bundle is well-formed, and its log index is not 0 (Go clients drop a zero and refuse such a bundle).
        2. Certificate, its log receipt, timestamp, log inclusion and signature hold, and the certificate names exactly
           this identity and issuer.
        3. The payload is an in-toto statement of exactly this predicate type.
        4. The digest is one of its subjects.
        5. A verdict (VSA) says PASSED.
        """
        expected = f"{predicate_type} about {subject_digest} by {identity} (issuer {issuer})"
        try:
            if not identity or not issuer:
                raise ValueError("an empty identity or issuer would match anybody")
            payload = self._payload(bundle, Identity(identity=identity, issuer=issuer))
            return _said(payload, hex_of(subject_digest), predicate_type)
        except Exception as error:
            # Not only VerificationError: malformed log bodies and certificates raise whatever they hit first.
            got = error.message if isinstance(error, Error) else f"{type(error).__name__}: {error}"
            raise Refused(
                "not verified",
                got=got,
                expected=expected,
                hint="do not use the artifact; or correct the expected identity, issuer or trusted root",
            ) from error

    def _payload(self, raw: bytes, who: Identity) -> bytes:
        """Steps 1 and 2, and that the payload's type is in-toto's."""
        if len(raw) > MAX_BUNDLE:
            raise ValueError(f"a bundle of {len(raw)} bytes, more than {MAX_BUNDLE}")
        bundle = Bundle.from_json(raw)
        entry = bundle.log_entry._inner
        if 0 in (entry.log_index, entry.inclusion_proof.log_index):
            raise ValueError("log index 0: other consumers cannot read this bundle")
        kind, payload = self._sigstore.verify_dsse(bundle, who)
        if kind != PAYLOAD:
            raise ValueError(f"the payload is {kind}, not {PAYLOAD}")
        return payload


def _said(payload: bytes, subject: str, predicate_type: str) -> Mapping[str, Any]:
    """Steps 3 to 5: the predicate of a verified payload."""
    said = json.loads(payload)
    if said["_type"] != STATEMENT:
        raise ValueError(f"it is a {said['_type']}, not a {STATEMENT}")
    if said["predicateType"] != predicate_type:
        raise ValueError(f"it says {said['predicateType']}")
    subjects = [each["digest"].get("sha256") for each in said["subject"]]
    if subject not in subjects:
        raise ValueError(f"it is about {len(subjects)} other digests: {', '.join(map(str, subjects[:3]))}")
    predicate = said["predicate"]
    if not isinstance(predicate, dict):
        raise TypeError("the predicate is not an object")
    if predicate_type == VSA and predicate.get("verificationResult") != PASSED:
        raise ValueError(f"the verdict is {predicate.get('verificationResult')}")
    return predicate
