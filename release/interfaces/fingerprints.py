"""Fingerprints of file contents: sha256 in 43 characters, because one record may hold 20,000 of them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any


def fingerprint(content: bytes | memoryview) -> str:
    """sha256 of bytes as base64url without padding."""
    return encoded(hashlib.sha256(content).digest())


def encoded(digest: bytes) -> str:
    """A raw digest as base64url without padding."""
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Parts:
    """A fingerprint of several parts in order, each told apart from its neighbours by its length."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: Any) -> None:
        """Take buffers as they are, and everything else as its text."""
        for part in parts:
            raw = part if isinstance(part, bytes | memoryview) else str(part).encode("utf-8", "backslashreplace")
            self._hash.update(b"%d:" % len(raw))
            self._hash.update(raw)

    def end(self) -> str:
        """The fingerprint of what was added."""
        return encoded(self._hash.digest())
