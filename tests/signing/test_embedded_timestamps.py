"""The timestamping authority, judged by OpenSSL, which shares no line with us."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response

from release.errors import Refused
from signing.embedded.folder import Folder
from signing.embedded.keys import Authority, root_authority, timestamp_authority
from signing.embedded.timestamps import TimestampAuthority

NOW = datetime.now(UTC).replace(microsecond=789)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = Folder(path=tmp_path_factory.mktemp("tsa"))
    return root_authority(folder, "root", "a root", NOW)


@pytest.fixture(scope="module")
def stamper(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return timestamp_authority(Folder(path=tmp_path_factory.mktemp("tsa")), "tsa", root, NOW)


@pytest.fixture
def authority(stamper: Authority) -> TimestampAuthority:
    return TimestampAuthority(stamper)


def openssl(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", "ts", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("digest", ["-sha256", "-sha384", "-sha512"])
@pytest.mark.parametrize("extra", [(), ("-no_nonce",), ("-cert",)], ids=["nonce", "no-nonce", "certificate"])
def test_openssl_accepts_an_answer(
    authority: TimestampAuthority,
    root: Authority,
    stamper: Authority,
    tmp_path: Path,
    digest: str,
    extra: tuple[str, ...],
) -> None:
    (tmp_path / "data").write_bytes(b"signed bytes")
    (tmp_path / "root.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "tsa.pem").write_bytes(stamper.certificate.public_bytes(Encoding.PEM))
    openssl("-query", "-data", tmp_path / "data", digest, *extra, "-out", tmp_path / "query")
    query = (tmp_path / "query").read_bytes()
    (tmp_path / "answer").write_bytes(authority.answer(query, now=datetime.now(UTC)))
    trust = ("-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "tsa.pem")
    done = openssl("-verify", "-in", tmp_path / "answer", "-queryfile", tmp_path / "query", *trust)
    assert done.returncode == 0, done.stderr
    (tmp_path / "data").write_bytes(b"other bytes")
    assert openssl("-verify", "-in", tmp_path / "answer", "-data", tmp_path / "data", *trust).returncode != 0


def test_the_answer_tells_the_time_it_was_given_in_whole_seconds(authority: TimestampAuthority) -> None:
    query = TimestampRequestBuilder().data(b"x").build().as_bytes()
    answer = decode_timestamp_response(authority.answer(query, now=NOW))
    assert answer.tst_info.gen_time == NOW.replace(microsecond=0)


def test_two_answers_have_two_serial_numbers(authority: TimestampAuthority) -> None:
    query = TimestampRequestBuilder().data(b"x").build().as_bytes()
    answers = [decode_timestamp_response(authority.answer(query, now=NOW)) for _ in range(2)]
    assert answers[0].tst_info.serial_number != answers[1].tst_info.serial_number


def test_the_nonce_comes_back_so_that_no_old_answer_passes(authority: TimestampAuthority, root: Authority) -> None:
    first = TimestampRequestBuilder().data(b"x").nonce(nonce=True).build()
    second = TimestampRequestBuilder().data(b"x").nonce(nonce=True).build()
    answer = decode_timestamp_response(authority.answer(first.as_bytes(), now=NOW))
    assert answer.tst_info.nonce == first.nonce != second.nonce
    verifier = VerifierBuilder.from_request(first).add_root_certificate(root.certificate).build()
    assert verifier.verify_message(answer, b"x")


@pytest.mark.parametrize(
    "query",
    [b"", b"\x30\x00", b"\x30\x80", b"hello", b"\x30\x03\x02\x01\x01", b"\xff" * 100],
    ids=["empty", "no-fields", "endless", "text", "only-version", "noise"],
)
def test_refuses_what_is_no_query(authority: TimestampAuthority, query: bytes) -> None:
    with pytest.raises(Refused, match="not a timestamp query"):
        authority.answer(query, now=NOW)


def test_refuses_a_truncated_query_and_one_with_more_behind_it(authority: TimestampAuthority) -> None:
    query = TimestampRequestBuilder().data(b"x").build().as_bytes()
    for bad in (query[:-1], query + b"\0"):
        with pytest.raises(Refused, match="not a timestamp query"):
            authority.answer(bad, now=NOW)


def test_refuses_sha1_and_a_digest_of_the_wrong_length(authority: TimestampAuthority, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    openssl("-query", "-data", tmp_path / "data", "-sha1", "-out", tmp_path / "sha1")
    openssl("-query", "-digest", "ab" * 32, "-sha256", "-out", tmp_path / "good")
    sha256, sha512 = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", b"\x60\x86\x48\x01\x65\x03\x04\x02\x03"
    short = (tmp_path / "good").read_bytes().replace(sha256, sha512)
    for bad in ((tmp_path / "sha1").read_bytes(), short):
        with pytest.raises(Refused, match="SHA-2"):
            authority.answer(bad, now=NOW)


def test_the_certificate_may_stamp_and_nothing_else(stamper: Authority, root: Authority) -> None:
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "extendedKeyUsage,keyUsage,basicConstraints"],
        input=stamper.certificate.public_bytes(Encoding.PEM),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "Extended Key Usage: critical" in text and "Time Stamping" in text
    assert "Digital Signature" in text and "Certificate Sign" not in text
    assert stamper.certificate.not_valid_after_utc - stamper.certificate.not_valid_before_utc > timedelta(days=3000)
    stamper.certificate.verify_directly_issued_by(root.certificate)
