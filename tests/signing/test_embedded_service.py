"""The embedded Sigstore over HTTP, as its clients, its neighbours on the machine and its operator meet it."""

from __future__ import annotations

import base64
import json
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from release.digests import digest_of
from signing.attestations import signature_statement
from signing.embedded import command
from signing.embedded.folder import Folder
from signing.embedded.instance import Instance
from signing.embedded.service import MAX_BODY, Service
from signing.policy import Role
from signing.statements import SIGNATURE
from tests.conftest import free_port
from tests.signing.conftest import DIGEST, IDENTITY, Sigstore, embedded, entry
from tests.signing.forge import Forge

CERTIFICATES, ENTRIES, STAMPS, TOKENS = "/api/v2/signingCert", "/api/v2/log/entries", "/api/v1/timestamp", "/token"


@pytest.fixture
def http(sigstore: Sigstore) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sigstore.url, trust_env=False) as client:
        yield client


def token_of(sigstore: Sigstore, role: Role = Role.SIGN) -> str:
    return sigstore.token(role).token()


def csr(key: Any) -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(Encoding.PEM)).decode()


def refused(answer: httpx.Response, status: int = 400) -> str:
    """The message of a refusal, in the form that Fulcio's and Rekor's clients show."""
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == 3
    return str(answer.json()["message"])


def test_gives_a_chain_for_a_token_and_a_certificate_request(http: httpx.Client, sigstore: Sigstore) -> None:
    body = {"certificateSigningRequest": csr(ec.generate_private_key(ec.SECP256R1()))}
    headers = {"Authorization": f"Bearer {token_of(sigstore)}"}
    answer = http.post(CERTIFICATES, json=body, headers=headers)
    assert answer.status_code == 200
    chain = answer.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    leaf, authority = (x509.load_pem_x509_certificate(each.encode()) for each in chain)
    leaf.verify_directly_issued_by(authority)


def public_key_request(key: ec.EllipticCurvePrivateKey, token: str, signed: str) -> dict[str, Any]:
    """The body that cosign sends: the key, and something signed with it."""
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    proof = base64.b64encode(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))).decode()
    return {
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {"publicKey": {"algorithm": "ECDSA", "content": pem}, "proofOfPossession": proof},
    }


def test_gives_a_certificate_for_a_key_that_signed_the_identity(http: httpx.Client, sigstore: Sigstore) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    good = public_key_request(key, token_of(sigstore), f"{IDENTITY}/sign")
    assert http.post(CERTIFICATES, json=good).status_code == 200
    other = public_key_request(key, token_of(sigstore), f"{IDENTITY}/promote")
    assert "without proof" in refused(http.post(CERTIFICATES, json=other))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"certificateSigningRequest": "!"}',
        b'{"certificateSigningRequest": "AAAA"}',
        b'{"publicKeyRequest": {"publicKey": {"content": "x"}, "proofOfPossession": "AAAA"}}',
        b'{"publicKeyRequest": {"publicKey": {"content": "-----BEGIN PUBLIC KEY-----"}, "proofOfPossession": "AA=="}}',
    ],
)
def test_gives_no_certificate_for_a_malformed_request(http: httpx.Client, sigstore: Sigstore, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token_of(sigstore)}"}
    assert "not a request" in refused(http.post(CERTIFICATES, content=body, headers=headers))


def test_gives_no_certificate_for_a_key_of_another_kind(http: httpx.Client, sigstore: Sigstore) -> None:
    headers = {"Authorization": f"Bearer {token_of(sigstore)}"}
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        answer = http.post(CERTIFICATES, json={"certificateSigningRequest": csr(key)}, headers=headers)
        assert "P-256" in refused(answer)


def test_gives_no_certificate_for_a_request_signed_by_another_key(http: httpx.Client, sigstore: Sigstore) -> None:
    """The public key of one CSR under the signature of another."""
    ours, theirs = (base64.b64decode(csr(ec.generate_private_key(ec.SECP256R1()))) for _ in range(2))
    requests = [x509.load_pem_x509_csr(each) for each in (ours, theirs)]
    spki = [each.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for each in requests]
    mixed = requests[0].public_bytes(Encoding.DER).replace(spki[0], spki[1])
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n" % base64.encodebytes(mixed)
    body = {"certificateSigningRequest": base64.b64encode(pem).decode()}
    headers = {"Authorization": f"Bearer {token_of(sigstore)}"}
    assert "without proof" in refused(http.post(CERTIFICATES, json=body, headers=headers))


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic x"}, {"Authorization": "Bearer a.b.c"}])
def test_gives_no_certificate_without_a_token(http: httpx.Client, header: dict[str, str]) -> None:
    body = {"certificateSigningRequest": csr(ec.generate_private_key(ec.SECP256R1()))}
    assert "token proves nothing" in refused(http.post(CERTIFICATES, json=body, headers=header))


def test_gives_a_token_for_the_role_s_secret_only(http: httpx.Client, sigstore: Sigstore) -> None:
    secret = {"Authorization": f"Bearer {sigstore.folder.secret(Role.BUILD).read_text()}"}
    assert http.post(TOKENS, json={"role": "build"}, headers=secret).status_code == 200
    for role in ("sign", "promote", "", "root"):
        assert "no token" in refused(http.post(TOKENS, json={"role": role}, headers=secret))
    for header in ({}, {"Authorization": secret["Authorization"][:-1]}, {"Authorization": "Basic x"}):
        assert "no token" in refused(http.post(TOKENS, json={"role": "build"}, headers=header))


@pytest.mark.parametrize("body", [b"", b"{}", b"role=sign", b'{"role": 1}', b'{"role": null}'])
def test_gives_no_token_for_a_malformed_request(http: httpx.Client, sigstore: Sigstore, body: bytes) -> None:
    secret = {"Authorization": f"Bearer {sigstore.folder.secret(Role.SIGN).read_text()}"}
    assert "request for a token" in refused(http.post(TOKENS, content=body, headers=secret))


def log_request(bundle: bytes) -> Any:
    """The request that would enter the signature of a bundle into the log."""
    whole = json.loads(bundle)
    payload = base64.b64decode(whole["dsseEnvelope"]["payload"])
    kind = whole["dsseEnvelope"]["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    return {
        "hashedRekordRequestV002": {
            "digest": base64.b64encode(bytes.fromhex(digest_of(signed).removeprefix("sha256:"))).decode(),
            "signature": {
                "content": whole["dsseEnvelope"]["signatures"][0]["sig"],
                "verifier": {
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "x509Certificate": whole["verificationMaterial"]["certificate"],
                },
            },
        }
    }


@pytest.fixture(scope="module")
def bundle(sigstore: Sigstore) -> bytes:
    return sigstore.signer(Role.SIGN).sign_statements([signature_statement(DIGEST)])[0]


def test_enters_a_signature_and_signs_the_head(http: httpx.Client, bundle: bytes) -> None:
    answer = http.post(ENTRIES, json=log_request(bundle))
    assert answer.status_code == 201
    proof = answer.json()["inclusionProof"]
    assert int(proof["logIndex"]) == int(proof["treeSize"]) - 1 > int(entry(bundle)["logIndex"])
    head = http.get("/api/v2/checkpoint")
    assert head.text == proof["checkpoint"]["envelope"]
    assert head.headers["content-type"].startswith("text/plain")


def test_enters_nothing_that_is_not_signed_by_one_of_its_certificates(
    http: httpx.Client, bundle: bytes, tmp_path: Path
) -> None:
    size = http.get("/api/v2/checkpoint").text.split("\n")[1]
    stranger = Forge.at(tmp_path / "state").bundle(signature_statement(DIGEST))
    assert "not an entry" in refused(http.post(ENTRIES, json=log_request(stranger)))
    good = log_request(bundle)["hashedRekordRequestV002"]
    verifier = good["signature"]["verifier"]
    lies: list[Any] = [
        {**good, "digest": base64.b64encode(b"0" * 32).decode()},
        {**good, "digest": "AAAA"},
        {**good, "digest": ""},
        {**good, "signature": {**good["signature"], "content": "AAAA"}},
        {**good, "signature": {**good["signature"], "verifier": {**verifier, "keyDetails": "PKIX_ED25519"}}},
        {**good, "signature": {**good["signature"], "verifier": {**verifier, "x509Certificate": {"rawBytes": "AA=="}}}},
        {**good, "signature": {**good["signature"], "verifier": {"publicKey": {"rawBytes": "AAAA"}}}},
        {},
    ]
    for lie in lies:
        assert "not an entry" in refused(http.post(ENTRIES, json={"hashedRekordRequestV002": lie}))
    for body in (b"", b"{}", b"[]", b"null", b"{"):
        assert "not an entry" in refused(http.post(ENTRIES, content=body))
    assert http.get("/api/v2/checkpoint").text.split("\n")[1] == size


@pytest.mark.parametrize("minutes", [15, -5])
def test_enters_nothing_under_a_certificate_that_is_not_valid_now(tmp_path: Path, minutes: int) -> None:
    """The service's clock stands after the end of the certificate, or before its start."""
    forge = Forge.at(tmp_path / "state")
    bundle = forge.bundle(signature_statement(DIGEST))
    with in_process(forge.instance, datetime.now(UTC) + timedelta(minutes=minutes)) as client:
        assert "not valid now" in refused(client.post(ENTRIES, json=log_request(bundle)))


class in_process:
    """A service in a thread of the test, with a clock that stands still."""

    def __init__(self, instance: Instance, now: datetime) -> None:
        self._service = Service(instance, port=0, clock=lambda: now)
        self._thread = threading.Thread(target=self._service.serve_forever, args=(0.01,))
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._service.server_port}", trust_env=False)

    def __enter__(self) -> httpx.Client:
        self._thread.start()
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._service.shutdown()
        self._thread.join()
        self._service.server_close()


def test_a_failing_disk_is_a_503_and_names_the_reason(tmp_path: Path) -> None:
    forge = Forge.at(tmp_path / "state")
    bundle = forge.bundle(signature_statement(DIGEST))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with in_process(forge.instance, datetime.now(UTC)) as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (forge.folder.log.stat().st_size, limits[1]))
        try:
            assert "cannot be written" in refused(client.post(ENTRIES, json=log_request(bundle)), 503)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert client.post(ENTRIES, json=log_request(bundle)).status_code == 201


@pytest.mark.parametrize("path", [CERTIFICATES, ENTRIES, STAMPS, TOKENS, "/elsewhere"])
def test_reads_no_body_that_is_too_long_or_of_unknown_length(sigstore: Sigstore, path: str) -> None:
    for length in (str(MAX_BODY + 1), "99999999999999999999", "-1", "x", "1e3", "", None):
        with socket.create_connection(("127.0.0.1", sigstore.port), timeout=5) as client:
            header = "" if length is None else f"Content-Length: {length}\r\n"
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
            assert client.recv(200).startswith(b"HTTP/1.1 413 ")


def test_other_paths_and_methods_are_nothing(http: httpx.Client) -> None:
    for path in ("/", "/ca.key", "/../ca.key", "/api/v1/log/entries", "/sign.secret", "/token"):
        assert http.get(path).status_code == 404
    assert http.post("/keys", content=b"").status_code == 404
    assert http.delete("/healthz").status_code == 501


def test_says_who_it_is_and_what_to_trust(http: httpx.Client, sigstore: Sigstore) -> None:
    assert http.get("/healthz").json() == {"trust": "embedded"}
    for path in (sigstore.folder.trusted_root, sigstore.folder.signing_config, sigstore.folder.trust_config):
        assert http.get(f"/{path.name}").json() == json.loads(path.read_text())
    discovery = http.get(f"{sigstore.issuer}/.well-known/openid-configuration").json()
    assert discovery["issuer"] == sigstore.issuer
    assert http.get(discovery["jwks_uri"]).json()["keys"][0]["kty"] == "EC"


def test_serves_loopback_only(sigstore: Sigstore) -> None:
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    addresses = {line.split()[1] for line in listening.splitlines() if f":{sigstore.port:04X} " in line.split("  ")[0]}
    mine = {each for each in addresses if each.endswith(f":{sigstore.port:04X}")}
    assert mine <= {f"0100007F:{sigstore.port:04X}"}


def test_concurrent_clients_get_entries_of_their_own(sigstore: Sigstore) -> None:
    signers = [sigstore.signer(role, threads=4) for role in Role]
    statements = [signature_statement(digest_of(b"%d" % number)) for number in range(12)]
    with ThreadPoolExecutor(max_workers=len(signers)) as pool:
        batches = list(pool.map(lambda signer: signer.sign_statements(statements), signers))
    indexes = [entry(bundle)["logIndex"] for batch in batches for bundle in batch]
    assert len(set(indexes)) == len(indexes) == 36


def test_a_killed_service_comes_back_as_the_same_one(tmp_path: Path) -> None:
    running = embedded(tmp_path / "state")
    running.daemon.start()
    (before,) = running.signer(Role.SIGN).sign_statements([signature_statement(DIGEST)])
    pid = running.daemon.pid()
    assert pid
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    again = embedded(tmp_path / "state")
    while running.daemon.pid():
        time.sleep(0.01)
    again.daemon.start()
    try:
        (after,) = again.signer(Role.SIGN).sign_statements([signature_statement(DIGEST)])
        assert int(entry(after)["logIndex"]) == int(entry(before)["logIndex"]) + 1
        for bundle in (before, after):
            again.verifier().verify_said(bundle, subject_digest=DIGEST, predicate_type=SIGNATURE, policy=again.policy)
    finally:
        again.daemon.stop()


def run(folder: Path, port: int) -> subprocess.Popen[str]:
    argv = command(state=folder, port=port, identity=IDENTITY)
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


def test_ends_at_sigterm_with_success(tmp_path: Path) -> None:
    running = embedded(tmp_path / "state")
    with run(running.folder.path, running.port) as process:
        while not running.daemon.ready():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_second_service_and_a_taken_port_are_explained(sigstore: Sigstore, tmp_path: Path) -> None:
    with run(sigstore.folder.path, free_port()) as second:
        _, said = second.communicate(timeout=20)
        assert second.returncode == 3 and "another process serves this state folder" in said
    with run(tmp_path / "other", sigstore.port) as homeless:
        _, said = homeless.communicate(timeout=20)
        assert homeless.returncode == 4 and f"port {sigstore.port} cannot be served" in said
    assert not Folder(path=tmp_path / "other").trust_config.exists()
