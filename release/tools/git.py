"""A distribution's git repository, here or remote: what it says, and commits and notes that never lose a race."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from time import sleep
from types import MappingProxyType

from release.errors import Misconfigured, Refused
from release.tools import git_mirror, git_notes, git_trees
from release.tools.git_files import CommitFiles
from release.tools.git_log import Commit, read_log
from release.tools.git_notes import NOTES
from release.tools.git_process import GitFolder, folder_of
from release.tools.git_trees import LINK, TreeEntry
from release.tools.git_writes import Identity, MovedMeanwhile, make_commit, push

__all__ = ["Commit", "Identity", "MovedMeanwhile", "Repository", "create_bare"]

ATTEMPTS = 25
PAUSE_SECONDS = 0.02
_SHA = re.compile(r"[0-9a-f]{40}\Z")
# gitrevisions(7), check-ref-format(1): the careful part of what git allows
_REVISION = re.compile(r"(?!.*(\.\.|\^\{|@\{))[A-Za-z0-9@][A-Za-z0-9@._/~^+-]{0,250}\Z")
_BRANCH = re.compile(r"(?!.*(\.\.|//|\.lock(/|\Z)|/\Z|\.\Z))[A-Za-z0-9][A-Za-z0-9._/-]*\Z")


def create_bare(path: Path, *, branch: str) -> None:
    """Make an empty bare repository whose default branch is `branch`; an existing one is left as it is."""
    if not (path / "HEAD").exists():
        path.mkdir(parents=True, exist_ok=True)
        folder = GitFolder(path=path, where=str(path))
        folder.call("init", "--bare", "--quiet", f"--initial-branch={_branch(branch)}")


class Repository:
    """One repository by URL. All methods block; they may be called from several threads and processes at once.

    A repository on this machine is read and written in place; a remote one through a mirror below `mirrors`.
    `environment` is for reaching a remote (see `GitFolder`). Every failure is `Broken` (or `Refused`,
    `Misconfigured`) and names the repository.
    """

    def __init__(
        self, *, url: str, mirrors: Path, seconds: float = 120.0, environment: Mapping[str, str] | None = None
    ) -> None:
        path = git_mirror.local_path(url)
        self.url = str(path) if path else url
        self._remote = path is None
        self._seen: set[str] = set()
        given = environment or {}
        if path:
            self._folder = GitFolder(path=folder_of(path), where=str(path), seconds=seconds, environment=given)
        else:
            self._folder = git_mirror.open_mirror(url, mirrors=mirrors, seconds=seconds, environment=given)

    def head(self, branch: str) -> str | None:
        """The newest commit of a branch, asked of the repository itself; None when there is no such branch."""
        return self._tip(f"refs/heads/{_branch(branch)}")

    def resolve(self, *revisions: str) -> tuple[str, ...]:
        """The ids of the commits that branches, tags, short ids or `HEAD~1` name; `Misconfigured` for others."""
        for each in revisions:
            if not _REVISION.match(each):
                raise Misconfigured("not a revision", got=repr(each)[:100], expected="such as stable, v1.2 or HEAD~1")
        words = ("rev-parse", "--end-of-options", *(f"{each}^{{commit}}" for each in revisions))
        code, out, _ = self._folder.call(*words, allowed=(0, 128))
        found = tuple(out.decode().split()[1:] if out.startswith(b"--end-of-options") else out.decode().split())
        if code == 0 and len(found) == len(revisions):
            self._seen.update(found)
            return found
        missing = next((each for each in revisions if not self._is_revision(each)), revisions[0])
        raise Misconfigured(
            f"no commit is called {missing!r}",
            where=self._folder.where,
            expected="a branch, a tag, an id, or such as HEAD~1",
            hint="a shallow clone has only the newest commits: git fetch --unshallow",
        )

    def commit(self, sha: str) -> Commit:
        """One commit; `Refused` when the repository has none of this id."""
        return read_log(self._folder, "-1", self._known(sha))[0]

    def log(self, since: str | None, until: str) -> tuple[Commit, ...]:
        """The commits after `since` up to `until`, oldest first: those that the branch itself went through, so a
        merge counts as one. `since` None: from the beginning."""
        span = f"{self._known(since)}..{self._known(until)}" if since else self._known(until)
        return read_log(self._folder, "--first-parent", "--reverse", span)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older` (a commit contains itself)."""
        found = ("merge-base", "--is-ancestor", self._known(older), self._known(newer))
        return self._folder.call(*found, allowed=(0, 1))[0] == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both contain; None for unrelated histories."""
        code, out, _ = self._folder.call("merge-base", self._known(one), self._known(other), allowed=(0, 1))
        return out.decode().strip() if code == 0 else None

    def was_rewritten(self, before: str, after: str) -> bool:
        """Whether a branch that was at `before` and is at `after` lost history (a forced push)."""
        return not self._has(_sha(before)) or not self.is_ancestor(before, after)

    def tree_ids(self, commit: str, folders: Iterable[str]) -> Mapping[str, str]:
        """The git tree id of each folder in a commit, in one git call; absent folders are left out."""
        paths = tuple(folders)
        found = git_trees.entries(self._folder, self._known(commit), *paths) if paths else ()
        return MappingProxyType({each.path: each.oid for each in found if each.kind == "tree"})

    def changed_paths(self, before: str, after: str) -> tuple[str, ...]:
        """Files whose content or mode differs between two commits, sorted; a rename is its two names."""
        names = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", self._known(before), self._known(after))
        return tuple(sorted(self._folder.records(*names)))

    def list_files(self, commit: str, prefix: str = "") -> tuple[str, ...]:
        """All files of a commit below a folder (all of them by default), sorted."""
        paths = [prefix] if prefix else []
        found = git_trees.entries(self._folder, self._known(commit), *paths, recursive=True)
        return tuple(sorted(each.path for each in found))

    def files(self, commit: str) -> CommitFiles:
        """All that a commit holds, listed once: for reading and staging many of its files."""
        return CommitFiles(self._folder, self._known(commit))

    def read_file(self, commit: str, path: str) -> bytes | None:
        """A file's content in a commit; None when there is none; `Refused` when it is a link or a folder."""
        return self.read_files(commit, [path]).get(path)

    def read_files(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of many files in two git calls; absent ones are left out."""
        wanted = tuple(paths)
        found = git_trees.entries(self._folder, self._known(commit), *wanted) if wanted else ()
        contents = git_trees.blobs(self._folder, (self._regular(each).oid for each in found))
        return MappingProxyType({each.path: content for each, content in zip(found, contents, strict=True)})

    def export(self, commit: str, folder: str, destination: Path) -> None:
        """Write a folder of a commit to `destination`, which must not exist yet; see `git_trees.export`."""
        git_trees.export(self._folder, self._known(commit), folder, destination)

    def commit_files(
        self,
        branch: str,
        files: Mapping[str, bytes | None],
        *,
        message: str,
        expected_head: str | None,
        author: Identity,
        time: datetime,
    ) -> str:
        """Change files (None removes one) on a branch in one commit, and return the branch's new head.

        `expected_head` is the head that the caller read; None makes the branch, as an orphan. `MovedMeanwhile` when
        the branch is elsewhere by now: nothing was written, read again. Without a change there is no commit; equal
        arguments make one commit, whoever gives them and however often.
        """
        return self._write(
            f"refs/heads/{_branch(branch)}", files, message=message, parent=expected_head, author=author, time=time
        )

    def read_note(self, sha: str) -> bytes | None:
        """Slipway's note on a commit, or None."""
        tip = self._tip(NOTES)
        return git_notes.read_note(self._folder, tip, _sha(sha)) if tip else None

    def notes(self) -> Mapping[str, bytes]:
        """Slipway's notes on all commits, in three git calls."""
        tip = self._tip(NOTES)
        return git_notes.read_notes(self._folder, tip) if tip else MappingProxyType({})

    def write_note(
        self, sha: str, change: bytes | Callable[[bytes | None], bytes], *, author: Identity, time: datetime
    ) -> bytes:
        """Put a note on a commit and return it. A function gets the note that is there, again after a lost race, and
        says the new one; what it raises ends the attempt."""
        self._known(sha)
        for attempt in itertools.count(1):
            tip = self._tip(NOTES)
            before = git_notes.read_note(self._folder, tip, sha) if tip else None
            content = change if isinstance(change, bytes) else change(before)
            files = git_notes.note_files(sha, content)
            try:
                self._write(NOTES, files, message=f"Note on {sha}", parent=tip, author=author, time=time)
                break
            except MovedMeanwhile:
                if attempt == ATTEMPTS:
                    raise
                sleep(PAUSE_SECONDS * attempt)
        return content

    def _write(
        self,
        ref: str,
        files: Mapping[str, bytes | None],
        *,
        message: str,
        parent: str | None,
        author: Identity,
        time: datetime,
    ) -> str:
        if parent:
            self._known(parent)
        made = make_commit(self._folder, parent=parent, files=files, message=message, author=author, time=time)
        push(self._folder, url=self.url, ref=ref, commit=made, expected=parent)
        return made

    def _tip(self, ref: str) -> str | None:
        """Where a ref is now, in the repository itself, with its objects at hand."""
        if not self._remote:
            code, out, _ = self._folder.call("rev-parse", "--verify", "--quiet", ref, allowed=(0, 1))
            return out.decode().strip() if code == 0 else None
        line = self._folder.line("ls-remote", self.url, ref)
        if not line:
            return None
        return self._known(line.split()[0])

    def _known(self, sha: str) -> str:
        """A commit's id when the repository has it, fetching at need; otherwise `Refused`."""
        if not self._has(_sha(sha)):
            raise Refused("no such commit", where=self._folder.where, got=sha, expected="a commit of this repository")
        return sha

    def _is_revision(self, revision: str) -> bool:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self._folder.call(*words, allowed=(0, 1, 128))[0] == 0

    def _has(self, sha: str) -> bool:
        if sha in self._seen:  # a commit that is there stays there
            return True
        if self._find(sha):
            self._seen.add(sha)
        return sha in self._seen

    def _find(self, sha: str) -> bool:
        probe = ("cat-file", "-e", f"{sha}^{{commit}}")
        if self._folder.call(*probe, allowed=(0, 1, 128))[0] == 0:
            return True
        if not self._remote:
            return False
        git_mirror.refresh(self._folder, self.url)
        return self._folder.call(*probe, allowed=(0, 1, 128))[0] == 0

    def _regular(self, entry: TreeEntry) -> TreeEntry:
        if entry.kind != "blob" or entry.mode == LINK:
            kind = "a link" if entry.mode == LINK else "a folder"
            raise Refused("not a regular file", where=f"{self._folder.where} {entry.path}", got=kind)
        return entry


def _sha(text: str) -> str:
    if not _SHA.match(text):
        raise Refused("not a commit id", got=repr(text)[:100], expected="40 hex digits")
    return text


def _branch(name: str) -> str:
    if not _BRANCH.match(name):
        raise Refused("not a branch name", got=repr(name)[:100], expected="such as stable")
    return name
