"""The transparency log: entries appended to one file, durable before they are answered, proven under a signed head.

Sources: RFC 6962 (tree), C2SP tlog-checkpoint and signed-note (head), rekor-tiles (key id of a log).
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from release.errors import Broken
from signing.embedded.merkle import Tree, leaf_hash

# A bare host name: sigstore-go compares it with the host of the log's baseUrl in the trusted root.
ORIGIN = "log.embedded.slipway.invalid"
# Entry 0 is nobody's: Go clients drop a zero logIndex and then refuse the bundle.
GENESIS = b'{"genesis":"trust: embedded"}'
_ED25519 = b"\x01"  # C2SP signed-note, signature type
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """That an entry is in the tree: its index, the tree's size and root, the hashes between, the signed head."""

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


class Log:
    """The log in the file `path`: one line per entry, `<sha256 hex> <base64>`. One process and any thread appends."""

    def __init__(self, path: Path, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._tree = Tree()
        self._lock = threading.Lock()
        for entry in _recovered(path):
            self._tree.append(leaf_hash(entry))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = os.fstat(self._file).st_size
        if not len(self._tree):
            self.append(GENESIS)

    @property
    def key_id(self) -> bytes:
        """The id that entries and the trusted root name: SHA-256 of origin and key, not cut to four bytes."""
        return hashlib.sha256(ORIGIN.encode() + b"\n" + _ED25519 + self._key.public_key().public_bytes_raw()).digest()

    def append(self, entry: bytes) -> Inclusion:
        """Add an entry; it is on the disk before this returns. `Broken` when the disk refuses."""
        line = b"%s %s\n" % (hashlib.sha256(entry).hexdigest().encode(), base64.b64encode(entry))
        with self._lock:
            self._write(line)
            index = len(self._tree)
            self._tree.append(leaf_hash(entry))
            return Inclusion(
                index=index,
                size=index + 1,
                root=self._tree.root(),
                hashes=self._tree.inclusion_proof(index),
                checkpoint=self._checkpoint(),
            )

    def checkpoint(self) -> str:
        """The signed head of the tree, for whoever wants to watch it grow."""
        with self._lock:
            return self._checkpoint()

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        """Durable, or as if it had never been: the next line goes to the same place as one that failed."""
        try:
            if os.pwrite(self._file, line, self._end) < len(line):
                raise OSError("only a part of the entry could be written")
            os.fsync(self._file)
        except OSError as error:
            raise Broken("the transparency log cannot be written", got=error, hint="is the disk full?") from error
        self._end += len(line)

    def _checkpoint(self) -> str:
        note = f"{ORIGIN}\n{len(self._tree)}\n{base64.b64encode(self._tree.root()).decode()}\n"
        signature = base64.b64encode(self.key_id[:4] + self._key.sign(note.encode())).decode()
        return f"{note}\n\N{EM DASH} {ORIGIN} {signature}\n"


def _recovered(path: Path) -> Iterator[bytes]:
    """The entries of the file. A last line that is torn was never answered and is cut off; an earlier one is damage."""
    if not path.exists():
        return
    good = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            entry = _entry(line)
            if entry is None:
                _cut(path, number, good, last=not file.read(1))
                return
            good += len(line)
            yield entry


def _entry(line: bytes) -> bytes | None:
    digest, _, encoded = line.removesuffix(b"\n").partition(b" ")
    try:
        entry = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    whole = line.endswith(b"\n") and hashlib.sha256(entry).hexdigest().encode() == digest
    return entry if whole else None


def _cut(path: Path, number: int, good: int, *, last: bool) -> None:
    if not last:
        raise Broken(
            "the transparency log is damaged",
            where=f"{path}:{number}",
            expected="lines of a SHA-256 and its entry",
            hint="restore the file from a copy; cutting it would take back what was promised to be kept",
        )
    _logger.warning("%s:%d: cutting off an entry that was torn by a crash and never answered", path, number)
    with path.open("r+b") as file:
        file.truncate(good)
        os.fsync(file.fileno())
