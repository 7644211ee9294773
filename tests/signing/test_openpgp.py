"""RPM signatures, judged by rpm and gpg themselves: a file is unsigned or signed, and no agent stays behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.errors import Broken, Misconfigured, Refused
from release.tools import process
from signing import gnupg
from signing.gnupg import Home, create_key, find_key
from signing.openpgp import RpmSigner, check_detached, check_rpms

USER = "Skiff Linux packages <packages@skiff.example>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("gnupg") / "home"
    asyncio.run(create_key(path, user_id=USER))
    yield path
    assert not serves(agent_socket(path))


@pytest.fixture
async def signer(home: Path) -> RpmSigner:
    return RpmSigner(home=Home(path=home), key=await find_key(home))


@pytest.fixture
def rpms(rpm: Path, tmp_path: Path) -> list[Path]:
    """Three unsigned packages, one with a name that a shell would mistake."""
    names = ("keel.rpm", "keel & co (1).rpm", "-keel.rpm")
    return [Path(shutil.copy(rpm, tmp_path / name)) for name in names]


def agent_socket(home: Path) -> str:
    """Where the gpg-agent of a home listens; GnuPG chooses another folder where /run/user/<uid> exists."""
    asked = ["gpgconf", "--homedir", str(home), "--list-dirs", "agent-socket"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def serves(address: str) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(address) == 0


def tag(path: Path, name: str) -> str:
    query = ["rpm", "-qp", "--nosignature", "--qf", f"%{{{name}}}", path]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout


def rpmkeys(path: Path, *words: str, database: Path) -> subprocess.CompletedProcess[str]:
    argv = ["rpmkeys", "--dbpath", database, *words, path]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_key_is_ed25519_in_a_private_home(home: Path) -> None:
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    listed = asyncio.run(Home(path=home).gpg("--list-keys", "--with-colons"))
    fields = next(line.split(":") for line in listed.text.splitlines() if line.startswith("pub:"))
    assert fields[3] == "22"  # EdDSA (RFC 4880bis, section 9.1)
    assert fields[6] == ""  # it does not expire
    assert USER in listed.text


async def test_making_the_key_again_keeps_it(home: Path) -> None:
    assert await create_key(home, user_id="Somebody else") == await find_key(home)


async def test_a_home_that_others_could_read_is_closed(tmp_path: Path) -> None:
    tmp_path.joinpath("home").mkdir(mode=0o755)
    await create_key(tmp_path / "home", user_id=USER)
    assert stat.S_IMODE(tmp_path.joinpath("home").stat().st_mode) == 0o700


async def test_a_home_deeper_than_a_socket_s_name_may_be_long_works(tmp_path: Path, rpms: list[Path]) -> None:
    deep = tmp_path / ("d" * 120) / "home"
    signer = RpmSigner(home=Home(path=deep), key=await create_key(deep, user_id=USER))
    await signer.sign_rpms(rpms[:1])
    await check_rpms(rpms[:1], await signer.public_key())


async def test_rpm_accepts_what_we_sign_and_the_package_is_still_the_same(
    signer: RpmSigner, rpms: list[Path], tmp_path: Path
) -> None:
    before = [(tag(each, "SHA256HEADER"), tag(each, "PAYLOADDIGEST")) for each in rpms]
    await signer.sign_rpms(rpms)
    assert [(tag(each, "SHA256HEADER"), tag(each, "PAYLOADDIGEST")) for each in rpms] == before
    (tmp_path / "key.asc").write_text(await signer.public_key())
    rpmkeys(tmp_path / "key.asc", "--import", database=tmp_path / "db")
    for each in rpms:
        done = rpmkeys(each, "--define", "_pkgverify_level all", "-Kv", database=tmp_path / "db")
        assert done.returncode == 0, done.stdout
        assert f"EdDSA/SHA256 Signature, key ID {signer.key[-8:].lower()}: OK" in done.stdout


async def test_signing_again_leaves_one_signature(signer: RpmSigner, rpms: list[Path]) -> None:
    for _ in range(2):
        await signer.sign_rpms(rpms)
    assert "EdDSA" in tag(rpms[0], "RSAHEADER:pgpsig") + tag(rpms[0], "DSAHEADER:pgpsig")
    await check_rpms(rpms, await signer.public_key())


async def test_nothing_to_sign_is_nothing_to_do(tmp_path: Path) -> None:
    await RpmSigner(home=Home(path=tmp_path / "missing"), key="none").sign_rpms([])


async def test_an_unsigned_package_is_refused_although_rpm_alone_calls_it_ok(
    signer: RpmSigner, rpms: list[Path], tmp_path: Path
) -> None:
    assert rpmkeys(rpms[0], "-K", database=tmp_path / "db").returncode == 0
    with pytest.raises(Refused, match="not signed by this key") as refusal:
        await check_rpms(rpms[:1], await signer.public_key())
    assert "SIGNATURES NOT OK" in str(refusal.value.got)


async def test_one_bad_package_among_good_ones_is_named_alone(signer: RpmSigner, rpms: list[Path]) -> None:
    await signer.sign_rpms(rpms[:2])
    with pytest.raises(Refused) as refusal:
        await check_rpms(rpms, await signer.public_key())
    assert str(rpms[2]) in str(refusal.value.got)
    assert str(rpms[0]) not in str(refusal.value.got)


async def test_another_key_a_damaged_file_and_no_file_are_refused(
    signer: RpmSigner, rpms: list[Path], tmp_path: Path
) -> None:
    await signer.sign_rpms(rpms)
    key = await signer.public_key()
    stranger = tmp_path / "stranger"
    other = RpmSigner(home=Home(path=stranger), key=await create_key(stranger, user_id="Mallory"))
    with pytest.raises(Refused, match="not signed by this key"):
        await check_rpms(rpms, await other.public_key())
    content = bytearray(rpms[0].read_bytes())
    content[-10] ^= 1
    rpms[0].write_bytes(content)
    with pytest.raises(Refused, match="or are damaged"):
        await check_rpms(rpms, key)
    for bad in (tmp_path / "missing.rpm", tmp_path / "key.asc"):
        (tmp_path / "key.asc").write_text("not an rpm")
        with pytest.raises(Refused):
            await check_rpms([bad], key)


async def test_a_check_of_nothing_or_with_no_key_proves_nothing(signer: RpmSigner, rpms: list[Path]) -> None:
    with pytest.raises(Refused, match="no RPMs to check"):
        await check_rpms([], await signer.public_key())
    for key in ("", "not a key"):
        with pytest.raises(Refused):
            await check_rpms(rpms, key)


async def test_a_key_that_the_machine_trusts_vouches_for_nothing_here(
    signer: RpmSigner, rpms: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own configuration cannot lower the bar: its HOME is not ours."""
    (tmp_path / ".rpmmacros").write_text("%_pkgverify_level none\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Refused, match="not signed by this key"):
        await check_rpms(rpms, await signer.public_key())


async def test_a_file_that_shares_its_bytes_with_a_store_is_signed_alone(signer: RpmSigner, rpms: list[Path]) -> None:
    """Content-addressed stores hand out hard links; signing in place would change what a digest names."""
    stored = rpms[0].with_name("stored")
    stored.hardlink_to(rpms[0])
    before = stored.read_bytes()
    await signer.sign_rpms(rpms[:1])
    assert stored.read_bytes() == before != rpms[0].read_bytes()


@pytest.mark.parametrize("broken", ["gone", "not-an-rpm"])
async def test_a_batch_with_a_bad_file_changes_no_file(signer: RpmSigner, rpms: list[Path], broken: str) -> None:
    if broken == "gone":
        rpms[2].unlink()
    else:
        rpms[2].write_bytes(b"not an rpm")
    before = {path: path.read_bytes() for path in rpms if path.exists()}
    with pytest.raises((Broken, Refused)):
        await signer.sign_rpms(rpms)
    assert {path: path.read_bytes() for path in rpms if path.exists()} == before
    assert {path.name for path in rpms[0].parent.iterdir()} == {path.name for path in before}


async def test_an_rpmsign_that_says_yes_and_does_nothing_is_found_out(
    signer: RpmSigner, rpms: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = tmp_path / "bin" / "rpmsign"
    lazy.parent.mkdir()
    lazy.write_text("#!/bin/sh\nexit 0\n")
    lazy.chmod(0o755)
    monkeypatch.setitem(process.BASE_ENVIRONMENT, "PATH", f"{lazy.parent}:{process.BASE_ENVIRONMENT['PATH']}")
    with pytest.raises(Refused, match="not signed by this key"):
        await signer.sign_rpms(rpms)


async def test_a_key_that_is_missing_needs_a_person(tmp_path: Path, home: Path, rpms: list[Path]) -> None:
    with pytest.raises(Misconfigured, match="no key to sign") as error:
        await find_key(tmp_path / "missing")
    assert error.value.where == str(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o700)
    with pytest.raises(Misconfigured, match="no key to sign"):
        await find_key(empty)
    with pytest.raises(Misconfigured, match="no key to sign"):
        await RpmSigner(home=Home(path=home), key="0" * 40).sign_rpms(rpms)


async def test_gpg_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setitem(process.BASE_ENVIRONMENT, "PATH", "/nonexistent")
    with pytest.raises(Misconfigured, match="gpgconf is not installed"):
        await find_key(home)


async def test_signers_of_one_home_wait_for_each_other(signer: RpmSigner, rpms: list[Path]) -> None:
    await asyncio.gather(*(signer.sign_rpms([each]) for each in rpms), *(signer.public_key() for _ in range(3)))
    await check_rpms(rpms, await signer.public_key())
    assert not serves(agent_socket(signer.home.path))


async def test_a_home_that_is_held_for_too_long_may_be_tried_again(
    signer: RpmSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gnupg, "_LOCK_SECONDS", 0.1)
    async with signer.home.open():
        with pytest.raises(Broken, match="another process has been signing"):
            await signer.public_key()
    assert await signer.public_key()


async def test_our_agent_is_gone_after_success_and_after_failure(signer: RpmSigner, rpms: list[Path]) -> None:
    await signer.sign_rpms(rpms[:1])
    addresses = [agent_socket(signer.home.path)]
    with pytest.raises(RuntimeError, match="stop"):
        async with signer.home.open() as environment:
            await process.run(["gpg", "--batch", "--list-secret-keys"], seconds=10, environment=environment)
            addresses.append(agent_socket(Path(environment["GNUPGHOME"])))
            assert serves(addresses[-1])
            raise RuntimeError("stop")
    assert not any(serves(address) for address in addresses)


def test_an_operator_s_agent_is_used_and_stays(home: Path, rpms: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as short:
        theirs = Path(shutil.copytree(home, Path(short) / "home", ignore=shutil.ignore_patterns("S.*")))
        environment = {**os.environ, "GNUPGHOME": str(theirs)}
        subprocess.run(["gpg-connect-agent", "/bye"], env=environment, check=True, capture_output=True)
        try:
            key = asyncio.run(find_key(home))
            asyncio.run(sign_and_check(RpmSigner(home=Home(path=theirs, owns_agent=False), key=key), rpms))
            assert serves(agent_socket(theirs))
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


async def sign_and_check(signer: RpmSigner, paths: list[Path]) -> None:
    await signer.sign_rpms(paths)
    await check_rpms(paths, await signer.public_key())


SIGN = """
import asyncio, sys
from pathlib import Path
from signing.gnupg import Home
from signing.openpgp import RpmSigner
home, key, *paths = sys.argv[1:]
print("ready", flush=True)
asyncio.run(RpmSigner(home=Home(path=Path(home)), key=key).sign_rpms([Path(path) for path in paths]))
"""


def test_killed_at_any_moment_every_file_is_unsigned_or_signed(home: Path, rpm: Path, tmp_path: Path) -> None:
    """SIGKILL after ever longer times, from before the first copy to after the last rename; then it is finished."""
    signer = RpmSigner(home=Home(path=home), key=asyncio.run(find_key(home)))
    key = asyncio.run(signer.public_key())
    unsigned = rpm.read_bytes()
    paths = [Path(shutil.copy(rpm, tmp_path / f"{number}.rpm")) for number in range(10)]
    for wait in (0.0, 0.03, 0.08, 0.12, 0.16, 0.2, 0.25):
        argv = [sys.executable, "-c", SIGN, str(home), signer.key, *map(str, paths)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as child:
            assert child.stdout
            child.stdout.readline()
            time.sleep(wait)
            os.killpg(child.pid, signal.SIGKILL)
        signed = [path for path in paths if path.read_bytes() != unsigned]
        if signed:
            asyncio.run(check_rpms(signed, key))
    asyncio.run(sign_and_check(signer, paths))


def test_gpgv_accepts_our_detached_signature(home: Path, tmp_path: Path) -> None:
    signer = RpmSigner(home=Home(path=home), key=asyncio.run(find_key(home)))
    public_key, content = asyncio.run(signer.public_key()), b"<repomd/>"
    signature = asyncio.run(signer.sign_detached(content))
    key, signed, proof = tmp_path / "key.gpg", tmp_path / "repomd.xml", tmp_path / "repomd.xml.asc"
    dearmor = ["gpg", "--homedir", tmp_path, "--dearmor"]
    key.write_bytes(subprocess.run(dearmor, input=public_key.encode(), capture_output=True, check=True).stdout)
    signed.write_bytes(content)
    proof.write_bytes(signature)
    done = subprocess.run(["gpgv", "--keyring", key, proof, signed], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f'Good signature from "{USER}"' in done.stderr
    asyncio.run(check_detached(content, signature, public_key))


async def test_a_detached_signature_holds_for_its_content_and_its_key_only(signer: RpmSigner, tmp_path: Path) -> None:
    key, content = await signer.public_key(), b"<repomd/>"
    signature = await signer.sign_detached(content)
    stranger = RpmSigner(
        home=Home(path=tmp_path / "stranger"), key=await create_key(tmp_path / "stranger", user_id="Mallory")
    )
    lies = [
        (b"<repomd />", signature, key),
        (b"", signature, key),
        (content, b"", key),
        (content, signature[: len(signature) // 2], key),
        (content, await stranger.sign_detached(content), key),
        (content, signature, await stranger.public_key()),
        (content, signature, ""),
        (content, signature, "not a key"),
    ]
    for lie in lies:
        with pytest.raises(Refused, match="does not verify"):
            await check_detached(*lie)
