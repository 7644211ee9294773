"""Files out of a commit: exact bytes by object id, without a work tree, filters, attributes or links that escape."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from release.errors import Broken, Refused
from release.tools.git_process import GitFolder

REGULAR, EXECUTABLE, LINK = "100644", "100755", "120000"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One line of a tree: mode (six octal digits), type (`blob`, `tree`, `commit`), object id, path from the root."""

    mode: str
    kind: str
    oid: str
    path: str


def inside(path: str) -> str:
    """A path that stays in the tree and out of git's own folder; otherwise `Refused`."""
    if not is_inside(path):
        raise Refused("not a path inside the tree", got=repr(path)[:200], expected="such as SPECS/zlib/zlib.spec")
    return path


def is_inside(path: str) -> bool:
    """Whether `inside` takes a path."""
    parts = PurePosixPath(path).parts
    plain = parts and str(PurePosixPath(path)) == path and not path.startswith("/") and not {"\n", "\0"} & set(path)
    return bool(plain) and not any(part == ".." or part.lower() == ".git" for part in parts)


def entries(folder: GitFolder, commit: str, *paths: str, recursive: bool = False) -> tuple[TreeEntry, ...]:
    """What the tree of `commit` holds at `paths` (all of it without any), in one git call; absent ones are left out."""
    options = ["-r", "-z"] if recursive else ["-z"]
    lines = folder.records("ls-tree", "--full-tree", *options, commit, "--", *(inside(path) for path in paths))
    return tuple(_entry(line) for line in lines)


def blobs(folder: GitFolder, oids: Iterable[str]) -> Iterator[bytes]:
    """The contents of blobs, in order, in one git call."""
    wanted = list(oids)
    raw = folder.output("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in wanted).encode())
    at = 0
    for oid in wanted:
        end = raw.index(b"\n", at)
        words = raw[at:end].split(b" ")
        if len(words) != 3 or words[1] != b"blob":
            raise Broken("an object is missing", where=folder.where, got=raw[at:end].decode(), expected=f"blob {oid}")
        start, size = end + 1, int(words[2])
        yield raw[start : start + size]
        at = start + size + 1


def export(folder: GitFolder, commit: str, path: str, destination: Path) -> None:
    """Write the files below `path` (empty: all) to `destination`, which must not exist: it appears when complete.

    Not `git archive`: a tree can tell that one by .gitattributes to change or to leave out files, and what is built
    would no longer be what the tree id names. `Refused` for submodules and for links that lead out of the folder.
    """
    found = entries(folder, commit, *([path] if path else []), recursive=True)
    if not found:
        raise Refused("no such folder", where=f"{folder.where} at {commit[:12]}", got=path)
    if odd := next((each for each in found if each.kind != "blob"), None):
        raise Refused("a submodule cannot be exported", where=f"{folder.where} at {commit[:12]}", got=odd.path)
    part = destination.with_name(f"{destination.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        _write(folder, found, path, part.resolve())
        part.rename(destination)
    except OSError as error:
        raise Broken("cannot write an export", where=str(destination), got=error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _entry(line: str) -> TreeEntry:
    """One record of `git ls-tree`: `<mode> <type> <object>\\t<path>`."""
    head, _, path = line.partition("\t")
    mode, kind, oid = head.split(" ")
    return TreeEntry(mode=mode, kind=kind, oid=oid, path=path)


def _write(folder: GitFolder, found: tuple[TreeEntry, ...], path: str, part: Path) -> None:
    """Files first, links last, so that nothing is ever written through a link."""
    links: list[tuple[Path, str]] = []
    for entry, content in zip(found, blobs(folder, (each.oid for each in found)), strict=True):
        target = part / PurePosixPath(inside(entry.path)).relative_to(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == LINK:
            links.append((target, content.decode("utf-8", "surrogateescape")))
            continue
        target.write_bytes(content)
        target.chmod(0o755 if entry.mode == EXECUTABLE else 0o644)
    for target, goal in links:
        target.symlink_to(goal)
    for target, goal in links:
        if not target.resolve().is_relative_to(part):
            raise Refused(
                "a link leads out of its folder",
                where=f"{folder.where} {PurePosixPath(path) / target.relative_to(part)}",
                got=goal,
                expected="a link to something in the same folder",
            )
