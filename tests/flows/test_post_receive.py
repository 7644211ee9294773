"""The hook of a bare repository: every pushed branch is told, with proof of who tells, and a push never fails."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flows.post_receive import DELETED, main
from signing.webhooks import WebhookSecrets, authenticate
from tests.conftest import ROOT, free_port

SECRET = "a secret of the test"
BEFORE, AFTER = "1" * 40, "2" * 40


class Receiver:
    """Keeps what it is told; answers `status` with `answer`."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.status, self.answer = 202, b'{"flow_run": "f-1"}'
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        self._thread = Thread(target=self._server.serve_forever)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


def push(url: str, secret: Path, *lines: str) -> int:
    """The hook, as git runs it."""
    return main(["--url", url, "--secret-file", str(secret), "--repository", "distribution"], lines)


def test_tells_of_each_branch_with_a_signature_that_the_receiver_accepts(receiver: Receiver, secret: Path) -> None:
    assert push(receiver.url, secret, f"{BEFORE} {AFTER} refs/heads/stable", f"{BEFORE} {AFTER} refs/heads/topic") == 0
    assert [json.loads(body)["ref"] for _, body in receiver.told] == ["refs/heads/stable", "refs/heads/topic"]
    headers, body = receiver.told[0]
    assert authenticate(headers.items(), body, WebhookSecrets(plain=SECRET), now=datetime.now(UTC)) == "plain"
    event = json.loads(body)
    assert (event["repository"], event["before"], event["after"]) == ("distribution", BEFORE, AFTER)


def test_tells_nothing_of_tags_and_notes(receiver: Receiver, secret: Path) -> None:
    lines = (f"{BEFORE} {AFTER} refs/tags/v1", f"{BEFORE} {AFTER} refs/notes/slipway")
    assert push(receiver.url, secret, *lines) == 0
    assert receiver.told == []


def test_tells_of_a_deleted_branch_without_looking_for_its_commit(receiver: Receiver, secret: Path) -> None:
    assert push(receiver.url, secret, f"{BEFORE} {DELETED} refs/heads/topic") == 0
    assert json.loads(receiver.told[0][1])["subject"] == ""


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (202, b'{"flow_run": "f-7"}', "slipway: stable 222222222222 is on its way (flow run f-7)"),
        (200, b'{"ignored": "branch topic is not stable"}', "branch topic is not stable"),
        (
            401,
            b'{"error": "who are you"}',
            'was not accepted (HTTP 401: {"error": "who are you"}); the poller finds it',
        ),
        (500, b"<html>", "was not accepted (HTTP 500: <html>); the poller finds it"),
        (200, b"<html>", "the poller finds it"),
        (200, b"[]", "the poller finds it"),
    ],
)
def test_says_what_became_of_it_and_never_fails_the_push(
    receiver: Receiver, secret: Path, capsys: pytest.CaptureFixture[str], status: int, answer: bytes, expected: str
) -> None:
    receiver.status, receiver.answer = status, answer
    assert push(receiver.url, secret, f"{BEFORE} {AFTER} refs/heads/stable") == 0
    assert expected in capsys.readouterr().err


def test_a_receiver_that_is_down_does_not_stop_the_push(secret: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push(f"http://127.0.0.1:{free_port()}/events", secret, f"{BEFORE} {AFTER} refs/heads/stable") == 0
    assert "was not delivered" in capsys.readouterr().err


def test_something_else_behind_the_port_does_not_stop_the_push(
    secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/events"
        assert push(url, secret, f"{BEFORE} {AFTER} refs/heads/stable") == 0
        thread.join()
    assert "was not delivered (SSH-2.0-OpenSSH_9.2" in capsys.readouterr().err


def test_a_missing_secret_does_not_stop_the_push(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(receiver.url, tmp_path / "none", f"{BEFORE} {AFTER} refs/heads/stable") == 0
    assert "was not delivered" in capsys.readouterr().err
    assert receiver.told == []


def test_a_real_push_tells_the_subject_of_the_newest_commit(receiver: Receiver, secret: Path, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init", "-q", "--bare", "origin.git")
    hook = tmp_path / "origin.git" / "hooks" / "post-receive"
    words = f"--url {receiver.url} --secret-file {secret} --repository distribution"
    hook.write_text(f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m flows.post_receive {words}\n")
    hook.chmod(0o755)
    git("clone", "-q", "origin.git", "clone")
    who = ("-c", "user.name=Robin", "-c", "user.email=robin@tiny.example")
    git("-C", "clone", *who, "commit", "-q", "--allow-empty", "-m", "zlib: Fix it\n\nAt length.")
    git("-C", "clone", "push", "-q", "origin", "HEAD:stable")
    event = json.loads(receiver.told[0][1])
    assert (event["subject"], event["author"], event["before"]) == ("zlib: Fix it", "Robin", "0" * 40)
