"""What a repository says: its branches, commits, files and history, in place and through a mirror."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from release.errors import Broken, Misconfigured, Refused
from release.tools.git import Repository, create_bare
from release.tools.git_mirror import local_path
from release.tools.git_trees import inside
from tests.tools.git_world import ALICE, NOON, World, make_world, put

NOWHERE = "d" * 40


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture(params=["in place", "mirrored"])
def repository(request: pytest.FixtureRequest, world: World) -> Repository:
    return world.here() if request.param == "in place" else world.remote()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that nobody writes to: for everything that is refused before git is asked."""
    return make_world(tmp_path_factory.mktemp("still"))


def git(world: World, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", world.origin, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_branch_that_is_not_there_has_no_head(repository: Repository) -> None:
    assert repository.head("stable") is None


def test_tells_a_commit(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None, message="zlib: Add it\n\nBecause.\n\nSlipway-Lane: normal\n")
    found = repository.commit(first)
    assert found.sha == first
    assert found.parents == ()
    assert found.author == "Alice Ö <alice@example.org>"
    assert found.time == NOON
    assert found.subject == "zlib: Add it"
    assert found.body == "Because.\n\nSlipway-Lane: normal"


def test_tells_what_came_between_oldest_first(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None, message="one")
    second = put(repository, {"a": b"2"}, after=first, message="two")
    third = put(repository, {"a": b"3"}, after=second, message="three")
    assert [each.subject for each in repository.log(first, third)] == ["two", "three"]
    assert [each.sha for each in repository.log(None, third)] == [first, second, third]
    assert repository.log(third, third) == ()


def test_a_merge_counts_as_one_commit_of_the_branch(world: World) -> None:
    repository = world.here()
    base = put(repository, {"a": b"1"}, after=None)
    side = repository.commit_files("topic", {"b": b"1"}, message="t", expected_head=None, author=ALICE, time=NOON)
    main = put(repository, {"a": b"2"}, after=base)
    git(world, "config", "user.name", "m")
    git(world, "config", "user.email", "m@example.org")
    tree = git(world, "rev-parse", f"{main}^{{tree}}")
    merge = git(world, "commit-tree", tree, "-p", main, "-p", side, "-m", "merge")
    assert [each.sha for each in repository.log(base, merge)] == [main, merge]
    assert repository.commit(merge).parents == (main, side)


def test_a_message_of_many_lines_and_a_commit_without_one(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None, message="s\n\n" + "x\x1e\x1f\n" * 3)
    second = put(repository, {"a": b"2"}, after=first, message="")
    assert [each.subject for each in repository.log(None, second)] == ["s", ""]


def test_knows_ancestors(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    second = put(repository, {"a": b"2"}, after=first)
    other = repository.commit_files("other", {"x": b""}, message="o", expected_head=None, author=ALICE, time=NOON)
    assert repository.is_ancestor(first, second)
    assert repository.is_ancestor(first, first)
    assert not repository.is_ancestor(second, first)
    assert repository.merge_base(first, second) == first
    assert repository.merge_base(first, other) is None


def test_notices_a_forced_push(repository: Repository, world: World) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    second = put(repository, {"a": b"2"}, after=first)
    git(world, "update-ref", "refs/heads/stable", first)
    third = put(repository, {"a": b"3"}, after=first)
    assert repository.head("stable") == third
    assert repository.was_rewritten(second, third)
    assert not repository.was_rewritten(first, third)
    assert repository.was_rewritten(NOWHERE, third), "a commit that is gone was rewritten away"


def test_tree_ids_say_whether_a_folder_changed(repository: Repository) -> None:
    first = put(repository, {"SPECS/a/a.spec": b"1", "SPECS/b/b.spec": b"1", "x": b""}, after=None)
    second = put(repository, {"SPECS/a/a.spec": b"2"}, after=first)
    before = repository.tree_ids(first, ["SPECS/a", "SPECS/b", "SPECS/none", "x"])
    after = repository.tree_ids(second, ["SPECS/a", "SPECS/b"])
    assert set(before) == {"SPECS/a", "SPECS/b"}
    assert before["SPECS/a"] != after["SPECS/a"]
    assert before["SPECS/b"] == after["SPECS/b"]
    assert repository.tree_ids(first, []) == {}


def test_hundreds_of_tree_ids_take_one_call(world: World) -> None:
    repository = world.here()
    folders = [f"SPECS/p{number}" for number in range(300)]
    head = put(repository, {f"{folder}/p.spec": folder.encode() for folder in folders}, after=None)
    assert len(set(repository.tree_ids(head, folders).values())) == 300


def test_changed_paths_go_by_content(repository: Repository) -> None:
    first = put(repository, {"a": b"1", "b": b"1", "c": b"1", "d ö": b"1"}, after=None)
    second = put(repository, {"a": b"2", "b": b"1", "c": None, "e\ttab": b"1"}, after=first)
    third = put(repository, {"a": b"1"}, after=second)
    assert repository.changed_paths(first, second) == ("a", "c", "e\ttab")
    assert repository.changed_paths(first, third) == ("c", "e\ttab"), "a is as it was"
    assert repository.changed_paths(first, first) == ()


def test_lists_files_below_a_folder(repository: Repository) -> None:
    head = put(repository, {"SPECS/a/a.spec": b"", "SPECS/a/patches/1.patch": b"", "z": b""}, after=None)
    assert repository.list_files(head) == ("SPECS/a/a.spec", "SPECS/a/patches/1.patch", "z")
    assert repository.list_files(head, "SPECS/a/patches") == ("SPECS/a/patches/1.patch",)
    assert repository.list_files(head, "none") == ()


@pytest.mark.parametrize("content", [b"", b"\n", b"text", b"text\n\n", bytes(range(256)), b"x" * 300_000])
def test_reads_exact_bytes(repository: Repository, content: bytes) -> None:
    head = put(repository, {"file": content}, after=None)
    assert repository.read_file(head, "file") == content


def test_reads_many_files_at_once(repository: Repository) -> None:
    head = put(repository, {f"f{number}": b"\n" * number for number in range(50)}, after=None)
    found = repository.read_files(head, [f"f{number}" for number in range(60)])
    assert found == {f"f{number}": b"\n" * number for number in range(50)}
    assert repository.read_files(head, []) == {}


def test_a_file_that_is_not_there_is_none_and_a_folder_is_refused(repository: Repository) -> None:
    head = put(repository, {"d/file": b"x"}, after=None)
    assert repository.read_file(head, "d/other") is None
    with pytest.raises(Refused, match="not a regular file"):
        repository.read_file(head, "d")


Read = Callable[[Repository, str], object]
READS: list[Read] = [
    lambda repository, sha: repository.commit(sha),
    lambda repository, sha: repository.log(None, sha),
    lambda repository, sha: repository.read_file(sha, "a"),
    lambda repository, sha: repository.list_files(sha),
    lambda repository, sha: repository.tree_ids(sha, ["a"]),
    lambda repository, sha: repository.is_ancestor(sha, sha),
    lambda repository, sha: repository.changed_paths(sha, sha),
]


@pytest.mark.parametrize("read", READS)
def test_an_unknown_commit_is_named_with_its_repository(still: World, read: Read) -> None:
    with pytest.raises(Refused, match="no such commit") as caught:
        read(still.here(), NOWHERE)
    assert caught.value.got == NOWHERE
    assert "origin.git" in str(caught.value.where)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("sha", ["", "HEAD", "stable", "--output=/tmp/x", "d" * 39, "D" * 40, "d" * 40 + "\n"])
def test_only_full_ids_name_a_commit(still: World, read: Read, sha: str) -> None:
    with pytest.raises(Refused, match="not a commit id"):
        read(still.here(), sha)


@pytest.mark.parametrize(
    "name", ["", "-d", "a..b", "a b", "a.lock", "a/", "a//b", "a.", "@{u}", "a\n", "a:b", "a~1", "*", "ö"]
)
def test_refuses_what_is_no_branch_name(still: World, name: str) -> None:
    with pytest.raises(Refused, match="not a branch name"):
        still.here().head(name)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "", "a/.git/config", "a\nb", "a\0b"]
)
def test_refuses_paths_that_leave_the_tree(still: World, path: str) -> None:
    with pytest.raises(Refused, match="not a path inside the tree"):
        put(still.here(), {path: b"x"}, after=None)
    with pytest.raises(Refused, match="not a path inside the tree"):
        inside(path)


def test_no_read_leaves_the_tree(repository: Repository, tmp_path: Path) -> None:
    head = put(repository, {"a": b"1"}, after=None)
    for read in (
        lambda: repository.read_file(head, "../x"),
        lambda: repository.list_files(head, "../x"),
        lambda: repository.tree_ids(head, ["a", "/x"]),
        lambda: repository.export(head, "../x", tmp_path / "out"),
    ):
        with pytest.raises(Refused, match="not a path inside the tree"):
            read()


def test_a_mirror_sees_what_others_push(world: World) -> None:
    here, mirror = world.here(), world.remote()
    first = put(here, {"a": b"1"}, after=None)
    assert mirror.head("stable") == first
    second = put(here, {"a": b"2"}, after=first)
    assert mirror.read_file(second, "a") == b"2", "an unknown commit is fetched"
    assert mirror.head("stable") == second


def test_a_mirror_outlives_a_killed_fetch(world: World) -> None:
    first = put(world.here(), {"a": b"1"}, after=None)
    assert world.remote().head("stable") == first
    folder = next((world.folder / "mirrors").glob("*.git"))
    for stale in ("refs/heads/stable.lock", "packed-refs.lock", "HEAD.lock"):
        (folder / stale).write_text("")
    (folder / "HEAD").unlink()
    second = put(world.here(), {"a": b"2"}, after=first)
    assert world.remote().head("stable") == second


def test_two_repositories_have_two_mirrors(world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other")
    put(world.here(), {"a": b"1"}, after=None)
    put(other.here(), {"a": b"2"}, after=None)
    theirs = Repository(url=other.origin.as_uri(), mirrors=world.folder / "mirrors")
    assert theirs.head("stable") != world.remote().head("stable")


def test_nobodys_configuration_and_environment_reach_git(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = world.folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\n\thooksPath = /nonexistent\n[alias]\n\tlog = !false\n[bad\n")
    for name, value in {"HOME": str(home), "GIT_DIR": "/nonexistent", "TOKEN": "secret"}.items():
        monkeypatch.setenv(name, value)
    world.hook("post-receive", f"env > {world.folder}/environment")
    head = put(world.here(), {"a": b"1"}, after=None)
    assert world.here().commit(head).subject == "change"
    reaching = Repository(url=str(world.origin), mirrors=world.folder, environment={"HOME": str(home)})
    assert reaching.head("stable") == head, "a home for ssh brings no configuration along"
    seen = (world.folder / "environment").read_text()
    assert "secret" not in seen
    assert str(home) not in seen


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no git repository here") as caught:
        Repository(url=str(tmp_path), mirrors=tmp_path)
    assert caught.value.where == str(tmp_path)


def test_a_remote_that_does_not_answer_is_broken(tmp_path: Path) -> None:
    repository = Repository(url="http://user:hunter2@127.0.0.1:1/x.git", mirrors=tmp_path)
    with pytest.raises(Broken, match="git ls-remote failed") as caught:
        repository.head("stable")
    assert caught.value.where == "http://127.0.0.1:1/x.git"
    assert "hunter2" not in caught.value.diagnostics()


def test_a_command_that_hangs_is_ended(world: World) -> None:
    world.hook("pre-receive", "sleep 30")
    repository = Repository(url=str(world.origin), mirrors=world.folder, seconds=1)
    with pytest.raises(Broken):
        put(repository, {"a": b"1"}, after=None)
    assert world.here().head("stable") is None


@pytest.mark.parametrize(
    "url", ["", "ext::sh -c id", "relative/path", "--upload-pack=id", "fd::7", "javascript://x", "-oProxyCommand=id"]
)
def test_refuses_what_is_no_repository_url(url: str) -> None:
    with pytest.raises(Misconfigured, match="not the URL"):
        local_path(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/srv/skiff.git", Path("/srv/skiff.git")),
        ("file:///srv/skiff.git", None),
        ("https://example.org/skiff.git", None),
        ("git@example.org:skiff/skiff.git", None),
        ("ssh://git@example.org/skiff.git", None),
    ],
)
def test_a_path_is_here_and_a_url_is_elsewhere(url: str, path: Path | None) -> None:
    assert local_path(url) == path


def test_making_a_repository_twice_changes_nothing(world: World) -> None:
    head = put(world.here(), {"a": b"1"}, after=None)
    create_bare(world.origin, branch="other")
    assert world.here().head("stable") == head
    assert git(world, "symbolic-ref", "HEAD") == "refs/heads/stable"
