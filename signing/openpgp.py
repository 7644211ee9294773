"""OpenPGP, because it is what rpm and dnf enforce: header signatures of RPMs, and detached ones for repomd.xml."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from release.errors import Broken, Refused
from release.tools.process import Completed, run
from signing.gnupg import SECONDS, Home, program


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmSigner:
    """Signs with the key `key` (its fingerprint) of a GnuPG home."""

    home: Home
    key: str

    async def sign_rpms(self, paths: Sequence[Path]) -> None:
        """Sign the headers of RPM files in place, all in one call, and check them as a consumer would.

        Copies are signed and then take the place of the files, so that a file is unsigned or signed whenever we are
        killed; signing again replaces the signature. `Broken` when rpmsign fails, `Refused` when what it made does
        not verify.
        """
        if not paths:
            return
        public_key = await self.public_key()
        with ExitStack() as stack:
            copies = await asyncio.to_thread(_copies, paths, stack)
            async with self.home.open() as environment:
                macros = [*_define("__gpg", program("gpg")), *_define("_gpg_name", self.key)]
                await run(["rpmsign", "--addsign", *macros, *copies], seconds=SECONDS, environment=environment)
            await check_rpms(copies, public_key)
            for copy, path in zip(copies, paths, strict=True):
                copy.replace(path)

    async def sign_detached(self, content: bytes) -> bytes:
        """An armored detached signature: repomd.xml.asc."""
        how = ("--armor", "--digest-algo", "SHA256", "--local-user", self.key)
        return (await self.home.gpg(*how, "--detach-sign", stdin=content)).stdout

    async def public_key(self) -> str:
        """The public key, armored, as rpm and dnf import it; `Misconfigured` when the home does not hold it."""
        exported = await self.home.gpg("--armor", "--export-options", "export-minimal", "--export", self.key)
        if not exported.text:
            raise self.home.without(self.key)
        return exported.text


async def check_rpms(paths: Sequence[Path], public_key: str) -> None:
    """`Refused` unless every file carries a header signature by this armored key, and every digest in it holds.

    rpm by itself calls an unsigned package OK; `_pkgverify_level all` does not. The key is all that the empty
    database knows, so the machine's own keys vouch for nothing.
    """
    if not paths:
        raise Refused("no RPMs to check", expected="at least one: nothing is not proof")
    with tempfile.TemporaryDirectory() as scratch:
        key = Path(scratch) / "key.asc"
        key.write_text(public_key)
        rpmkeys = ["rpmkeys", "--dbpath", str(Path(scratch) / "db"), *_define("_pkgverify_level", "all")]
        imported = await run([*rpmkeys, "--import", key], seconds=SECONDS, check=False)
        if imported.code:
            raise Refused("rpm does not accept the public key", got=_said(imported))
        checked = await run([*rpmkeys, "--checksig", *paths], seconds=SECONDS, check=False)
    if checked.code:
        bad = [line for line in _said(checked).splitlines() if "NOT OK" in line or not line.endswith("OK")]
        raise Refused(
            "RPMs are not signed by this key, or are damaged",
            got="\n       ".join(bad[:20]),
            expected="digests signatures OK",
            hint="sign them again from the build's output",
        )


async def check_detached(content: bytes, signature: bytes, public_key: str) -> None:
    """`Refused` unless the armored detached signature is by this armored key and about this content."""
    with tempfile.TemporaryDirectory() as scratch:
        at = Path(scratch)
        keyring, signed, proof = at / "key.gpg", at / "content", at / "signature.asc"
        signed.write_bytes(content)
        proof.write_bytes(signature)
        dearmor = [program("gpg"), "--homedir", scratch, "--batch", "--output", str(keyring), "--dearmor"]
        await run(dearmor, seconds=SECONDS, stdin=public_key.encode(), check=False)
        checked = await run(["gpgv", "--keyring", keyring, proof, signed], seconds=SECONDS, check=False)
    if checked.code:
        raise Refused("the signature does not verify", got=_said(checked), expected="a good signature by this key")


def _copies(paths: Sequence[Path], stack: ExitStack) -> list[Path]:
    """A copy of each file in a folder beside it: on the same disk, so that it can take the file's place at once."""
    copies = []
    for path in paths:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent, prefix=".signing-"))
            copies.append(Path(shutil.copy(path, folder)))
        except OSError as error:
            raise Broken("an RPM cannot be copied to be signed", where=str(path), got=error) from error
    return copies


def _define(macro: str, value: str) -> tuple[str, str]:
    return "--define", f"{macro} {value}"


def _said(done: Completed) -> str:
    return (done.stdout + done.stderr).decode("utf-8", "replace").strip()
