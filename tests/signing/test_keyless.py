"""Keyless signing against the real service, and against services that hang, refuse, lie or are gone."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.x509 import Certificate

from release.digests import digest_of
from release.errors import Broken, Misconfigured, Refused
from signing.attestations import signature_statement
from signing.identities import TokenFile
from signing.policy import Role
from signing.statements import SIGNATURE
from signing.trust import TrustFile
from signing.verifier import Verifier
from tests.conftest import free_port
from tests.signing.conftest import DIGEST, IDENTITY, Sigstore, embedded
from tests.signing.forge import Forge

STATEMENT = signature_statement(DIGEST)
FULCIO, REKOR, TSA = "/api/v2/signingCert", "/api/v2/log/entries", "/api/v1/timestamp"


def certificate(bundle: bytes) -> Certificate:
    raw = json.loads(bundle)["verificationMaterial"]["certificate"]["rawBytes"]
    return x509.load_der_x509_certificate(base64.b64decode(raw))


def test_a_batch_is_signed_in_order_under_one_certificate(sigstore: Sigstore, verifier: Verifier) -> None:
    digests = [digest_of(b"%d" % number) for number in range(40)]
    bundles = sigstore.signer(Role.SIGN).sign_statements([signature_statement(each) for each in digests])
    assert len({certificate(each).serial_number for each in bundles}) == 1
    for digest, bundle in zip(digests, bundles, strict=True):
        verifier.verify_said(bundle, subject_digest=digest, predicate_type=SIGNATURE, policy=sigstore.policy)


def test_the_statement_is_signed_byte_for_byte(sigstore: Sigstore) -> None:
    (bundle,) = sigstore.signer(Role.SIGN).sign_statements([STATEMENT])
    assert base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]) == STATEMENT


def test_nothing_to_sign_asks_nobody(tmp_path: Path) -> None:
    nowhere = TrustFile(path=tmp_path / "nowhere.json")
    assert unreachable(tmp_path).signer(Role.SIGN, trust=nowhere).sign_statements([]) == ()


def unreachable(tmp_path: Path) -> Sigstore:
    return embedded(tmp_path / "never-started")


def test_a_certificate_is_kept_while_it_lasts_and_renewed_in_time(sigstore: Sigstore) -> None:
    now = datetime.now(UTC)
    times = [now]
    signer = sigstore.signer(Role.SIGN, clock=lambda: times[-1])
    serials = []
    for minutes in (0, 7, 8, 9, 16):
        times.append(now + timedelta(minutes=minutes))
        serials.append(certificate(signer.sign_statements([STATEMENT])[0]).serial_number)
    assert serials[0] == serials[1] != serials[2] == serials[3] != serials[4]


def test_many_threads_share_one_signer(sigstore: Sigstore) -> None:
    signer = sigstore.signer(Role.SIGN, threads=2)
    done: list[bytes] = []
    threads = [threading.Thread(target=lambda: done.extend(signer.sign_statements([STATEMENT] * 3))) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(done) == 18
    assert len({certificate(each).serial_number for each in done}) == 1


async def test_signs_from_a_task_s_thread(sigstore: Sigstore) -> None:
    signer = sigstore.signer(Role.SIGN)
    assert len(await asyncio.to_thread(signer.sign_statements, [STATEMENT])) == 1


@pytest.mark.parametrize("statement", [b"", b"{}", b"hello", STATEMENT.replace(b"sha256", b"md5")])
def test_refuses_what_is_no_statement_before_it_asks_anybody(tmp_path: Path, statement: bytes) -> None:
    signer = unreachable(tmp_path).signer(Role.SIGN)
    with pytest.raises(Refused, match="not an in-toto statement"):
        signer.sign_statements([STATEMENT, statement])


class Service:
    """Something on a port that answers as told: by path a status and a body, a callable, or silence (None)."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(self.path)
                self.rfile.read(int(self.headers["Content-Length"]))
                answer = answers.get(self.path, (404, b""))
                if answer is None:
                    outer.release.wait(30)
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def instead(sigstore: Sigstore, tmp_path: Path) -> Iterator[Callable[..., tuple[TrustFile, Service]]]:
    """A trust config in which one service is replaced by one that answers as told."""
    services: list[Service] = []

    def replace(where: str, answer: Any, field: str) -> tuple[TrustFile, Service]:
        services.append(Service({where: answer}))
        config = json.loads(sigstore.folder.trust_config.read_text())
        url = services[-1].url + (TSA if field == "tsaUrls" else "")
        config["signingConfig"][field][0]["url"] = url
        (tmp_path / "config.json").write_text(json.dumps(config))
        return TrustFile(path=tmp_path / "config.json"), services[-1]

    yield replace
    for each in services:
        each.stop()


PARTS = [(FULCIO, "caUrls"), (REKOR, "rekorTlogUrls"), (TSA, "tsaUrls")]


@pytest.mark.parametrize(("path", "field"), PARTS[:2])
def test_a_service_that_hangs_is_given_up_in_time(sigstore: Sigstore, instead: Any, path: str, field: str) -> None:
    trust, _ = instead(path, None, field)
    start = time.monotonic()
    with pytest.raises(Broken, match="signing failed") as error:
        sigstore.signer(Role.SIGN, trust=trust, request_seconds=0.3).sign_statements([STATEMENT] * 3)
    assert time.monotonic() - start < 5
    assert "timed out" in str(error.value.got)


@pytest.mark.parametrize(("path", "field"), PARTS[:2])
@pytest.mark.parametrize(
    ("status", "family"), [(400, Refused), (403, Refused), (409, Refused), (429, Broken), (500, Broken), (503, Broken)]
)
def test_the_service_s_own_words_reach_the_reader(
    sigstore: Sigstore, instead: Any, path: str, field: str, status: int, family: type[Exception]
) -> None:
    trust, service = instead(path, (status, b'{"code": 3, "message": "the email is not verified"}'), field)
    with pytest.raises(family) as error:
        sigstore.signer(Role.SIGN, trust=trust).sign_statements([STATEMENT])
    assert str(error.value.got) == f"HTTP {status}: the email is not verified"  # type: ignore[attr-defined]
    assert str(error.value.where).startswith(service.url)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("path", "field"), PARTS)
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"[]", b'{"logIndex": "1"}'])
def test_an_answer_that_makes_no_sense_is_broken(
    sigstore: Sigstore, instead: Any, path: str, field: str, body: bytes
) -> None:
    trust, _ = instead(path, (200, body), field)
    with pytest.raises(Broken):
        sigstore.signer(Role.SIGN, trust=trust).sign_statements([STATEMENT])


def test_a_proxy_s_error_page_is_shown_as_it_is_but_not_whole(sigstore: Sigstore, instead: Any) -> None:
    trust, _ = instead(FULCIO, (502, b"<html>" + b"x" * 5000), "caUrls")
    with pytest.raises(Broken) as error:
        sigstore.signer(Role.SIGN, trust=trust).sign_statements([STATEMENT])
    assert str(error.value.got).startswith("HTTP 502: <html>x")
    assert len(str(error.value.got)) < 600


def test_without_a_timestamp_nothing_enters_the_log(sigstore: Sigstore, instead: Any) -> None:
    before = int(log_size(sigstore))
    trust, service = instead(TSA, (500, b""), "tsaUrls")
    with pytest.raises(Broken, match="no timestamp") as error:
        sigstore.signer(Role.SIGN, trust=trust).sign_statements([STATEMENT])
    assert error.value.where == service.url + TSA
    assert int(log_size(sigstore)) == before


def log_size(sigstore: Sigstore) -> str:
    return httpx.get(f"{sigstore.url}/api/v2/checkpoint", trust_env=False).text.split("\n")[1]


def test_the_first_failure_ends_the_batch(sigstore: Sigstore, instead: Any) -> None:
    trust, service = instead(REKOR, (500, b"{}"), "rekorTlogUrls")
    with pytest.raises(Broken):
        sigstore.signer(Role.SIGN, trust=trust, threads=2).sign_statements([STATEMENT] * 200)
    assert len(service.asked) < 20


def test_services_that_are_gone_may_be_tried_again(sigstore: Sigstore, tmp_path: Path) -> None:
    config = sigstore.folder.trust_config.read_text().replace(str(sigstore.port), str(free_port()))
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(Broken, match="signing failed") as error:
        sigstore.signer(Role.SIGN, trust=TrustFile(path=tmp_path / "config.json")).sign_statements([STATEMENT])
    assert "Connection refused" in str(error.value.got)


def test_a_token_that_is_expired_or_foreign_needs_a_person(sigstore: Sigstore, tmp_path: Path) -> None:
    path = tmp_path / "token"
    now = datetime.now(UTC)
    claims = {"iss": "https://i.example", "sub": "x", "aud": "sigstore", "iat": now, "exp": now - timedelta(hours=1)}
    expired = jwt.encode(claims, "k" * 32, algorithm="HS256")
    elsewhere = jwt.encode({**claims, "aud": "registry", "exp": now + timedelta(hours=1)}, "k" * 32, algorithm="HS256")
    for token, why in ((expired, "expired"), (elsewhere, "Audience"), ("not-a-token", "segments")):
        path.write_text(token)
        with pytest.raises(Misconfigured, match="identity token cannot be used") as error:
            sigstore.signer(Role.SIGN, identity=TokenFile(path=path)).sign_statements([STATEMENT])
        assert why in str(error.value.got)


def test_a_token_of_a_stranger_is_refused_by_the_authority(sigstore: Sigstore, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    claims = {"iss": sigstore.issuer, "sub": IDENTITY, "aud": "sigstore", "iat": now, "exp": now + timedelta(hours=1)}
    (tmp_path / "token").write_text(jwt.encode(claims, "k" * 32, algorithm="HS256"))
    with pytest.raises(Refused, match="did not accept") as error:
        sigstore.signer(Role.SIGN, identity=TokenFile(path=tmp_path / "token")).sign_statements([STATEMENT])
    assert "token proves nothing" in str(error.value.got)


def test_an_authority_that_the_trusted_root_does_not_know_is_not_signed_with(
    sigstore: Sigstore, tmp_path: Path
) -> None:
    """The root of another instance beside our services: found out before anything is logged."""
    config = json.loads(sigstore.folder.trust_config.read_text())
    config["trustedRoot"] = Forge.at(tmp_path / "state").instance.trusted_root()
    (tmp_path / "config.json").write_text(json.dumps(config))
    before = log_size(sigstore)
    with pytest.raises(Refused, match="does not verify") as error:
        sigstore.signer(Role.SIGN, trust=TrustFile(path=tmp_path / "config.json")).sign_statements([STATEMENT])
    assert error.value.hint and "another Sigstore instance" in error.value.hint
    assert log_size(sigstore) == before


@pytest.mark.parametrize("field", ["caUrls", "rekorTlogUrls"])
def test_a_trust_config_without_a_service_needs_a_person(sigstore: Sigstore, tmp_path: Path, field: str) -> None:
    config = json.loads(sigstore.folder.trust_config.read_text())
    config["signingConfig"][field] = []
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(Misconfigured, match="no usable services"):
        sigstore.signer(Role.SIGN, trust=TrustFile(path=tmp_path / "config.json")).sign_statements([STATEMENT])


def test_loopback_is_never_reached_through_a_proxy(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert len(sigstore.signer(Role.SIGN).sign_statements([STATEMENT])) == 1
