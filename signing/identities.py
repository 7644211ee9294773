"""Who signs: the sources of an OIDC identity token, asked anew for each certificate because tokens are short-lived."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from release.errors import Broken, Misconfigured, Refused
from release.tools.process import run
from signing.policy import Role

_SECONDS = 30.0


class IdentitySource(Protocol):
    """Something that yields a raw identity token (a JWT for the audience `sigstore`)."""

    def token(self) -> str:
        """A fresh token; `Misconfigured` when there is none to be had, `Broken` when its source failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambient:
    """The identity of the machine: GitHub Actions, GitLab, Buildkite, CircleCI, Google Cloud."""

    def token(self) -> str:
        """The CI system's token."""
        from sigstore.oidc import IdentityError, detect_credential

        try:
            token = detect_credential()
        except IdentityError as error:
            hint = inspect.cleandoc(error.diagnostics())
            raise Misconfigured("the CI system gives no identity token", got=error, hint=hint) from error
        if not token:
            raise Misconfigured(
                "this machine has no identity of its own",
                expected="a CI system with OIDC tokens",
                hint="configure a token file, a command, or the embedded Sigstore",
            )
        return token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """A file that somebody keeps fresh: a projected service account token of Kubernetes, a SPIFFE helper's JWT."""

    path: Path

    def token(self) -> str:
        """The file's content as it is now."""
        try:
            text = self.path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured("no identity token", where=str(self.path), got=error) from error
        return _nonempty(text, str(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCommand:
    """A command that prints a token: a cloud's or a vault's command line."""

    argv: Sequence[str]

    def token(self) -> str:
        """What the command prints. Its output never shows up in an error."""
        # A thread of its own has no event loop yet, whoever calls.
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(lambda: asyncio.run(run(self.argv, seconds=_SECONDS, check=False))).result()
        if done.code:
            said = done.stderr.decode("utf-8", "replace").strip()[-1000:]
            raise Broken("the token command failed", where=self.argv[0], got=f"exit code {done.code}: {said}")
        return _nonempty(done.text.strip(), self.argv[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedToken:
    """A token of the embedded Sigstore that answers at `url`, for a role, against the role's secret file."""

    url: str
    role: Role
    secret: Path

    def token(self) -> str:
        """A token for this role's identity; `Refused` when the secret is not the role's."""
        where = f"{self.url}/token"
        headers = {"Authorization": f"Bearer {TokenFile(path=self.secret).token()}"}
        try:
            # Loopback is never behind a proxy, whatever the environment says.
            with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
                answer = client.post(where, json={"role": self.role}, headers=headers)
            if answer.status_code == httpx.codes.OK:
                return str(answer.json()["id_token"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            hint = "is the embedded Sigstore running? (slipway up)"
            raise Broken("no token from the embedded Sigstore", where=where, got=error, hint=hint) from error
        family = Refused if answer.is_client_error else Broken
        raise family(
            "the embedded Sigstore gives no token",
            where=where,
            got=answer.text[:500],
            hint=f"{self.secret} holds the secret of another role, or of another instance",
        )


def _nonempty(token: str, where: str) -> str:
    if not token:
        raise Misconfigured("the identity token is empty", where=where)
    return token
