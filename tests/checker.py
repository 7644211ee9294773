"""A consumer with suspicions: walks a registry over plain HTTP and asks sigstore-python whether every tag is proven.

It shares no code with the pipeline: neither its registry client nor its verifier.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from sigstore.errors import VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ROLES = ("build", "sign", "promote")
FALLBACK = "sha256-"  # referrers tag schema: the one kind of tag that names an unsigned document


class Checker:
    """Looks at the registry at `url`; `root` is a trusted root, `identity` the base of the signers' identities."""

    def __init__(self, url: str, root: Path, *, identity: str, issuer: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"accept": ACCEPT}, timeout=30)
        self._verifier = Verifier(trusted_root=TrustedRoot.from_file(str(root)))
        self._speakers = [Identity(identity=f"{identity}/{role}", issuer=issuer) for role in ROLES]
        self._good: set[str] = set()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def tags(self) -> dict[str, str]:
        """`repository:tag` -> digest, of the whole catalogue."""
        found = {}
        for repository in self._http.get("/v2/_catalog?n=1000").json()["repositories"]:
            listed = self._http.get(f"/v2/{repository}/tags/list")
            for tag in (listed.json().get("tags") or ()) if listed.status_code == 200 else ():
                answer = self._http.head(f"/v2/{repository}/manifests/{tag}")
                if answer.status_code == 200:
                    found[f"{repository}:{tag}"] = answer.headers["docker-content-digest"]
        return found

    def unproven(self) -> list[str]:
        """Every tag that names a digest without a bundle that verifies."""
        named = {tag: digest for tag, digest in self.tags().items() if FALLBACK not in tag}
        assert named or not self._good, "a registry that lost everything proves nothing"
        return [f"{tag} {digest}" for tag, digest in named.items() if not self.proven(tag.partition(":")[0], digest)]

    def proven(self, repository: str, digest: str) -> bool:
        """Whether one of our identities vouches for the digest. What was proven once stays so."""
        if f"{repository}@{digest}" not in self._good and self.statements(repository, digest):
            self._good.add(f"{repository}@{digest}")
        return f"{repository}@{digest}" in self._good

    def statements(self, repository: str, digest: str) -> list[dict[str, Any]]:
        """Every in-toto statement about a digest that verifies."""
        found = []
        for referrer in self.document(repository, digest.replace(":", "-")).get("manifests", ()):
            document = self.document(repository, referrer["digest"])
            for layer in document["layers"]:
                if layer["mediaType"] == BUNDLE and document["subject"]["digest"] == digest:
                    said = self._said(self.blob(repository, layer["digest"]), digest)
                    found += [said] if said else []
        return found

    def document(self, repository: str, reference: str) -> dict[str, Any]:
        """A manifest or index; empty where there is none."""
        answer = self._http.get(f"/v2/{repository}/manifests/{reference}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    def raw(self, repository: str, digest: str) -> bytes:
        """The exact bytes of a manifest."""
        return self._http.get(f"/v2/{repository}/manifests/{digest}").raise_for_status().content

    def blob(self, repository: str, digest: str) -> bytes:
        """The content of a blob."""
        return self._http.get(f"/v2/{repository}/blobs/{digest}", follow_redirects=True).raise_for_status().content

    def signed(self, repository: str, artifact_type: str) -> list[str]:
        """Digests of signed documents of a type, tagged or not: each has its index of referrers, which is tagged."""
        subjects = [tag.partition(":")[2] for tag in self.tags() if tag.startswith(f"{repository}:{FALLBACK}")]
        digests = [subject.replace("-", ":") for subject in subjects]
        return [each for each in digests if self.document(repository, each).get("artifactType") == artifact_type]

    def _said(self, bundle: bytes, digest: str) -> dict[str, Any] | None:
        for speaker in self._speakers:
            try:
                _, payload = self._verifier.verify_dsse(Bundle.from_json(bundle), speaker)
            except VerificationError:
                continue
            statement: dict[str, Any] = json.loads(payload)
            if {"sha256": digest.removeprefix("sha256:")} in [each["digest"] for each in statement["subject"]]:
                return statement
        return None


class Sampler:
    """Walks the registry again and again while its block runs; `unproven` collects what it should never have seen."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self.rounds = 0
        self.unproven: list[str] = []
        self.broken: Exception | None = None

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.02):
                self.unproven += self._checker.unproven()
                self.rounds += 1
        except Exception as error:  # told to the test when the block ends
            self.broken = error

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._checker.close()
        if self.broken:
            raise self.broken
