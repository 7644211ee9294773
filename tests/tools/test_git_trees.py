"""An export is what the tree id names: exact bytes and modes, nothing filtered, nothing outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from release.errors import Broken, Refused
from release.tools.git import Repository
from tests.tools.git_world import World, make_world, put


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def commit_entries(world: World, *lines: str) -> str:
    """A commit whose root tree has exactly these `mode path` entries; content of each is its word after the path."""
    environment = {"GIT_INDEX_FILE": str(world.folder / "index"), "PATH": os.environ["PATH"]}
    git = ["git", "-C", str(world.origin), "-c", "user.name=m", "-c", "user.email=m@example.org"]

    def run(*arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            [*git, *arguments], input=stdin, env=environment, text=True, check=True, capture_output=True
        ).stdout.strip()

    for line in lines:
        mode, path, content = line.split(" ", 2)
        oid = "c" * 40 if mode == "160000" else run("hash-object", "-w", "--stdin", stdin=content)
        run("update-index", "--add", "--cacheinfo", f"{mode},{oid},{path}")
    return run("commit-tree", run("write-tree"), "-m", "made by hand")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writes_a_folder_as_it_is(world: World, tmp_path: Path) -> None:
    repository = world.here()
    content = {"SPECS/a/a.spec": b"Name: a\r\n", "SPECS/a/patches/1.patch": bytes(range(256)), "SPECS/b/b.spec": b"b"}
    head = put(repository, content, after=None)
    repository.export(head, "SPECS/a", tmp_path / "out")
    assert files(tmp_path / "out") == {"a.spec": b"Name: a\r\n", "patches/1.patch": bytes(range(256))}


def test_writes_the_whole_tree(world: World, tmp_path: Path) -> None:
    repository = world.here()
    head = put(repository, {"a/b": b"1", "c": b"2"}, after=None)
    repository.export(head, "", tmp_path / "out")
    assert files(tmp_path / "out") == {"a/b": b"1", "c": b"2"}


def test_modes_are_kept_and_nothing_else_is(world: World, tmp_path: Path) -> None:
    head = commit_entries(world, "100755 run.sh x", "100644 data x")
    world.here().export(head, "", tmp_path / "out")
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/data").stat().st_mode & 0o777 == 0o644


def test_a_tree_cannot_filter_its_own_export(world: World, tmp_path: Path) -> None:
    repository = world.here()
    attributes = b"secret.patch export-ignore\na.spec export-subst text eol=crlf ident\n"
    content = {".gitattributes": attributes, "secret.patch": b"kept", "a.spec": b"$Format:%H$ $Id$\n"}
    head = put(repository, content, after=None)
    repository.export(head, "", tmp_path / "out")
    assert files(tmp_path / "out") == content


def test_links_inside_are_kept_as_links(world: World, tmp_path: Path) -> None:
    head = commit_entries(world, "100644 p/real x", "120000 p/link real", "120000 p/sub/up ../real", "120000 p/gone no")
    world.here().export(head, "p", tmp_path / "out")
    assert (tmp_path / "out/link").readlink() == Path("real")
    assert (tmp_path / "out/sub/up").read_text() == "x"
    assert (tmp_path / "out/gone").is_symlink()


@pytest.mark.parametrize(
    "lines",
    [
        ["120000 p/link /etc/passwd"],
        ["120000 p/link ../outside"],
        ["120000 p/link .."],
        ["120000 p/a/link ../../outside"],
        ["100644 p/x/file x", "120000 p/a/b/d ../../x", "120000 p/link a/b/d/../../escaped"],
    ],
    ids=["absolute", "sibling", "parent", "deep", "through another link"],
)
def test_links_that_lead_out_are_refused(world: World, tmp_path: Path, lines: list[str]) -> None:
    head = commit_entries(world, "100644 outside secret", *lines)
    with pytest.raises(Refused, match="leads out of its folder") as caught:
        world.here().export(head, "p", tmp_path / "out")
    assert "link" in str(caught.value.where)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()


def test_a_link_is_not_read_as_a_file(world: World) -> None:
    head = commit_entries(world, "120000 distro.yaml /etc/passwd")
    with pytest.raises(Refused, match="not a regular file") as caught:
        world.here().read_file(head, "distro.yaml")
    assert caught.value.got == "a link"


def test_a_submodule_is_refused(world: World, tmp_path: Path) -> None:
    head = commit_entries(world, "100644 p/a x", "160000 p/sub x")
    with pytest.raises(Refused, match="submodule") as caught:
        world.here().export(head, "p", tmp_path / "out")
    assert caught.value.got == "p/sub"


def test_a_folder_that_is_not_there_is_refused(world: World, tmp_path: Path) -> None:
    repository = world.here()
    head = put(repository, {"a": b"1"}, after=None)
    with pytest.raises(Refused, match="no such folder"):
        repository.export(head, "SPECS/none", tmp_path / "out")


def test_what_a_killed_export_left_is_no_obstacle(world: World, tmp_path: Path) -> None:
    repository = world.here()
    head = put(repository, {"a/b": b"1"}, after=None)
    (tmp_path / "out.part/rubbish").mkdir(parents=True)
    repository.export(head, "a", tmp_path / "out")
    assert files(tmp_path / "out") == {"b": b"1"}


def test_never_mixes_with_what_is_there(world: World, tmp_path: Path) -> None:
    repository = world.here()
    head = put(repository, {"a/b": b"1"}, after=None)
    (tmp_path / "out/old").mkdir(parents=True)
    with pytest.raises(Broken, match="cannot write an export"):
        repository.export(head, "a", tmp_path / "out")
    assert not (tmp_path / "out/b").exists()


def test_a_missing_object_is_broken_not_silent(world: World, tmp_path: Path) -> None:
    repository = world.here()
    head = put(repository, {"a/b": b"lost"}, after=None)
    oid = subprocess.run(
        ["git", "hash-object", "--stdin"], input=b"lost", capture_output=True, check=True
    ).stdout.decode()
    (world.origin / "objects" / oid[:2] / oid[2:].strip()).unlink()
    with pytest.raises(Broken, match="an object is missing"):
        repository.export(head, "a", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_utf_8_hides_no_other(world: World) -> None:
    oid = subprocess.run(
        ["git", "-C", world.origin, "hash-object", "-w", "--stdin"], input=b"x", capture_output=True, check=True
    ).stdout.strip()
    tree = subprocess.run(
        ["git", "-C", world.origin, "mktree", "-z"],
        input=b"100644 blob " + oid + b"\t\xff\xfe\0" + b"100644 blob " + oid + b"\tplain\0",
        capture_output=True,
        check=True,
    ).stdout.strip()
    head = subprocess.run(
        ["git", "-C", world.origin, "-c", "user.name=m", "-c", "user.email=m@x", "commit-tree", tree, "-m", "m"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert world.here().list_files(head.strip()) == ("\\xff\\xfe", "plain")
    assert world.here().files(head.strip()).read("\\xff\\xfe") == b"x"


def test_many_files_take_two_git_calls(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository: Repository = world.here()
    head = put(repository, {f"p/{number}": b"%d" % number for number in range(300)}, after=None)
    calls: list[str] = []
    folder = type(repository._folder)
    original = folder.call

    def counted(self: object, *arguments: str, **options: object) -> object:
        calls.append(arguments[0])
        return original(self, *arguments, **options)  # type: ignore[arg-type]  # the very arguments it was given

    monkeypatch.setattr(folder, "call", counted)
    repository.export(head, "p", tmp_path / "out")
    assert len(files(tmp_path / "out")) == 300
    assert calls == ["cat-file", "ls-tree", "cat-file"]
