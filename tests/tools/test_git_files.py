"""The files of a commit, listed once and staged: what is written is what git's ids name, and nothing escapes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from release.errors import Misconfigured, Refused
from release.tools.git_files import CommitFiles
from tests.tools.git_world import World, make_world, put

FILES: dict[str, bytes | None] = {
    "SPECS/a/a.spec": b"Name: a\n",
    "SPECS/a/sub/deep.txt": b"deep",
    "SPECS/b/b.spec": b"Name: b\n",
    "README": b"\xff\x00\n",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def files(world: World) -> CommitFiles:
    return world.here().files(put(world.here(), FILES, after=None))


def with_mode(world: World, mode: str, path: str, content: bytes) -> CommitFiles:
    """The files and one of an odd mode, which `commit_files` does not write."""
    repository = world.here()
    parent = put(repository, FILES, after=None)
    git, index = repository._folder, {"GIT_INDEX_FILE": str(world.folder / "index")}
    blob = git.line("hash-object", "-w", "--stdin", stdin=content) if mode != "160000" else parent
    git.call("read-tree", parent, environment=index)
    git.call("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", environment=index)
    tree = git.line("write-tree", environment=index)
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return repository.files(git.line("commit-tree", tree, "-p", parent, "-m", "x", environment=who))


def test_lists_files_and_folders_by_content(files: CommitFiles) -> None:
    assert set(files.blobs) == set(FILES)
    assert set(files.folders) == {"SPECS", "SPECS/a", "SPECS/a/sub", "SPECS/b"}
    assert files.names("SPECS/a") == {"a.spec": "SPECS/a/a.spec"}
    assert sorted(files.below("SPECS/a")) == ["SPECS/a/a.spec", "SPECS/a/sub/deep.txt"]
    assert files.below("SPECS/none") == []


def test_reads_exact_bytes(files: CommitFiles) -> None:
    assert files.read("README") == b"\xff\x00\n"
    assert files.read_many(["SPECS/b/b.spec", "README"]) == {"SPECS/b/b.spec": b"Name: b\n", "README": b"\xff\x00\n"}
    assert files.read_many([]) == {}


def test_refuses_to_read_what_is_not_there(files: CommitFiles) -> None:
    with pytest.raises(Misconfigured, match="the tree has no such file"):
        files.read("SPECS/a")


def test_stages_the_chosen_files_and_no_other_readable_for_all(files: CommitFiles, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = os.umask(0o077)
    try:
        files.stage({"SPECS/a/sub/deep.txt": out / "x" / "deep.txt"})
    finally:
        os.umask(before)
    assert [path.relative_to(out).as_posix() for path in sorted(out.rglob("*"))] == ["x", "x/deep.txt"]
    assert (out / "x/deep.txt").read_bytes() == b"deep"
    assert [oct(path.stat().st_mode & 0o777) for path in (out, out / "x", out / "x/deep.txt")] == [
        "0o755", "0o755", "0o644",
    ]  # fmt: skip


def test_an_executable_is_another_content_and_stays_one(world: World, tmp_path: Path) -> None:
    files = with_mode(world, "100755", "SPECS/a/run", b"deep")
    assert files.content("SPECS/a/run") == f"100755:{files.blobs['SPECS/a/sub/deep.txt']}"
    files.stage({"SPECS/a/run": tmp_path / "run"})
    assert os.access(tmp_path / "run", os.X_OK)
    assert files.read("SPECS/a/run") == b"deep"


def test_a_link_inside_its_folder_is_followed_and_staged(world: World, tmp_path: Path) -> None:
    files = with_mode(world, "120000", "SPECS/a/link", b"sub/deep.txt")
    assert files.linked("SPECS/a/link") == ("SPECS/a/link", "SPECS/a/sub/deep.txt")
    files.stage({path: tmp_path / path for path in files.below("SPECS/a")})
    assert (tmp_path / "SPECS/a/link").read_bytes() == b"deep"
    with pytest.raises(Refused, match="not a regular file"):
        files.read("SPECS/a/link")


@pytest.mark.parametrize("goal", [b"/etc/passwd", b"../b/b.spec", b"../../README", b"none", b"link", b"sub"])
def test_a_link_that_leads_out_of_its_folder_is_refused(world: World, tmp_path: Path, goal: bytes) -> None:
    files = with_mode(world, "120000", "SPECS/a/link", goal)
    with pytest.raises(Refused) as caught:
        files.stage({"SPECS/a/link": tmp_path / "link", "README": tmp_path / "README"})
    assert (caught.value.where, caught.value.got) == ("SPECS/a/link", goal.decode())
    assert not (tmp_path / "README").exists()


def test_a_submodule_is_refused(world: World, tmp_path: Path) -> None:
    files = with_mode(world, "160000", "SPECS/a/module", b"")
    with pytest.raises(Refused, match="a submodule"):
        files.stage({"SPECS/a/module": tmp_path / "module"})
