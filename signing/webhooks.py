"""Proof that an event comes from who it says: the signatures of four kinds of webhook, checked before any parsing."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from release.errors import Misconfigured, Refused
from release.source.forges import Kind

# Standard Webhooks, "Verifying webhook authenticity": five minutes on either side of our clock.
WINDOW = timedelta(minutes=5)
SIGNATURE_HEADER = "x-slipway-signature-256"
TIMESTAMP_HEADER = "x-slipway-timestamp"
_GITHUB = "x-hub-signature-256"
_GITEA = "x-gitea-signature"
_GITLAB_TOKEN = "x-gitlab-token"  # noqa: S105 - the name of a header
_GITLAB_SIGNATURE = "webhook-signature"
_SIGNING_TOKEN = "whsec_"  # noqa: S105 - the prefix by which GitLab's signing tokens are known
_PROOFS = MappingProxyType(
    {
        _GITHUB: Kind.GITHUB,
        _GITEA: Kind.GITEA,
        _GITLAB_TOKEN: Kind.GITLAB,
        _GITLAB_SIGNATURE: Kind.GITLAB,
        SIGNATURE_HEADER: Kind.PLAIN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecrets:
    """The shared secret of each kind; an empty one refuses every event of that kind. Never printed.

    A GitLab secret that starts with `whsec_` is a signing token: then only signed events are accepted, never the
    token header, so that nobody chooses the weaker proof for us.
    """

    github: str = field(default="", repr=False)
    gitlab: str = field(default="", repr=False)
    gitea: str = field(default="", repr=False)
    plain: str = field(default="", repr=False)


def authenticate(headers: Iterable[tuple[str, str]], body: bytes, secrets: WebhookSecrets, *, now: datetime) -> Kind:
    """Who sent these bytes. `headers` are all (name, value) pairs as received, in any case; `now` is aware.

    `Refused` when no known proof is present, two kinds claim the event, a proof is given twice, is wrong or too old,
    or there is no secret for the kind. `body` is not looked into.
    """
    seen = _singles(headers)
    kind = _claimed(seen)
    secret: str = getattr(secrets, kind.value)
    if not secret:
        raise Refused(f"no secret is set for {kind} webhooks", hint="give the webhook and Slipway the same secret")
    _CHECKS[kind](seen, body, secret, now)
    return kind


def plain_signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of `X-Slipway-Signature-256` for a body sent at `timestamp` (unix seconds, itself a header).

    `sha256=` and the hex HMAC-SHA256 of `<timestamp>.<body>`: a captured event cannot be given a new time.
    """
    return f"sha256={_hmac(secret.encode(), b'%d.%b' % (timestamp, body)).hex()}"


def _singles(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    seen: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in seen and name.lower() in _PROOFS:
            raise Refused("the same proof is given twice", got=f"two {name.lower()} headers", expected="one")
        seen[name.lower()] = value
    return seen


def _claimed(seen: Mapping[str, str]) -> Kind:
    kinds = {kind for header, kind in _PROOFS.items() if header in seen}
    if kinds == {Kind.GITEA, Kind.GITHUB}:
        kinds = {Kind.GITEA}  # Gitea sends a copy of its signature under GitHub's name (services/webhook/deliver.go)
    if len(kinds) == 1:
        return kinds.pop()
    raise Refused(
        "two kinds of webhook claim this event" if kinds else "this event is not signed",
        got=", ".join(sorted(kinds)) or "no signature header",
        expected=f"one of: {', '.join(_PROOFS)}",
        hint="set a secret in the forge's webhook settings",
    )


def _check_github(seen: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    # GitHub docs, "Validating webhook deliveries": sha256= and the hex HMAC of the body.
    _compare(_GITHUB, seen[_GITHUB], f"sha256={_hmac(secret.encode(), body).hex()}")


def _check_gitea(seen: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    expected = _hmac(secret.encode(), body).hex()
    _compare(_GITEA, seen[_GITEA], expected)
    if _GITHUB in seen:
        _compare(_GITHUB, seen[_GITHUB], f"sha256={expected}")


def _check_gitlab(seen: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    if not secret.startswith(_SIGNING_TOKEN):
        return _compare(_GITLAB_TOKEN, seen.get(_GITLAB_TOKEN, ""), secret)
    # Standard Webhooks: one of several space-separated `v1,<base64 HMAC of id.timestamp.body>`.
    timestamp = _recent("webhook-timestamp", seen.get("webhook-timestamp", ""), now)
    signed = f"{seen.get('webhook-id', '')}.{timestamp}.".encode() + body
    expected = f"v1,{base64.b64encode(_hmac(_signing_key(secret), signed)).decode()}"
    matches = [_equal(given, expected) for given in seen.get(_GITLAB_SIGNATURE, "").split(" ")]
    if not any(matches):
        raise _wrong(_GITLAB_SIGNATURE)
    return None


def _check_plain(seen: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    timestamp = _recent(TIMESTAMP_HEADER, seen.get(TIMESTAMP_HEADER, ""), now)
    _compare(SIGNATURE_HEADER, seen[SIGNATURE_HEADER], plain_signature(secret, timestamp, body))


_Check = Callable[[Mapping[str, str], bytes, str, datetime], None]
_CHECKS: Mapping[Kind, _Check] = MappingProxyType(
    {
        Kind.GITHUB: _check_github,
        Kind.GITEA: _check_gitea,
        Kind.GITLAB: _check_gitlab,
        Kind.PLAIN: _check_plain,
    }
)


def _recent(header: str, text: str, now: datetime) -> int:
    """The timestamp, when it lies in the replay window; it is part of what is signed, so it cannot be refreshed."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise Refused(f"no usable {header}", got=text[:20] or "missing", expected="unix seconds")
    age = now.timestamp() - int(text)
    if abs(age) > WINDOW.total_seconds():
        raise Refused(
            "this event is not recent: a replay, or a wrong clock",
            got=f"{abs(age):.0f} s {'old' if age > 0 else 'ahead'}",
            expected=f"at most {WINDOW.total_seconds():.0f} s either way",
            hint="send the event again; compare the clocks of both machines",
        )
    return int(text)


def _signing_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SIGNING_TOKEN), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise Misconfigured("the GitLab signing token is malformed", expected="whsec_ and base64 of the key")
    return key


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _compare(header: str, given: str, expected: str) -> None:
    if not _equal(given, expected):
        raise _wrong(header)


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="backslashreplace"), expected.encode())


def _wrong(header: str) -> Refused:
    return Refused(
        "the signature does not match",
        where=header,
        expected="the proof that the shared secret makes of exactly these bytes",
        hint="give the webhook and Slipway the same secret",
    )
