"""GnuPG's home and its agent: who may use them at one time, and that no agent of ours stays behind.

The key lives in a GNUPGHOME. Ours is made by `create_key`, without a passphrase. In production the home is an
operator's: its gpg-agent holds the key, or reaches it on a smart card or through PKCS#11, and outlives us.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from release.errors import Broken, Misconfigured
from release.tools.process import BASE_ENVIRONMENT, Completed, run

SECONDS = 600.0  # rpmsign reads every byte of the packages it signs
_LOCK_SECONDS = 120.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A GNUPGHOME. With `owns_agent` its gpg-agent is ours: one call at a time on the whole machine uses it, and it
    is ended afterwards. Without, the agent is the operator's and stays."""

    path: Path
    owns_agent: bool = True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Mapping[str, str]]:
        """The environment in which gpg and rpmsign find this home; `Misconfigured` when there is none."""
        if not self.path.is_dir():
            raise self.without("any key")
        if not self.owns_agent:
            yield {"GNUPGHOME": str(self.path)}
            return
        end = program("gpgconf")
        lock = await _locked(self.path)
        try:
            # The agent's sockets are named below the home, and an AF_UNIX path holds 107 bytes (unix(7)).
            with tempfile.TemporaryDirectory(prefix="gpg-") as short:
                link = Path(short) / "home"
                link.symlink_to(self.path.absolute())
                environment = {"GNUPGHOME": str(link)}
                try:
                    yield environment
                finally:
                    await run([end, "--kill", "all"], seconds=SECONDS, environment=environment, check=False)
        finally:
            os.close(lock)

    async def gpg(self, *words: str, stdin: bytes | None = None) -> Completed:
        """One gpg command in this home."""
        async with self.open() as environment:
            return await run([program("gpg"), "--batch", *words], seconds=SECONDS, environment=environment, stdin=stdin)

    async def fingerprint(self) -> str | None:
        """The first secret key (GnuPG, doc/DETAILS: field 10 of the `fpr` record that follows `sec`)."""
        listed = await self.gpg("--list-secret-keys", "--with-colons")
        records = [line.split(":") for line in listed.text.splitlines()]
        return next((fields[9] for fields in records if fields[0] == "fpr"), None)

    def without(self, key: str) -> Misconfigured:
        """The error of a home that does not hold `key`."""
        hint = "slipway init makes a key; or name the GNUPGHOME and the fingerprint of yours"
        return Misconfigured("no key to sign RPMs with", where=str(self.path), expected=key, hint=hint)


async def create_key(path: Path, *, user_id: str) -> str:
    """The fingerprint of the Ed25519 key of a home of our own (0700), both made the first time.

    Ed25519: 8 ms a package where RSA-3072 takes 29, and rpm from 4.18 on verifies it.
    """
    path.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one system call
    path.chmod(0o700)  # noqa: ASYNC240 - one system call
    home = Home(path=path)
    if await home.fingerprint() is None:
        unprotected = ("--pinentry-mode", "loopback", "--passphrase", "")
        await home.gpg(*unprotected, "--quick-generate-key", user_id, "ed25519", "sign", "never")
    return await find_key(path)


async def find_key(path: Path) -> str:
    """The fingerprint of the key that `create_key` made; `Misconfigured` when it did not."""
    home = Home(path=path)
    found = await home.fingerprint()
    if found is None:
        raise home.without("a secret key")
    return found


def program(name: str) -> str:
    """The absolute path of `gpg` or `gpgconf`: what rpm looks for by itself, gpg2, is missing on Debian."""
    found = shutil.which(name, path=BASE_ENVIRONMENT["PATH"])
    if found is None:
        raise Misconfigured(f"{name} is not installed", hint="slipway doctor names the missing packages")
    return found


async def _locked(home: Path) -> int:
    """Hold the home, so that nobody ends the agent of another process that is in the midst of signing."""
    lock = os.open(home / "slipway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(_LOCK_SECONDS):
            while not _try_lock(lock):  # noqa: ASYNC110 - the holder is another process, which sets no event of ours
                await asyncio.sleep(_POLL_SECONDS)
    except BaseException as error:
        os.close(lock)
        if isinstance(error, TimeoutError):
            raise Broken("another process has been signing for too long", where=str(home)) from error
        raise
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
