"""Who may say what: which identity stands behind each kind of statement, and which trust a channel accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cryptography.x509 import Certificate, Name
from cryptography.x509.oid import NameOID

from release.errors import Misconfigured, Refused
from signing.statements import PROVENANCE, SIGNATURE, SPDX, VSA

# The organization in every name that the embedded Sigstore certifies. It is a label against mistakes, not a lock:
# what keeps a stranger's CA out is the trusted root, which lists the authorities by key.
EMBEDDED_ORGANIZATION = "trust: embedded"


class Role(StrEnum):
    """One identity per meaning, because `cosign verify` accepts any statement of an identity that it trusts."""

    BUILD = "build"
    SIGN = "sign"
    PROMOTE = "promote"


class Trust(StrEnum):
    """Who vouches: `embedded` is our own CA, log and clock in one process; `external` is somebody else's."""

    EMBEDDED = "embedded"
    EXTERNAL = "external"


_ROLE_OF: Mapping[str, Role] = MappingProxyType(
    {PROVENANCE: Role.BUILD, SIGNATURE: Role.SIGN, SPDX: Role.SIGN, VSA: Role.PROMOTE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """An identity (the certificate's subject alternative name) as one OIDC issuer knows it; both match exactly."""

    identity: str
    issuer: str

    def __post_init__(self) -> None:
        if not self.identity or not self.issuer:
            raise Misconfigured(
                "a signer needs an identity and an issuer", got=f"identity {self.identity!r}, issuer {self.issuer!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The speakers by role. A role that is missing may say nothing, so an empty policy refuses everything."""

    speakers: Mapping[Role, Speaker]

    def __post_init__(self) -> None:
        shared = len(set(self.speakers.values())) < len(self.speakers)
        if shared:
            raise Misconfigured(
                "two roles share one identity",
                got=", ".join(f"{role}: {each.identity}" for role, each in self.speakers.items()),
                expected="one identity per role, because cosign does not look at what a statement says",
            )
        object.__setattr__(self, "speakers", MappingProxyType(dict(self.speakers)))

    @classmethod
    def of(cls, identity: str, issuer: str) -> Policy:
        """The usual policy: every role speaks as `<identity>/<role>` through one issuer."""
        return cls(speakers={role: Speaker(identity=identity_of(identity, role), issuer=issuer) for role in Role})

    def speaker_of(self, predicate_type: str) -> Speaker:
        """Who must have said a statement of this predicate type; `Refused` where nobody may say it."""
        role = _ROLE_OF.get(predicate_type)
        if role is None:
            raise Refused("nobody may say this", got=predicate_type, expected=" or ".join(_ROLE_OF))
        speaker = self.speakers.get(role)
        if speaker is None:
            raise Refused(
                f"the policy names no signer for {predicate_type}",
                got=", ".join(self.speakers) or "an empty policy",
                expected=f"an identity and an issuer for the role {role}",
            )
        return speaker


def identity_of(base: str, role: Role) -> str:
    """The identity URI of a role below the distribution's identity base."""
    return f"{base.rstrip('/')}/{role}"


def trust_of(authorities: Iterable[Certificate]) -> Trust:
    """What the certificate authorities of a trusted root amount to: one embedded among them makes all embedded."""
    known = tuple(authorities)
    if not known:
        raise Refused("a trusted root without certificate authorities proves nothing", expected="at least one")
    embedded = any(_is_embedded(certificate.subject) for certificate in known)
    return Trust.EMBEDDED if embedded else Trust.EXTERNAL


def require_trust(trust: Trust, *, channel: str, production: bool) -> None:
    """`Refused` where a production channel would rest on the embedded Sigstore, which nobody else witnesses."""
    if production and trust is not Trust.EXTERNAL:
        raise Refused(
            f"channel {channel!r} is a production channel and the signatures are not for production",
            got=f"trust: {trust}",
            expected=f"trust: {Trust.EXTERNAL}",
            hint="configure a trust config file or a TUF repository of a Sigstore instance, and sign the release again",
        )


def _is_embedded(name: Name) -> bool:
    return any(each.value == EMBEDDED_ORGANIZATION for each in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
