"""Who we are to a registry: challenges answered, tokens kept until shortly before they end.

Source: distribution's token authentication (docs/spec/auth/token.md) and RFC 7235. One `Authorizer` serves one
registry, so a login or a token cannot reach another host.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from release.errors import Broken
from release.tools.registry_lanes import url_of

FRESH_SHARE = 0.8  # a token is renewed when this share of its life is over
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))')
_SCHEME = re.compile(r'(?i)\b(bearer|basic)\s+((?:\w+=(?:"[^"]*"|[^\s,"]+)[\s,]*)*)')
DEFAULT_SECONDS = 60.0  # token.md: a token without expires_in lives 60 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A name and a secret for one registry; the secret does not print."""

    user: str
    secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()


class CredentialStore(Protocol):
    """Where logins come from."""

    async def login(self, host: str) -> Login | None:
        """The login for `host[:port]`, None for anonymous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a call needs: a repository, and whether it writes."""

    repository: str
    push: bool = False

    @property
    def scope(self) -> str:
        """The scope to ask a token for; writers read too, so that one token serves the whole publication."""
        return f"repository:{self.repository}:{'pull,push' if self.push else 'pull'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    value: str = field(repr=False)
    fresh_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Challenge:
    scheme: str
    realm: str = ""
    service: str = ""


class Authorizer:
    """Authorization headers for one registry. `fetch(url, authorization)` returns the token service's answer."""

    def __init__(
        self,
        *,
        registry: httpx.URL,
        credentials: CredentialStore | None,
        fetch: Callable[[httpx.URL, str | None], Awaitable[bytes]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._credentials = credentials
        self._fetch = fetch
        self._now = now
        self._challenge: _Challenge | None = None
        self._tokens: dict[str, _Token] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def header(self, access: Access | None) -> str | None:
        """The Authorization value for a call; None until the registry has asked for one."""
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            login = await self._login()
            return login.basic if login else None
        return f"Bearer {await self._token(self._challenge, access)}"

    def learn(self, headers: httpx.Headers, access: Access | None, sent: str | None) -> bool:
        """Read a 401's challenge. True when the call is worth another try: the challenge is new, or a token died."""
        challenge = _parse(headers.get_list("www-authenticate"))
        if challenge is None:
            return False
        changed, self._challenge = challenge != self._challenge, challenge
        if sent is None or changed:
            return True
        for scope in _scopes(access):
            token = self._tokens.get(scope)
            if token and sent == f"Bearer {token.value}":
                del self._tokens[scope]
        return challenge.scheme == "bearer"

    async def _token(self, challenge: _Challenge, access: Access | None) -> str:
        scope = access.scope if access else ""
        async with self._asking[scope]:  # thirty-two calls at once ask for one token
            for usable in _scopes(access):
                token = self._tokens.get(usable)
                if token and self._now() < token.fresh_until:
                    return token.value
            token = self._tokens[scope] = await self._ask(challenge, scope)
            return token.value

    async def _ask(self, challenge: _Challenge, scope: str) -> _Token:
        realm = url_of(challenge.realm, base=self._registry)
        wanted = {"service": challenge.service, "scope": scope}
        login = await self._login()
        asked_at = self._now()
        answer = await self._fetch(
            realm.copy_merge_params({key: value for key, value in wanted.items() if value}),
            login.basic if login else None,
        )
        try:
            body = json.loads(answer)
            value = str(body.get("token") or body["access_token"])
            seconds = float(body.get("expires_in") or DEFAULT_SECONDS)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Broken("the token service sent no token", where=challenge.realm) from error
        return _Token(value=value, fresh_until=asked_at + FRESH_SHARE * seconds)

    async def _login(self) -> Login | None:
        return await self._credentials.login(self._registry.netloc.decode()) if self._credentials else None


def _scopes(access: Access | None) -> tuple[str, ...]:
    """Scopes whose tokens serve a call: its own, and for a reader a writer's too."""
    if access is None:
        return ("",)
    return (access.scope, Access(repository=access.repository, push=True).scope)


def _parse(values: list[str]) -> _Challenge | None:
    """The challenge we can answer, Bearer before Basic (RFC 7235, 4.1)."""
    found = {}
    for value in values:
        for scheme, rest in _SCHEME.findall(value):
            fields = {key: quoted or bare for key, quoted, bare in _FIELD.findall(rest)}
            found[scheme.lower()] = _Challenge(
                scheme=scheme.lower(), realm=fields.get("realm", ""), service=fields.get("service", "")
            )
    return found.get("bearer") or found.get("basic")
