"""Identity is a content hash: digests in OCI form, and the one JSON encoding that is hashed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import rfc8785

from release.errors import Refused

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def digest_of(content: bytes) -> str:
    """`sha256:<64 hex>` of bytes (OCI image-spec, descriptor.md#digests)."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def hex_of(digest: str) -> str:
    """The 64 hex digits of a digest that was checked."""
    return checked(digest).removeprefix("sha256:")


def checked(digest: str) -> str:
    """The digest itself when it is a well-formed sha256 digest, otherwise `Refused`."""
    if not _DIGEST.match(digest):
        raise Refused("not a sha256 digest", got=repr(digest)[:100], expected="sha256: and 64 hex digits")
    return digest


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value: equal values give equal bytes, so equal digests."""
    return rfc8785.dumps(value)


def digest_of_json(value: Any) -> str:
    """Digest of a JSON value in its canonical encoding."""
    return digest_of(canonical_json(value))
