"""The identity provider: short-lived OIDC tokens, one identity per role, for whoever holds that role's secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from release.errors import Refused
from signing.embedded.folder import Folder
from signing.embedded.keys import ec_key, public_der
from signing.policy import EMBEDDED_ORGANIZATION, Role, identity_of

TOKEN_LIFE = timedelta(minutes=10)
AUDIENCE = "sigstore"
_ALGORITHM = "ES256"


class TokenIssuer:
    """Mints and checks tokens of `issuer` for identities below `identity`; the service answers at `url`."""

    def __init__(self, folder: Folder, *, url: str, issuer: str, identity: str) -> None:
        self.issuer = issuer
        self._url = url
        self._identity = identity
        self._key: ec.EllipticCurvePrivateKey = ec_key(folder, "oidc")
        self._secrets = {role: folder.once(folder.secret(role).name, _new_secret) for role in Role}

    def mint(self, role: str, secret: str, *, now: datetime) -> str:
        """A token that says: the bearer is `<identity>/<role>`. `Refused` without exactly that role's secret."""
        known = {each.value: each for each in Role}.get(role)
        if known is None or not hmac.compare_digest(self._secrets[known], secret.encode()):
            raise Refused(
                "no token for this", got=f"role {role!r}", expected=f"a role and its secret: {', '.join(Role)}"
            )
        claims = {
            "iss": self.issuer,
            "sub": identity_of(self._identity, known),
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + TOKEN_LIFE,
            "trust": EMBEDDED_ORGANIZATION,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})

    def identity_in(self, token: str) -> str:
        """The identity that a token proves; `Refused` when it is expired, foreign or for another audience."""
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={"require": ["iss", "sub", "aud", "iat", "exp"]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(
                "the identity token proves nothing", got=error, expected=f"a token of {self.issuer}"
            ) from error
        return str(claims["sub"])

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3: served below the issuer's URL."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self._url}/token",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
            "claims_supported": ["aud", "exp", "iat", "iss", "sub", "trust"],
        }

    def keys(self) -> dict[str, Any]:
        """The JSON Web Key Set that checks our tokens."""
        numbers = self._key.public_key().public_numbers()
        point = {"x": _base64url(numbers.x), "y": _base64url(numbers.y)}
        return {"keys": [{"kty": "EC", "crv": "P-256", **point, "kid": self._key_id, "use": "sig", "alg": _ALGORITHM}]}

    @property
    def _key_id(self) -> str:
        return hashlib.sha256(public_der(self._key)).hexdigest()[:16]


def _new_secret() -> bytes:
    return secrets.token_urlsafe(32).encode()


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
