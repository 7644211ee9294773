"""What rpm says of RPM files: the digest of the header that a signature does not change, for many files at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from release.errors import Refused
from release.tools.process import run

SECONDS = 120.0


async def header_digests(paths: Sequence[Path]) -> tuple[str, ...]:
    """SHA256HEADER (64 hex digits) of each file, in order; `Refused` for a file without one."""
    if not paths:
        return ()
    query: list[str | Path] = [
        "rpm",
        "--dbpath",
        "/nonexistent",
        "-qp",
        "--nosignature",
        "--qf",
        "%{SHA256HEADER}\n",
        *paths,
    ]
    digests = (await run(query, seconds=SECONDS)).text.split()
    if len(digests) != len(paths) or any(len(each) != 64 for each in digests):
        raise Refused("RPM files without a header digest", got=" ".join(digests)[:200], expected="one for each file")
    return tuple(digests)
