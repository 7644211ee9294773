"""A registry in this process that misbehaves on demand: one line a fault.

It speaks what docker-registry 2.8 lacks (referrers API, tokens with scopes and an end) and does what no healthy
registry does (drops, truncates, corrupts, redirects elsewhere, asks for patience). `seen` holds every request.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from release import oci
from release.digests import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Message
    size: int

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next `times` requests whose `METHOD path` matches."""

    request: re.Pattern[str]
    times: int
    status: int | None = None  # answer this, do nothing
    headers: Mapping[str, str] = field(default_factory=dict)  # added to the answer
    drop: bool = False  # hang up without an answer, after doing the work
    truncate: int | None = None  # hang up after so many bytes of the body
    corrupt: bool = False  # change the first byte of the body
    more: bytes = b""  # add these to the body
    redirect: str | None = None  # 307 to the same path on this base URL


@dataclass(slots=True)
class Answer:
    """What a request is answered with."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class RegistrySimulator:
    """`with RegistrySimulator() as registry:` serves at `registry.url` from a thread of its own.

    With `login`, writing needs a token bought with it (or, with `basic`, the login itself); reading needs one too
    unless `anonymous_pull`.
    """

    def __init__(
        self,
        *,
        referrers_api: bool = True,
        login: tuple[str, str] | None = None,
        basic: bool = False,
        anonymous_pull: bool = False,
        token_seconds: float = 300,
        ranges: bool = True,
        page: int = 1000,
    ) -> None:
        self.referrers_api, self.login, self.basic = referrers_api, login, basic
        self.anonymous_pull, self.token_seconds, self.ranges, self.page = anonymous_pull, token_seconds, ranges, page
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.documents: dict[tuple[str, str], oci.Document] = {}  # by tag and by digest
        self.uploads: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.seen: list[Seen] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        simulator = self

        class Handler(_Handler):
            registry = simulator

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.host = self.url.removeprefix("http://")

    def __enter__(self) -> RegistrySimulator:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def misbehave(self, request: str, *, times: int = 1, **how: Any) -> None:
        """Let the next `times` requests that match the regular expression `METHOD path` go wrong; see `Fault`."""
        self._faults.append(Fault(request=re.compile(request), times=times, **how))

    def count(self, request: str) -> int:
        """How many requests matched the regular expression `METHOD path`."""
        return sum(1 for each in self.seen if re.match(request, str(each)))

    def fault(self, seen: Seen) -> Fault | None:
        """The fault that is due for a request."""
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.request.match(str(seen)):
                    fault.times -= 1
                    return fault
        return None

    def answer(self, seen: Seen, body: bytes) -> Answer:
        """What a healthy registry says."""
        path = urlsplit(seen.path)
        query = {key: values[0] for key, values in parse_qs(path.query).items()}
        if path.path == "/token":
            return self._token(seen, query)
        found = re.fullmatch(r"/v2/(?:(.+?)/(blobs|manifests|tags|referrers)/(.+))?", path.path)
        if not found:
            return Answer(404)
        repository, kind, rest = found.groups()
        if denied := self._denied(seen, repository or ""):
            return denied
        if kind is None:
            return Answer(200, b"{}")
        if kind == "blobs":
            return self._blob(seen, repository, rest, query, body)
        if kind == "manifests":
            return self._document(seen, repository, rest, body)
        return self._tags(repository, query) if kind == "tags" else self._referrers(repository, rest)

    def _blob(self, seen: Seen, repository: str, rest: str, query: Mapping[str, str], body: bytes) -> Answer:
        if seen.method == "POST":
            if query.get("from") == repository and (repository, query["mount"]) in self.blobs:
                return Answer(201)
            session = secrets.token_hex(4)
            self.uploads.add(session)
            return Answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/{session}?_state=a%2Bb%3D%3D"})
        if seen.method == "PUT":
            session = rest.removeprefix("uploads/")
            if session not in self.uploads or "_state=a%2Bb%3D%3D" not in seen.path:
                return Answer(404, _error("BLOB_UPLOAD_UNKNOWN"))
            self.uploads.discard(session)
            if digest_of(body) != query["digest"]:
                return Answer(400, _error("DIGEST_INVALID"))
            self.blobs[repository, query["digest"]] = body
            return Answer(201)
        content = self.blobs.get((repository, rest))
        if content is None:
            return Answer(404, _error("BLOB_UNKNOWN"))
        start = re.match(r"bytes=(\d+)-", seen.headers.get("range", ""))
        if start and self.ranges:
            first = int(start[1])
            return Answer(206, content[first:], {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"})
        return Answer(200, content)

    def _document(self, seen: Seen, repository: str, reference: str, body: bytes) -> Answer:
        if seen.method == "PUT":
            document = oci.Document(media_type=seen.headers["content-type"], raw=body)
            for name in (reference, document.digest):
                self.documents[repository, name] = document
            subject = document.json().get("subject")
            listed = {"OCI-Subject": subject["digest"]} if subject and self.referrers_api else {}
            return Answer(201, headers={"Docker-Content-Digest": document.digest, **listed})
        found = self.documents.get((repository, reference))
        if found is None:
            return Answer(404, _error("MANIFEST_UNKNOWN"))
        return Answer(200, found.raw, {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest})

    def _tags(self, repository: str, query: Mapping[str, str]) -> Answer:
        tags = sorted(name for where, name in self.documents if where == repository and ":" not in name)
        after = [tag for tag in tags if tag > query.get("last", "")]
        body = json.dumps({"name": repository, "tags": after[: self.page] or None}).encode()
        more = f'</v2/{repository}/tags/list?last={after[self.page - 1]}>; rel="next"' if after[self.page :] else ""
        return Answer(200, body, {"Link": more} if more else {})

    def _referrers(self, repository: str, subject: str) -> Answer:
        if not self.referrers_api:
            return Answer(404, b"404 page not found\n")
        found = [
            document
            for (where, name), document in self.documents.items()
            if where == repository and name == document.digest
            if document.json().get("subject", {}).get("digest") == subject
        ]
        return Answer(200, oci.index(manifests=[each.descriptor for each in found]).raw)

    def _denied(self, seen: Seen, repository: str) -> Answer | None:
        wanted = "pull" if seen.method in ("GET", "HEAD") else "pull,push"
        if self.login is None or (self.basic and self._is_login(seen)):
            return None
        granted = self.tokens.get(seen.headers.get("authorization", "").removeprefix("Bearer "))
        if granted is not None and (not repository or granted.startswith(f"repository:{repository}:{wanted}")):
            return None
        bearer = f'Bearer realm="{self.url}/token",service="simulator",scope="repository:{repository}:{wanted}"'
        return Answer(401, _error("UNAUTHORIZED"), {"WWW-Authenticate": 'Basic realm="x"' if self.basic else bearer})

    def _token(self, seen: Seen, query: Mapping[str, str]) -> Answer:
        scope = query.get("scope", "")
        if not self._is_login(seen):
            if "authorization" in seen.headers or not self.anonymous_pull:
                return Answer(401, _error("UNAUTHORIZED"))
            scope = scope.replace("pull,push", "pull")
        token = secrets.token_hex(8)
        self.tokens[token] = scope
        return Answer(200, json.dumps({"token": token, "expires_in": self.token_seconds}).encode())

    def _is_login(self, seen: Seen) -> bool:
        expected = base64.b64encode(":".join(self.login or ()).encode()).decode()
        return seen.headers.get("authorization") == f"Basic {expected}"


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # many connections at once must not wait for the kernel to ask again


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    registry: RegistrySimulator

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        seen = Seen(method=self.command, path=self.path, headers=self.headers, size=len(body))
        self.registry.seen.append(seen)
        fault = self.registry.fault(seen) or Fault(request=re.compile(""), times=0)
        if fault.status:
            answer = Answer(fault.status, _error("SIMULATED"))
        elif fault.redirect:
            answer = Answer(307, b"moved", {"Location": fault.redirect + self.path})
        else:
            answer = self.registry.answer(seen, body)
        if fault.drop:
            self.close_connection = True
            return
        content = answer.body + fault.more
        if fault.corrupt:
            content = bytes([content[0] ^ 1]) + content[1:]
        self.send_response(answer.status)
        for key, value in {**answer.headers, **fault.headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: fault.truncate])
        self.close_connection = fault.truncate is not None

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def log_message(self, *_: object) -> None:
        """Say nothing: `seen` has it all."""


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": f"simulated {code.lower()}"}]}).encode()
