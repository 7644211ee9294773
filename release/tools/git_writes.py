"""Commits without a work tree, pushed with compare-and-swap: the branch moves from what we read, or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from release.errors import Broken, Refused
from release.tools.git_process import GitFolder
from release.tools.git_trees import REGULAR, inside

# What `git push --porcelain` says when another writer was first (send-pack.c, receive-pack.c, refs/files-backend.c).
_LOST = re.compile(
    r"stale info|non-fast-forward|fetch first|cannot lock ref|failed to update ref|incorrect old value"
    r"|reference already exists|failed to lock|already exists",
)
_NOTHING = "0" * 40


class MovedMeanwhile(Broken):
    """Somebody else moved the branch after we read it: read again, decide again, write again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs a commit as its author and committer."""

    name: str
    email: str


def make_commit(
    folder: GitFolder,
    *,
    parent: str | None,
    files: Mapping[str, bytes | None],
    message: str,
    author: Identity,
    time: datetime,
) -> str:
    """Store a commit that changes `files` (None removes one) and return its id, `parent` when nothing changes.

    No branch moves. Equal arguments give an equal id, so a repeated attempt is the same commit.
    """
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": f"{scratch}/index"}
        if parent:
            folder.call("read-tree", parent, environment=index)
        lines = _index_lines(folder, files, Path(scratch))
        folder.call("update-index", "-z", "--replace", "--index-info", stdin=lines, environment=index)
        tree = folder.line("write-tree", environment=index)
    if parent and tree == folder.line("rev-parse", f"{parent}^{{tree}}"):
        return parent
    stamp = f"@{int(time.timestamp())} +0000"
    signed = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", stamp))
    }
    parents = ["-p", parent] if parent else []
    return folder.line("commit-tree", tree, *parents, "-F", "-", stdin=message.encode(), environment=signed)


def push(folder: GitFolder, *, url: str, ref: str, commit: str, expected: str | None) -> None:
    """Move `ref` of the repository at `url` from `expected` (None: it does not exist yet) to `commit`.

    The repository's own hooks run. `MovedMeanwhile` when the ref is elsewhere, `Refused` when a hook or a rule of
    the repository says no. A ref that is at `commit` already is fine: an earlier attempt got through.
    """
    lease = f"--force-with-lease={ref}:{expected or ''}"
    _, out, err = folder.call("push", "--porcelain", "--no-verify", lease, url, f"{commit}:{ref}", allowed=(0, 1, 128))
    flags = [line.split("\t") for line in out.decode("utf-8", "replace").splitlines() if line.count("\t") == 2]
    where, told = f"{folder.where} {ref}", "\n       ".join(err.strip().splitlines())
    if any(flag in ("=", " ", "*", "+") for flag, *_ in flags):
        return
    summary = next((summary for flag, _, summary in flags if flag == "!"), "")
    if _LOST.search(summary):
        raise MovedMeanwhile(
            "the branch moved meanwhile",
            where=where,
            got=summary,
            expected=f"still at {expected}" if expected else "not there yet",
            hint="read it again and retry; if nobody writes, a killed git left a .lock file beside the ref",
        )
    if summary:
        raise Refused("the repository refused the push", where=where, got=f"{summary}\n       {told}".rstrip())
    raise Broken("git push failed", where=where, got=told or "no output", hint="check the URL and the permissions")


def _index_lines(folder: GitFolder, files: Mapping[str, bytes | None], scratch: Path) -> bytes:
    """Store the contents as blobs, all in one call, and say what the index shall hold."""
    contents = {inside(path): content for path, content in files.items() if content is not None}
    names = [scratch / f"blob-{number}" for number in range(len(contents))]
    for name, content in zip(names, contents.values(), strict=True):
        name.write_bytes(content)
    listing = "".join(f"{name}\n" for name in names).encode()
    oids = folder.output("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listing).decode().split()
    lines = [f"{REGULAR} {oid}\t{path}\0" for path, oid in zip(contents, oids, strict=True)]
    lines += [f"0 {_NOTHING}\t{inside(path)}\0" for path, content in files.items() if content is None]
    return "".join(lines).encode()
