"""The embedded Sigstore over HTTP, on loopback: the paths of Fulcio, Rekor v2, a timestamp authority and an issuer."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from release.errors import Error, Refused
from signing.embedded.enrolment import enrol
from signing.embedded.entries import enter
from signing.embedded.instance import Instance

HOST = "127.0.0.1"
MAX_BODY = 256 * 1024  # a certificate request or a log entry has 2 kB
IDLE_SECONDS = 60.0
_logger = logging.getLogger(__name__)


class _TokenRequest(BaseModel):
    role: str


class Service(ThreadingHTTPServer):
    """Serves an instance at 127.0.0.1:`port`, a thread per connection. Clients trust it by its keys, not by TLS."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, instance: Instance, *, port: int, clock: Callable[[], datetime]) -> None:
        super().__init__((HOST, port), _Handler)
        self._instance = instance
        self._clock = clock
        issuer = urlsplit(instance.tokens.issuer).path
        self.gets: dict[str, Callable[[], Any]] = {
            "/healthz": lambda: {"trust": "embedded"},
            "/trust_config.json": instance.trust_config,
            "/trusted_root.json": instance.trusted_root,
            "/signing_config.json": instance.signing_config,
            f"{issuer}/.well-known/openid-configuration": instance.tokens.discovery,
            f"{issuer}/keys": instance.tokens.keys,
            "/api/v2/checkpoint": instance.log.checkpoint,
        }
        # sigstore-go wants 200 for a certificate, Rekor's clients 201 for an entry
        self.posts: dict[str, tuple[int, Callable[[bytes, str], Any]]] = {
            "/api/v2/signingCert": (200, self._enrol),
            "/api/v2/log/entries": (201, self._enter),
            "/api/v1/timestamp": (200, self._stamp),
            "/token": (200, self._token),
        }

    def _enrol(self, body: bytes, bearer: str) -> Any:
        at = self._instance
        return enrol(body, bearer, tokens=at.tokens, authority=at.authority, now=self._clock())

    def _enter(self, body: bytes, _: str) -> Any:
        at = self._instance
        return enter(body, log=at.log, authority=at.authority.authority.certificate, now=self._clock())

    def _stamp(self, body: bytes, _: str) -> bytes:
        return self._instance.timestamps.answer(body, now=self._clock())

    def _token(self, body: bytes, bearer: str) -> Any:
        try:
            role = _TokenRequest.model_validate_json(body).role
        except ValidationError as error:
            raise Refused("not a request for a token", expected='{"role": "sign"}') from error
        return {"id_token": self._instance.tokens.mint(role, bearer, now=self._clock())}


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        found = self.server.gets.get(self.path)
        if found is None:
            return self._send(404, _problem("no such path"))
        return self._send(200, found())

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > MAX_BODY:
            self.close_connection = True  # the body stays unread
            return self._send(413, _problem(f"a body of at most {MAX_BODY} bytes, with its length"))
        body = self.rfile.read(int(length))
        status, act = self.server.posts.get(self.path, (404, None))
        if act is None:
            return self._send(404, _problem("no such path"))
        try:
            answer = act(body, self.headers.get("Authorization", "").removeprefix("Bearer "))
        except Refused as refusal:
            return self._send(400, _problem(refusal.diagnostics()))
        except Error as error:
            _logger.error("%s", error.diagnostics())
            return self._send(503, _problem(error.diagnostics()))
        return self._send(status, answer)

    def _send(self, status: int, answer: Any) -> None:
        if isinstance(answer, bytes):
            kind, content = "application/timestamp-reply", answer
        elif isinstance(answer, str):
            kind, content = "text/plain; charset=utf-8", answer.encode()
        else:
            kind, content = "application/json", json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        _logger.debug(format, *args)


def _problem(message: str) -> dict[str, Any]:
    """An error as Fulcio and Rekor word it: their clients show the message."""
    return {"code": 3, "message": message}
