"""The shape of everything we sign: an in-toto Statement about digests, in canonical bytes.

Sources: in-toto attestation framework v1, statement.md and resource_descriptor.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from release.digests import canonical_json, hex_of
from release.errors import Refused

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD = "application/vnd.in-toto+json"
# Predicate types: cosign's signature, an SPDX document, SLSA provenance and SLSA's verdict.
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
SPDX = "https://spdx.dev/Document"
PROVENANCE = "https://slsa.dev/provenance/v1"
VSA = "https://slsa.dev/verification_summary/v1"
PASSED = "PASSED"
FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a statement is about: a digest, and a name for people (a file name, a repository)."""

    digest: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An in-toto ResourceDescriptor: something that was read or made, found at `uri`.

    `digests` maps an algorithm's name to lowercase hex: `sha256`, or `gitCommit` for a commit.
    """

    uri: str
    digests: Mapping[str, str]
    name: str = ""
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """The descriptor as JSON; what is empty stays out."""
        return {
            "uri": self.uri,
            "digest": dict(self.digests),
            **({"name": self.name} if self.name else {}),
            **({"annotations": dict(self.annotations)} if self.annotations else {}),
        }


def statement(subjects: Sequence[Subject], predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """An in-toto Statement v1 in canonical JSON: equal facts give equal bytes. `Refused` without a subject."""
    if not subjects:
        raise Refused("a statement about nothing", expected="at least one subject")
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": [{"name": each.name, "digest": {"sha256": hex_of(each.digest)}} for each in subjects],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    )


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: the form of every time inside a statement."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
