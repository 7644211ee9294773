"""Commits as `git log` tells them: fields apart by NUL, the one byte that no message can hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from release.tools.git_process import GitFolder

_FIELDS = ("%H", "%P", "%an <%ae>", "%ct", "%s", "%b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit: its id, parents, author (`name <mail>`), the committer's time in UTC, its message in two parts."""

    sha: str
    parents: tuple[str, ...]
    author: str
    time: datetime
    subject: str
    body: str


def read_log(folder: GitFolder, *arguments: str) -> tuple[Commit, ...]:
    """What `git log` shows for `arguments`, in its order."""
    fields = folder.records("log", "-z", f"--format={'%x00'.join(_FIELDS)}", *arguments, "--")
    return tuple(
        Commit(
            sha=sha,
            parents=tuple(parents.split()),
            author=author,
            time=datetime.fromtimestamp(int(seconds), UTC),
            subject=subject,
            body=body.strip("\n"),
        )
        for sha, parents, author, seconds, subject, body in zip(*[iter(fields)] * len(_FIELDS), strict=True)
    )
