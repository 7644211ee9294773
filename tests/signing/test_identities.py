"""Where an identity token comes from, and what each source says when there is none."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import jwt
import pytest

from release.errors import Broken, Misconfigured, Refused
from signing.identities import Ambient, EmbeddedToken, TokenCommand, TokenFile
from signing.policy import Role
from tests.conftest import free_port
from tests.signing.conftest import IDENTITY, Sigstore


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


@pytest.mark.parametrize("role", list(Role))
def test_the_embedded_sigstore_gives_each_role_its_identity(sigstore: Sigstore, role: Role) -> None:
    token = claims(sigstore.token(role).token())
    assert (token["sub"], token["iss"], token["aud"]) == (f"{IDENTITY}/{role}", sigstore.issuer, "sigstore")


def test_the_secret_of_one_role_is_no_other_role(sigstore: Sigstore) -> None:
    with pytest.raises(Refused, match="gives no token") as refusal:
        EmbeddedToken(url=sigstore.url, role=Role.PROMOTE, secret=sigstore.folder.secret(Role.BUILD)).token()
    assert "promote" in str(refusal.value.got)
    assert refusal.value.hint and "another role" in refusal.value.hint


def test_a_missing_secret_is_a_missing_file(sigstore: Sigstore, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no identity token") as error:
        EmbeddedToken(url=sigstore.url, role=Role.SIGN, secret=tmp_path / "nowhere").token()
    assert error.value.where == str(tmp_path / "nowhere")


def test_an_embedded_sigstore_that_is_down_may_be_tried_again(sigstore: Sigstore) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Broken, match="no token") as error:
        EmbeddedToken(url=down, role=Role.SIGN, secret=sigstore.folder.secret(Role.SIGN)).token()
    assert error.value.hint and "slipway up" in error.value.hint


def test_something_else_at_the_port_is_no_embedded_sigstore(sigstore: Sigstore, registry_url: str) -> None:
    with pytest.raises(Refused, match="gives no token"):
        EmbeddedToken(url=registry_url, role=Role.SIGN, secret=sigstore.folder.secret(Role.SIGN)).token()


def test_loopback_is_never_asked_through_a_proxy(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert sigstore.token(Role.SIGN).token()


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    source = TokenFile(path=path)
    for content in ("first\n", "  second"):
        path.write_text(content)
        assert source.token() == content.strip()


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"], ids=["missing", "empty", "blank", "binary"])
def test_a_token_file_without_a_token_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Misconfigured) as error:
        TokenFile(path=path).token()
    assert error.value.where == str(path)


def test_a_command_s_output_is_the_token() -> None:
    assert TokenCommand(argv=["echo", "a.b.c"]).token() == "a.b.c"


async def test_a_command_may_be_asked_from_within_an_event_loop() -> None:
    assert TokenCommand(argv=["echo", "a.b.c"]).token() == "a.b.c"
    assert await asyncio.to_thread(TokenCommand(argv=["echo", "a.b.c"]).token) == "a.b.c"


def test_a_command_that_fails_shows_its_words_and_never_its_output() -> None:
    program = "import sys; print('se.cr.et'); print('not logged in', file=sys.stderr); sys.exit(7)"
    with pytest.raises(Broken, match="token command failed") as error:
        TokenCommand(argv=[sys.executable, "-c", program]).token()
    assert "exit code 7: not logged in" in str(error.value.got)
    assert "se.cr.et" not in error.value.diagnostics()


def test_a_command_that_is_missing_or_silent_needs_a_person() -> None:
    with pytest.raises(Misconfigured, match="not installed"):
        TokenCommand(argv=["no-such-program"]).token()
    with pytest.raises(Misconfigured, match="empty"):
        TokenCommand(argv=["true"]).token()


CI_VARIABLES = ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


def test_a_machine_that_is_no_ci_has_no_ambient_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Misconfigured, match="no identity of its own") as error:
        Ambient().token()
    assert error.value.hint and "token file" in error.value.hint


def test_the_token_of_a_ci_system_is_found(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    token = sigstore.token(Role.BUILD).token()
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", token)
    assert Ambient().token() == token


def test_a_ci_job_without_the_permission_says_which_one_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(Misconfigured, match="gives no identity token") as error:
        Ambient().token()
    assert error.value.hint and "id-token: write" in error.value.hint
