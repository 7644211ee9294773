"""The transparency log keeps its promises: proofs hold, growth is append-only, and no crash takes back an answer."""

from __future__ import annotations

import base64
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from release.errors import Broken
from signing.embedded.log import GENESIS, ORIGIN, Inclusion, Log
from signing.embedded.merkle import Tree, leaf_hash

KEY = Ed25519PrivateKey.generate()


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def root_from(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The verification algorithm of RFC 9162, section 2.1.3.2."""
    node, last, root = index, size - 1, leaf
    for sibling in path:
        assert last > 0
        if node % 2 or node == last:
            root = hashlib.sha256(b"\1" + sibling + root).digest()
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            root = hashlib.sha256(b"\1" + root + sibling).digest()
        node, last = node >> 1, last >> 1
    assert last == 0
    return root


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(path: Path) -> Iterator[Log]:
    opened = Log(path, KEY)
    yield opened
    opened.close()


def reopened(path: Path) -> Inclusion:
    """What a log that starts on `path` says of one more entry."""
    log = Log(path, KEY)
    try:
        return log.append(b"one more")
    finally:
        log.close()


@given(st.integers(min_value=0, max_value=70))
@settings(max_examples=40, deadline=None)
def test_every_root_and_proof_is_what_the_rfc_says(size: int) -> None:
    leaves = [b"leaf %d" % number for number in range(size)]
    tree = Tree()
    for each in leaves:
        tree.append(leaf_hash(each))
    assert tree.root() == naive_root(leaves)
    for index, each in enumerate(leaves):
        proof = list(tree.inclusion_proof(index))
        assert root_from(leaf_hash(each), index, size, proof) == tree.root()


def test_matches_the_reference_vectors_of_certificate_transparency() -> None:
    """Roots of the well-known test tree (certificate-transparency, `merkletree` tests; reused by Trillian)."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = Tree()
    for each in inputs:
        tree.append(leaf_hash(bytes.fromhex(each)))
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_an_entry_is_answered_with_a_proof_under_a_signed_head(log: Log) -> None:
    for number in range(5):
        log.append(b"entry %d" % number)
    answer = log.append(b"mine")
    assert root_from(leaf_hash(b"mine"), answer.index, answer.size, list(answer.hashes)) == answer.root
    note, _, signature = answer.checkpoint.partition("\n\n")
    assert note.split("\n") == [ORIGIN, str(answer.size), base64.b64encode(answer.root).decode()]
    raw = base64.b64decode(signature.split()[2])
    assert raw[:4] == log.key_id[:4]
    KEY.public_key().verify(raw[4:], (note + "\n").encode())


def test_index_zero_belongs_to_nobody(log: Log) -> None:
    assert log.append(b"first").index == 1


def test_a_restart_continues_the_same_tree(path: Path, log: Log) -> None:
    before = [log.append(b"entry %d" % number) for number in range(9)][-1]
    again = reopened(path)
    assert again.index == before.index + 1
    leaves = [GENESIS, *(b"entry %d" % number for number in range(9)), b"one more"]
    assert again.root == naive_root(leaves)


@pytest.mark.parametrize(
    "torn",
    [
        lambda line: line[:-1],
        lambda line: line[: len(line) // 2],
        lambda line: line[:3],
        lambda line: b"\0" * len(line),
        lambda line: b"\0" * (len(line) - 1) + b"\n",
        lambda line: line[:-6] + b"AAAA=\n",
    ],
    ids=["no-newline", "half", "start", "zeros", "zero-page-with-newline", "wrong-content"],
)
def test_a_torn_last_record_is_cut_off_at_the_start(path: Path, torn: object) -> None:
    log = Log(path, KEY)
    kept = log.append(b"kept")
    whole = path.read_bytes()
    log.append(b"never answered, because we were killed")
    log.close()
    path.write_bytes(whole + torn(path.read_bytes()[len(whole) :]))  # type: ignore[operator]
    again = reopened(path)
    assert again.index == kept.index + 1
    assert again.root == naive_root([GENESIS, b"kept", b"one more"])
    assert path.read_bytes().startswith(whole)


def test_damage_in_the_middle_stops_the_log_and_changes_nothing(path: Path, log: Log) -> None:
    for number in range(3):
        log.append(b"entry %d" % number)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([lines[0], b"x" + lines[1][1:], *lines[2:]])
    path.write_bytes(damaged)
    with pytest.raises(Broken, match="damaged") as error:
        Log(path, KEY)
    assert error.value.where == f"{path}:2"
    assert path.read_bytes() == damaged


def test_a_full_disk_refuses_the_entry_and_spoils_none(path: Path, log: Log) -> None:
    kept = log.append(b"kept")
    size = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3000, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(Broken, match="cannot be written"):
                log.append(b"too much" * 1000)  # 3,000 bytes of it reach the disk
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert log.append(b"next").index == kept.index + 1
    log.append(b"another")
    assert reopened(path).root == naive_root([GENESIS, b"kept", b"next", b"another", b"one more"])


def test_what_a_failed_write_left_behind_a_shorter_entry_is_cut_off(path: Path, log: Log) -> None:
    log.append(b"kept")
    failed = path.read_bytes() + (b"x" * 500 + b"\n")[100:]
    path.write_bytes(failed)  # the tail of a longer line, which the shorter next one did not cover
    assert reopened(path).root == naive_root([GENESIS, b"kept", b"one more"])


def test_threads_get_indexes_of_their_own_and_proofs_that_hold(path: Path, log: Log) -> None:
    answers: dict[bytes, Inclusion] = {}

    def append(thread: int) -> None:
        for number in range(25):
            entry = b"%d.%d" % (thread, number)
            answers[entry] = log.append(entry)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(each.index for each in answers.values()) == list(range(1, 201))
    for entry, answer in answers.items():
        assert root_from(leaf_hash(entry), answer.index, answer.size, list(answer.hashes)) == answer.root


def test_no_answered_entry_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    """A writer prints each index after its answer, and dies by SIGKILL in the midst of the next ones."""
    path = tmp_path / "log"
    program = (
        "import sys; from pathlib import Path; from signing.embedded.log import Log\n"
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey\n"
        "log = Log(Path(sys.argv[1]), Ed25519PrivateKey.generate())\n"
        "while True: print(log.append(b'x' * 2000).index, flush=True)\n"
    )
    last = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            for _ in range(30):
                index = int(writer.stdout.readline())
                assert index > last
                last = index
            os.kill(writer.pid, signal.SIGKILL)
            answered = [int(line) for line in writer.stdout.read().split()]
            last = max([last, *answered])
    assert reopened(path).index > last
