"""The notes tree: a blob for each commit that has a note, under its id, which git may break up by any fan-out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from release.tools.git_process import GitFolder
from release.tools.git_trees import blobs, entries

NOTES = "refs/notes/slipway"
_SHA = re.compile(r"[0-9a-f]{40}\Z")


def note_files(sha: str, content: bytes) -> Mapping[str, bytes | None]:
    """The change to the notes tree that leaves `content` as the one note on a commit."""
    ours, *others = _paths(sha)
    return {ours: content, **dict.fromkeys(others)}


def read_note(folder: GitFolder, tip: str, sha: str) -> bytes | None:
    """The note on a commit in the notes commit `tip`, or None."""
    found = entries(folder, tip, *_paths(sha))
    return next(blobs(folder, (each.oid for each in found)), None)


def read_notes(folder: GitFolder, tip: str) -> Mapping[str, bytes]:
    """All notes of `tip` by commit id, in two git calls."""
    named = [(each.path.replace("/", ""), each.oid) for each in entries(folder, tip, recursive=True)]
    noted = [(sha, oid) for sha, oid in named if _SHA.match(sha)]
    contents = blobs(folder, (oid for _, oid in noted))
    return MappingProxyType({sha: content for (sha, _), content in zip(noted, contents, strict=True)})


def _paths(sha: str) -> tuple[str, ...]:
    """The names that a note may have (git-notes(1); fast-import.c `construct_path_with_fanout`); ours is the first."""
    return (f"{sha[:2]}/{sha[2:]}", sha, f"{sha[:2]}/{sha[2:4]}/{sha[4:]}")
