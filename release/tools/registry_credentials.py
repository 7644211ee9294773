"""The credential store of registries that people already have: docker's and oras' config file, read by oras."""

from __future__ import annotations

import asyncio
import base64
import logging
from pathlib import Path

import oras.utils
from oras.auth.base import AuthBackend
from oras.container import Container

from release.errors import Misconfigured
from release.tools.registry_auth import Login

HELPER_SECONDS = 60.0


class DockerCredentials:
    """Logins from one file in docker's format: inline, `credsStore` and `credHelpers`. Read once for each host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logins: dict[str, Login | None] = {}

    async def login(self, host: str) -> Login | None:
        """The login for `host[:port]`, None when the file has none; `Misconfigured` when it cannot be read."""
        if host not in self._logins:
            reading = asyncio.to_thread(self._read, host)
            try:
                self._logins[host] = await asyncio.wait_for(reading, HELPER_SECONDS)
            except TimeoutError as error:
                raise Misconfigured(
                    "a credential helper does not answer",
                    where=str(self._path),
                    got=f"nothing for {host} in {HELPER_SECONDS:g} s",
                    hint="run the helper that credsStore or credHelpers names by hand",
                ) from error
        return self._logins[host]

    def _read(self, host: str) -> Login | None:
        if not self._path.is_file():
            return None
        try:
            basic = _OneFile(self._path).basic(host)
            user, _, secret = base64.b64decode(basic, validate=True).decode().partition(":") if basic else ("", "", "")
        except (ValueError, OSError, AttributeError, KeyError, TypeError) as error:
            raise Misconfigured(
                "the registry credentials cannot be read",
                where=str(self._path),
                got=f"{type(error).__name__} for {host}",
                expected='{"auths": {"<host>": {"auth": "<base64 of user:password>"}}} or a credsStore',
                hint=f"`docker login {host}` writes such a file",
            ) from error
        return Login(user=user, secret=secret) if basic else None


class _OneFile(AuthBackend):  # type: ignore[misc]  # oras ships no types
    """oras' reader of credentials, bound to one file and one question.

    On its own it adds the file of the home folder in no fixed order, and it keeps the last host's login for the
    next host; a backend that has its configuration and answers once does neither.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._auth_config = {"auths": {}, **oras.utils.read_json(str(path))}
        self._basic_auth = ""

    def basic(self, host: str) -> str:
        """base64 of `user:password`, empty when there is none."""
        self.load_configs(Container("login", registry=host))
        return str(self._basic_auth)


# A helper that fails is reported by the registry's refusal; oras would write to standard error on its own.
logging.getLogger("oras").addHandler(logging.NullHandler())
