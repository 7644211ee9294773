"""The files of one commit, listed once by content: read and staged out of git's objects, without a work tree."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from release.errors import Misconfigured, Refused
from release.tools.git_process import GitFolder
from release.tools.git_trees import EXECUTABLE, LINK, REGULAR, blobs, inside, is_inside

STAMP = 315532800  # 1980-01-01: the time of every file that is staged; git has none, and who reads ours sees a clock
_AT_ONCE = 1000  # files whose contents are in memory together
_LINKS = 10  # a link to a link to a link


class CommitFiles:
    """What a commit holds, from one `git ls-tree`; contents are read when they are asked for.

    `blobs` maps the path of each file (links too) to git's id of its content, `folders` each folder to git's tree id
    of all that is in it. Methods block; they may be called from several threads at once.
    """

    def __init__(self, folder: GitFolder, commit: str) -> None:
        self.commit = commit
        self._git = folder
        self._odd: dict[str, str] = {}  # path -> mode of what is not a plain file
        self._in: dict[str, list[str]] = {}  # folder -> what lies directly in it
        files: dict[str, str] = {}
        folders: dict[str, str] = {}
        for record in folder.records("ls-tree", "--full-tree", "-r", "-t", "-z", commit):
            head, _, path = record.partition("\t")
            mode, kind, oid = head.split(" ")
            (folders if kind == "tree" else files)[path] = oid
            self._in.setdefault(path.rpartition("/")[0], []).append(path)
            if kind != "tree" and mode != REGULAR:
                self._odd[path] = mode
        self.blobs: Mapping[str, str] = MappingProxyType(files)
        self.folders: Mapping[str, str] = MappingProxyType(folders)

    def names(self, folder: str) -> Mapping[str, str]:
        """File name -> path of the files that lie directly in a folder."""
        return {path.rpartition("/")[2]: path for path in self._in.get(folder, ()) if path in self.blobs}

    def below(self, folder: str) -> Sequence[str]:
        """The paths of all files below a folder, however deep."""
        found: list[str] = []
        for path in self._in.get(folder, ()):
            found += [path] if path in self.blobs else self.below(path)
        return found

    def content(self, path: str) -> str:
        """What tells one content of a file from another: the blob's id, after its mode where that is not 100644."""
        mode = self._odd.get(path)
        return f"{mode}:{self.blobs[path]}" if mode else self.blobs[path]

    def is_file(self, path: str) -> bool:
        """Whether a path of `blobs` is a regular file, no link and no submodule."""
        return self._odd.get(path, EXECUTABLE) == EXECUTABLE

    def is_plain(self, path: str) -> bool:
        """Whether a path of `blobs` is a regular file that can be read; see `linked`."""
        return self.is_file(path) and is_inside(path)

    def read(self, path: str) -> bytes:
        """A file's content; `Misconfigured` when there is none, `Refused` when it is a link or a submodule."""
        return self.read_many([path])[path]

    def read_many(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of many files in one git call; every one must be there (see `read`)."""
        wanted = tuple(dict.fromkeys(paths))
        for path in wanted:
            if path not in self.blobs:
                raise Misconfigured("the tree has no such file", where=path, expected=f"in commit {self.commit[:12]}")
            if not self.is_file(path):
                raise Refused("not a regular file", where=path, got=self._kind(path))
        return dict(zip(wanted, self._contents(wanted), strict=True))

    def linked(self, path: str) -> tuple[str, ...]:
        """The files that who opens `path` reads: itself, and where it is a link, all that it leads to.

        `Refused` when a link leads out of its folder, to nothing, or round in a circle, for a submodule, and for a
        path that no file on disk should have.
        """
        found = [inside(path)]
        while (mode := self._odd.get(found[-1], EXECUTABLE)) != EXECUTABLE:
            goal = "" if mode != LINK else self._contents(found[-1:])[0].decode("utf-8", "surrogateescape")
            beside = posixpath.dirname(found[-1])
            target = posixpath.normpath(posixpath.join(beside, goal))
            if target not in self.blobs or not target.startswith(f"{beside}/") or len(found) > _LINKS:
                raise Refused(
                    f"{self._kind(found[-1])} leads out of its folder",
                    where=found[-1],
                    got=goal[:200] or None,
                    expected="a regular file, or a link to one in the same folder",
                )
            found.append(target)
        return tuple(found)

    def stage(self, places: Mapping[str, Path]) -> None:
        """Write each path of the tree to its place (files of the machine that do not exist yet), for all to read.

        Links are written last, so that nothing is written through one. `Refused` as `linked` says; `OSError` goes up.
        """
        for path in places:
            self.linked(path)
        ordered = iter(sorted(places, key=lambda path: self._odd.get(path) == LINK))
        while some := tuple(islice(ordered, _AT_ONCE)):
            for path, content in zip(some, self._contents(some), strict=True):
                self._write(path, content, places[path])

    def _contents(self, paths: Sequence[str]) -> Sequence[bytes]:
        return tuple(blobs(self._git, (self.blobs[inside(path)] for path in paths))) if paths else ()

    def _write(self, path: str, content: bytes, place: Path) -> None:
        mode = self._odd.get(path)
        if mode == LINK:
            _make_folder(place.parent)
            place.symlink_to(content.decode("utf-8", "surrogateescape"))
        else:
            write_file(place, content, executable=mode == EXECUTABLE)

    def _kind(self, path: str) -> str:
        return "a link" if self._odd.get(path) == LINK else "a submodule"


def write_file(place: Path, content: bytes, *, executable: bool = False) -> None:
    """Write a file and the folders above it for all to read, whatever our umask is, with a time that says nothing."""
    _make_folder(place.parent)
    place.write_bytes(content)
    place.chmod(0o755 if executable else 0o644)
    os.utime(place, (STAMP, STAMP))


def _make_folder(path: Path) -> None:
    """With its parents, open to whoever reads for us, whatever our umask is."""
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
