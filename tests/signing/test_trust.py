"""Trust sources: what a file or a TUF repository yields, and which mend a bad one names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from release.errors import Broken, Misconfigured
from signing.attestations import signature_statement
from signing.policy import Role
from signing.statements import SIGNATURE
from signing.trust import TrustFile, TrustRepository
from signing.verifier import Verifier
from tests.conftest import free_port
from tests.signing.conftest import DIGEST, Sigstore


def test_a_trust_config_serves_signers_and_verifiers(sigstore: Sigstore) -> None:
    source = TrustFile(path=sigstore.folder.trust_config)
    assert source.for_signing().signing_config.get_fulcio().url == sigstore.url
    assert len(source.for_verifying().get_fulcio_certs()) == 1


def test_a_bare_trusted_root_serves_verifiers_only(sigstore: Sigstore) -> None:
    source = TrustFile(path=sigstore.folder.trusted_root)
    assert len(source.for_verifying().get_fulcio_certs()) == 1
    with pytest.raises(Misconfigured, match="not a trust config"):
        source.for_signing()


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"trustedRoot": {}}', b'{"mediaType": "text/plain"}']
)
def test_a_bad_file_is_named_with_a_mend(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trust.json"
    if content is not None:
        path.write_bytes(content)
    for load in (TrustFile(path=path).for_signing, TrustFile(path=path).for_verifying):
        with pytest.raises(Misconfigured) as error:
            load()
        assert error.value.where == str(path)
        assert error.value.got and error.value.hint


@pytest.mark.parametrize("change", ["tlogs", "certificateAuthorities"])
def test_a_trusted_root_of_another_format_is_refused(sigstore: Sigstore, tmp_path: Path, change: str) -> None:
    root = {**json.loads(sigstore.folder.trusted_root.read_text()), change: "none"}
    (tmp_path / "root.json").write_text(json.dumps(root))
    with pytest.raises(Misconfigured, match="not a trust config"):
        TrustFile(path=tmp_path / "root.json").for_verifying()


class Tuf:
    """A TUF repository in a folder, signed by one key (python-tuf's own metadata API)."""

    def __init__(self, folder: Path, targets: dict[str, bytes]) -> None:
        signer = CryptoSigner.generate_ed25519()
        expires = datetime.now(UTC) + timedelta(days=1)
        (folder / "targets").mkdir(parents=True)
        listed = {}
        for name, content in targets.items():
            listed[name] = TargetFile.from_data(name, content, ["sha256"])
            (folder / "targets" / f"{listed[name].hashes['sha256']}.{name}").write_bytes(content)
        root = Root(expires=expires, consistent_snapshot=True)
        for role in ("root", "targets", "snapshot", "timestamp"):
            root.add_key(signer.public_key, role)
        parts = {
            "1.root": root,
            "1.targets": Targets(expires=expires, targets=listed),
            "1.snapshot": Snapshot(expires=expires),
            "timestamp": Timestamp(expires=expires),
        }
        for name, part in parts.items():
            metadata = Metadata(part)
            metadata.sign(signer)
            metadata.to_file(str(folder / f"{name}.json"))
        self.folder = folder


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve folders over HTTP; gives the URL."""
    running: list[tuple[ThreadingHTTPServer, Thread]] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TUF keeps metadata in the user's folders; these tests have a user of their own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def repository(sigstore: Sigstore, tmp_path: Path) -> Tuf:
    targets = {
        "trusted_root.json": sigstore.folder.trusted_root.read_bytes(),
        "signing_config.v0.2.json": sigstore.folder.signing_config.read_bytes(),
    }
    return Tuf(tmp_path / "tuf", targets)


def test_a_tuf_repository_serves_signers_and_verifiers(
    sigstore: Sigstore, repository: Tuf, serve: Callable[[Path], str]
) -> None:
    source = TrustRepository(url=serve(repository.folder), root=repository.folder / "1.root.json")
    (bundle,) = sigstore.signer(Role.SIGN, trust=source).sign_statements([signature_statement(DIGEST)])
    verifier = Verifier(source.for_verifying())
    verifier.verify_said(bundle, subject_digest=DIGEST, predicate_type=SIGNATURE, policy=sigstore.policy)


def test_a_tuf_repository_of_another_root_gives_no_trust(
    repository: Tuf, serve: Callable[[Path], str], tmp_path: Path
) -> None:
    stranger = Tuf(tmp_path / "stranger", {})
    with pytest.raises(Broken, match="gives no trust") as error:
        TrustRepository(url=serve(repository.folder), root=stranger.folder / "1.root.json").for_verifying()
    assert error.value.hint and "1.root.json" in error.value.hint


def test_a_target_that_was_tampered_with_gives_no_trust(repository: Tuf, serve: Callable[[Path], str]) -> None:
    (target,) = (repository.folder / "targets").glob("*.trusted_root.json")
    os.truncate(target, target.stat().st_size - 1)
    with pytest.raises(Broken, match="gives no trust"):
        TrustRepository(url=serve(repository.folder), root=repository.folder / "1.root.json").for_signing()


def test_an_unreachable_tuf_repository_may_be_tried_again(repository: Tuf) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Broken, match="gives no trust") as error:
        TrustRepository(url=url, root=repository.folder / "1.root.json").for_signing()
    assert error.value.where == url
    with pytest.raises(Broken, match="gives no trust"):
        TrustRepository(url=url).for_signing()
