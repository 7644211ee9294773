"""The state folder and what is made in it: kept over restarts, closed to others, branded, owned by one process."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from release.errors import Broken, Misconfigured, Refused
from signing.embedded.folder import Folder
from signing.embedded.instance import Instance
from signing.embedded.tokens import AUDIENCE, TOKEN_LIFE
from signing.policy import EMBEDDED_ORGANIZATION, Role
from tests.signing.conftest import IDENTITY

NOW = datetime.now(UTC)  # for the reader: each test sees the time at which it begins
URL = "http://127.0.0.1:4321"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens live ten minutes, and a whole test run takes longer than that."""
    monkeypatch.setattr(f"{__name__}.NOW", datetime.now(UTC))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(path=tmp_path / "state")


@contextmanager
def opened(folder: Folder, *, url: str = URL) -> Iterator[Instance]:
    with folder.owned():
        instance = Instance(folder, url=url, identity=IDENTITY, now=NOW)
        instance.publish()
        try:
            yield instance
        finally:
            instance.log.close()


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_closed_to_everybody_else(folder: Folder) -> None:
    before = os.umask(0)
    try:
        with opened(folder):
            pass
    finally:
        os.umask(before)
    assert permissions(folder.path) == 0o700
    assert {path.name: permissions(path) for path in folder.path.iterdir()} == {
        path.name: 0o600 for path in folder.path.iterdir()
    }


@pytest.mark.parametrize("name", ["ca.key", "sign.secret", "."])
def test_refuses_to_use_what_others_may_read(folder: Folder, name: str) -> None:
    with opened(folder):
        pass
    (folder.path / name).chmod(0o750)
    with pytest.raises(Misconfigured, match="other users") as error, opened(folder):
        pass
    assert error.value.got == "0750"
    assert error.value.hint and "chmod" in error.value.hint


def test_a_restart_keeps_every_key_certificate_and_secret(folder: Folder) -> None:
    with opened(folder) as first:
        before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
        entry = first.log.append(b"entry")
    with opened(folder) as second:
        assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == {
            **before,
            "log": folder.log.read_bytes(),
        }
        assert second.log.append(b"entry").index == entry.index + 1


def test_a_restart_on_another_port_moves_the_services_and_keeps_the_issuer(folder: Folder) -> None:
    with opened(folder):
        assert folder.known_issuer() == f"{URL}/embedded"
    with opened(folder, url="http://127.0.0.1:9999") as moved:
        assert moved.tokens.issuer == folder.known_issuer() == f"{URL}/embedded"
    config = json.loads(folder.trust_config.read_text())
    assert config["signingConfig"]["caUrls"][0]["url"] == "http://127.0.0.1:9999"


def test_only_one_process_serves_a_folder(folder: Folder) -> None:
    with opened(folder), pytest.raises(Refused, match="another process"), folder.owned():
        pass
    with folder.owned():
        pass


def test_a_lost_log_is_never_replaced_by_an_empty_one(folder: Folder) -> None:
    with opened(folder):
        pass
    folder.log.unlink()
    with pytest.raises(Broken, match="log is gone"), opened(folder):
        pass
    assert not folder.log.exists()


@pytest.mark.parametrize("stage", ["ca.key", "ca.crt", "tsa.key", "tsa.crt", "log-head.key", "sign.secret"])
def test_a_first_start_that_was_killed_is_finished_by_the_next(folder: Folder, stage: str) -> None:
    """Files are written whole, one after the other; this is the folder when we were killed before `stage`."""
    with opened(folder):
        pass
    kept = (folder.path / "ca.key").read_bytes()
    late = (folder.path / stage).stat().st_mtime_ns
    for path in folder.path.iterdir():
        if path.stat().st_mtime_ns >= late and path.name != "lock":
            path.unlink()
    with opened(folder) as finished:
        assert finished.log.append(b"entry").index == 1
    older_than_the_authority = stage in ("sign.secret", "ca.key")
    assert ((folder.path / "ca.key").read_bytes() == kept) is not older_than_the_authority


@pytest.mark.parametrize("name", ["ca.key", "log-head.key", "ca.crt"])
def test_a_foreign_key_file_is_named(folder: Folder, name: str) -> None:
    with opened(folder):
        pass
    for content in (b"", b"not a key", other_kind(folder, name)):
        (folder.path / name).write_bytes(content)
        with pytest.raises(Misconfigured, match="not a key") as error, opened(folder):
            pass
        assert error.value.where == str(folder.path / name)


def other_kind(folder: Folder, name: str) -> bytes:
    """A valid key, of the kind that the file must not hold."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem if name == "log-head.key" else (folder.path / "log-head.key").read_bytes()


def test_everything_it_certifies_is_branded(folder: Folder) -> None:
    with opened(folder) as instance:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        leaf = instance.authority.issue(key, identity=f"{IDENTITY}/sign", issuer=instance.tokens.issuer, now=NOW)
        token = instance.tokens.mint("sign", folder.secret(Role.SIGN).read_text(), now=NOW)
        names = [leaf.issuer, *(cert.subject for cert in authorities(folder))]
        claims = jwt.decode(token, options={"verify_signature": False})
    for name in names:
        assert [each.value for each in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
            EMBEDDED_ORGANIZATION
        ]
    assert claims["trust"] == EMBEDDED_ORGANIZATION == "trust: embedded"
    assert instance.tokens.issuer.endswith("/embedded")


def authorities(folder: Folder) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(path.read_bytes()) for path in folder.path.glob("*.crt")]


def test_a_certificate_lives_ten_minutes_and_names_one_uri(folder: Folder) -> None:
    with opened(folder) as instance:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        leaf = instance.authority.issue(key, identity=f"{IDENTITY}/sign", issuer="https://i.example", now=NOW)
    assert leaf.not_valid_before_utc == NOW.replace(microsecond=0)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(minutes=10)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(f"{IDENTITY}/sign")]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign


@pytest.mark.parametrize("role", list(Role))
def test_a_role_gets_a_token_for_its_secret_and_for_no_other(folder: Folder, role: Role) -> None:
    with opened(folder) as instance:
        secrets = {each: folder.secret(each).read_text() for each in Role}
        assert instance.tokens.identity_in(instance.tokens.mint(role, secrets[role], now=NOW)) == f"{IDENTITY}/{role}"
        wrong = [secret for other, secret in secrets.items() if other is not role]
        for secret in (*wrong, "", secrets[role][:-1], secrets[role] + "x", "ünïcode"):
            with pytest.raises(Refused, match="no token"):
                instance.tokens.mint(role, secret, now=NOW)


@pytest.mark.parametrize("role", ["", "root", "Sign", "sign/../promote", "promote/stable"])
def test_there_is_no_token_for_what_is_no_role(folder: Folder, role: str) -> None:
    with opened(folder) as instance, pytest.raises(Refused, match="no token"):
        instance.tokens.mint(role, folder.secret(Role.SIGN).read_text(), now=NOW)


def test_a_token_ends_after_ten_minutes(folder: Folder) -> None:
    with opened(folder) as instance:
        secret = folder.secret(Role.SIGN).read_text()
        old = instance.tokens.mint("sign", secret, now=NOW - TOKEN_LIFE - timedelta(seconds=1))
        with pytest.raises(Refused, match="proves nothing") as refusal:
            instance.tokens.identity_in(old)
        assert "expired" in str(refusal.value.got)


@pytest.mark.parametrize(
    "change",
    [{"iss": "https://other.example"}, {"aud": "registry"}, {"sub": None}, {"exp": None}, {"aud": None}],
    ids=str,
)
def test_a_token_must_be_ours_for_sigstore_and_complete(folder: Folder, change: dict[str, str | None]) -> None:
    with opened(folder) as instance:
        claims = {
            "iss": instance.tokens.issuer,
            "sub": f"{IDENTITY}/sign",
            "aud": AUDIENCE,
            "iat": NOW,
            "exp": NOW + TOKEN_LIFE,
        }
        pem = (folder.path / "oidc.key").read_bytes()
        assert instance.tokens.identity_in(jwt.encode(claims, pem, algorithm="ES256"))
        changed = {name: value for name, value in {**claims, **change}.items() if value is not None}
        with pytest.raises(Refused, match="proves nothing"):
            instance.tokens.identity_in(jwt.encode(changed, pem, algorithm="ES256"))


def test_a_token_signed_by_another_key_or_by_none_proves_nothing(folder: Folder) -> None:
    with opened(folder) as instance:
        claims = {"iss": instance.tokens.issuer, "sub": "x", "aud": AUDIENCE, "iat": NOW, "exp": NOW + TOKEN_LIFE}
        other = ec.generate_private_key(ec.SECP256R1())
        forged = jwt.encode(claims, other, algorithm="ES256")
        unsigned = jwt.encode(claims, None, algorithm="none")
        for token in (forged, unsigned, "", "a.b.c", "not a token"):
            with pytest.raises(Refused, match="proves nothing"):
                instance.tokens.identity_in(token)


def test_the_published_keys_check_our_tokens(folder: Folder) -> None:
    with opened(folder) as instance:
        token = instance.tokens.mint("build", folder.secret(Role.BUILD).read_text(), now=NOW)
        (key,) = jwt.PyJWKSet.from_dict(instance.tokens.keys()).keys
        assert jwt.get_unverified_header(token)["kid"] == key.key_id
        assert jwt.decode(token, key, audience=AUDIENCE, issuer=instance.tokens.issuer)["sub"] == f"{IDENTITY}/build"
    assert instance.tokens.discovery()["jwks_uri"].startswith(instance.tokens.issuer)


def test_before_the_first_start_the_issuer_is_unknown(folder: Folder) -> None:
    with pytest.raises(Misconfigured, match="never run"):
        folder.known_issuer()
