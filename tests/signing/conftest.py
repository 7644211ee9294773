"""One embedded Sigstore a session, run as `slipway up` runs it, and what was once signed with it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from release.tools.daemons import Daemon
from release.tools.registry_daemon import answers
from signing.embedded import command
from signing.embedded.folder import Folder
from signing.identities import EmbeddedToken
from signing.keyless import KeylessSigner
from signing.policy import Policy, Role
from signing.trust import TrustFile
from signing.verifier import Verifier
from tests.conftest import free_port

IDENTITY = "https://slipway.example/skiff"
DIGEST = "sha256:" + "5" * 64


@dataclass(frozen=True, kw_only=True)
class Sigstore:
    """A running embedded Sigstore."""

    folder: Folder
    port: int
    daemon: Daemon

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return self.folder.known_issuer()

    @property
    def policy(self) -> Policy:
        return Policy.of(IDENTITY, self.issuer)

    def token(self, role: Role) -> EmbeddedToken:
        return EmbeddedToken(url=self.url, role=role, secret=self.folder.secret(role))

    def signer(self, role: Role, **changes: Any) -> KeylessSigner:
        return KeylessSigner(
            **{"trust": TrustFile(path=self.folder.trust_config), "identity": self.token(role), **changes}
        )

    def verifier(self) -> Verifier:
        return Verifier(TrustFile(path=self.folder.trusted_root).for_verifying())


def embedded(path: Path, *, port: int | None = None) -> Sigstore:
    """An embedded Sigstore over the state folder `path`; the caller starts and stops its daemon."""
    port = port or free_port()
    daemon = Daemon(
        name="sigstore",
        argv=command(state=path, port=port, identity=IDENTITY),
        folder=path.with_name(f"{path.name}-daemon"),
        ready=lambda: answers(f"http://127.0.0.1:{port}/healthz"),
    )
    return Sigstore(folder=Folder(path=path), port=port, daemon=daemon)


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstore]:
    """The session's embedded Sigstore."""
    running = embedded(tmp_path_factory.mktemp("sigstore") / "state")
    running.daemon.start()
    yield running
    running.daemon.stop()


@pytest.fixture(scope="session")
def verifier(sigstore: Sigstore) -> Verifier:
    return sigstore.verifier()


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small unsigned RPM, really built."""
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild is not installed")
    top = tmp_path_factory.mktemp("rpmbuild")
    spec = top / "keel.spec"
    spec.write_text(
        "Name: keel\nVersion: 1\nRelease: 1\nSummary: A keel\nLicense: MIT\nBuildArch: noarch\n"
        "%description\nA keel.\n%files\n"
    )
    subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {top}", spec], check=True, capture_output=True)
    return next(top.rglob("*.rpm"))


def changed(bundle: bytes, *path: str | int, to: Any) -> bytes:
    """The bundle with the value at `path` replaced; `to` may be a function of the old value."""
    whole: Any = json.loads(bundle)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return json.dumps(whole).encode()


def entry(bundle: bytes) -> Mapping[str, Any]:
    """The log entry of a bundle."""
    first: Mapping[str, Any] = json.loads(bundle)["verificationMaterial"]["tlogEntries"][0]
    return first
