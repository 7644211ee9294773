"""Where a repository's objects are read: in the bare repository itself, or in a local mirror of a remote one."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from release.digests import digest_of, hex_of
from release.errors import Misconfigured
from release.tools.git_process import GitFolder, public

_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCP = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^:].*\Z")
_REFS = ("+refs/heads/*:refs/heads/*", "+refs/notes/*:refs/notes/*")


def local_path(url: str) -> Path | None:
    """The folder that an absolute path names; None for the URL of a remote repository (`file://` is one, as in git).

    `Misconfigured` for everything else: git has transports that run commands.
    """
    if urlsplit(url).scheme in _SCHEMES or _SCP.match(url):
        return None
    if url.startswith("/"):
        return Path(url)
    raise Misconfigured(
        "not the URL of a git repository",
        got=public(url)[:200],
        expected=f"an absolute path, user@host:path, or {', '.join(f'{each}://' for each in _SCHEMES)}",
    )


def open_mirror(url: str, *, mirrors: Path, seconds: float, environment: Mapping[str, str]) -> GitFolder:
    """The mirror of `url` below `mirrors`, made when it is missing; it may be empty until `refresh`."""
    path = mirrors / f"{hex_of(digest_of(url.encode()))[:24]}.git"
    path.mkdir(parents=True, exist_ok=True)
    folder = GitFolder(path=path, where=public(url), seconds=seconds, environment=environment)
    with _locked(path):
        folder.call("init", "--bare", "--quiet")  # harmless where it was done before, mends a half-made one
    return folder


def refresh(folder: GitFolder, url: str) -> None:
    """Fetch every branch and the notes; what was rewritten or deleted there is so here. One process at a time."""
    with _locked(folder.path):
        folder.call("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", url, *_REFS)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go when the holder dies, however it dies."""
    with path.with_suffix(".guard").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for stale in (*path.glob("*.lock"), *path.glob("refs/**/*.lock")):
            stale.unlink(missing_ok=True)  # left by a killed git: whoever writes refs here holds our lock
        yield
