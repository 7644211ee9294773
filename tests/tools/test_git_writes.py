"""A write moves a branch from what was read or not at all: two writers, one wins; a kill leaves it usable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from release.errors import Broken, Refused
from release.tools.git import MovedMeanwhile, Repository
from tests.tools.git_world import ALICE, NOON, World, make_world, put

WRITER = """
import sys
from pathlib import Path
from tests.tools.git_world import World, put
world = World(folder=Path(sys.argv[1]))
print(put(world.here(), {"a": b"killed"}, after=sys.argv[2]))
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture(params=["in place", "mirrored"])
def repository(request: pytest.FixtureRequest, world: World) -> Repository:
    return world.here() if request.param == "in place" else world.remote()


def fsck(world: World) -> None:
    subprocess.run(["git", "-C", world.origin, "fsck", "--strict", "--no-dangling"], check=True, capture_output=True)


def test_makes_a_branch_as_an_orphan(repository: Repository) -> None:
    put(repository, {"SPECS/a/a.spec": b"1"}, after=None)
    head = repository.commit_files(
        "channels", {"channels/edge.yaml": b"serial: 0\n"}, message="start", expected_head=None, author=ALICE, time=NOON
    )
    assert repository.head("channels") == head
    assert repository.commit(head).parents == ()
    assert repository.list_files(head) == ("channels/edge.yaml",)


def test_changes_adds_and_removes_in_one_commit(repository: Repository) -> None:
    first = put(repository, {"a": b"1", "b": b"1", "c/d": b"1"}, after=None)
    second = put(repository, {"a": b"2", "b": None, "new/e": b"3", "never": None}, after=first)
    assert repository.list_files(second) == ("a", "c/d", "new/e")
    assert repository.read_file(second, "a") == b"2"
    assert repository.commit(second).parents == (first,)
    assert repository.head("stable") == second


def test_a_file_can_become_a_folder(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    second = put(repository, {"a/b": b"2"}, after=first)
    assert repository.list_files(second) == ("a/b",)


def test_the_same_write_is_the_same_commit(repository: Repository, world: World) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    second = put(repository, {"a": b"2"}, after=first)
    assert put(world.here(), {"a": b"2"}, after=first) == second, "a repeated attempt that got through is fine"


def test_no_change_makes_no_commit(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    assert put(repository, {"a": b"1", "z": None}, after=first) == first
    assert len(repository.log(None, first)) == 1


def test_no_change_on_a_branch_that_moved_is_still_noticed(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    put(repository, {"a": b"2"}, after=first)
    with pytest.raises(MovedMeanwhile):
        put(repository, {"a": b"1"}, after=first)


def test_who_comes_second_is_told(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    second = put(repository, {"a": b"2"}, after=first)
    with pytest.raises(MovedMeanwhile) as caught:
        put(repository, {"a": b"3"}, after=first)
    assert isinstance(caught.value, Broken)
    assert "refs/heads/stable" in str(caught.value.where)
    assert caught.value.expected == f"still at {first}"
    assert repository.head("stable") == second


def test_a_branch_that_was_made_meanwhile_is_not_overwritten(repository: Repository) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    with pytest.raises(MovedMeanwhile):
        put(repository, {"b": b"1"}, after=None)
    assert repository.head("stable") == first


def test_a_branch_that_was_deleted_meanwhile_is_not_made_again(repository: Repository, world: World) -> None:
    first = put(repository, {"a": b"1"}, after=None)
    subprocess.run(["git", "-C", world.origin, "update-ref", "-d", "refs/heads/stable"], check=True)
    with pytest.raises(MovedMeanwhile):
        put(repository, {"b": b"1"}, after=first)


def test_of_many_writers_at_once_one_wins(world: World) -> None:
    first = put(world.here(), {"a": b"0"}, after=None)

    def attempt(number: int) -> str | None:
        repository = world.here() if number % 2 else world.remote(f"mirror-{number}")
        try:
            return put(repository, {"a": b"%d" % number}, after=first)
        except MovedMeanwhile:
            return None

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(attempt, range(1, 7)))
    winners = [each for each in done if each]
    assert len(winners) == 1
    assert world.here().head("stable") == winners[0]
    fsck(world)


def test_writers_that_read_again_all_get_through(world: World) -> None:
    put(world.here(), {"start": b""}, after=None)

    def persist(number: int) -> None:
        repository = world.here() if number % 2 else world.remote(f"mirror-{number}")
        while True:
            try:
                put(repository, {f"file-{number}": b"x"}, after=repository.head("stable"))
                return
            except MovedMeanwhile:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(persist, range(4)))
    head = world.here().head("stable")
    assert head
    assert len(world.here().log(None, head)) == 5
    assert world.here().list_files(head) == ("file-0", "file-1", "file-2", "file-3", "start")


def test_the_repositorys_hooks_run(repository: Repository, world: World) -> None:
    world.hook("post-receive", f"cat >> {world.folder}/events")
    first = put(repository, {"a": b"1"}, after=None)
    second = put(repository, {"a": b"2"}, after=first)
    assert (world.folder / "events").read_text().splitlines() == [
        f"{'0' * 40} {first} refs/heads/stable",
        f"{first} {second} refs/heads/stable",
    ]


def test_a_hook_that_says_no_is_a_refusal_with_its_words(repository: Repository, world: World) -> None:
    world.hook("pre-receive", "echo 'stable is protected' >&2; exit 1")
    with pytest.raises(Refused, match="refused the push") as caught:
        put(repository, {"a": b"1"}, after=None)
    assert "stable is protected" in str(caught.value.got)
    assert "pre-receive hook declined" in str(caught.value.got)
    assert repository.head("stable") is None


def test_an_empty_author_is_refused_by_git_and_named(repository: Repository) -> None:
    nobody = ALICE.__class__(name="", email="")
    with pytest.raises(Broken, match="git commit-tree failed"):
        repository.commit_files("stable", {"a": b""}, message="m", expected_head=None, author=nobody, time=NOON)


def test_refuses_an_expected_head_that_the_repository_never_had(repository: Repository) -> None:
    with pytest.raises(Refused, match="no such commit"):
        put(repository, {"a": b"1"}, after="d" * 40)


def kill_in(world: World, hook: str) -> str:
    """Start a write, kill its whole process group with SIGKILL while the origin's `hook` runs; the head before."""
    first = put(world.here(), {"a": b"1"}, after=None)
    marker = world.folder / "in-hook"
    world.hook(hook, f"touch {marker}; exec sleep 30")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(world.folder), first], start_new_session=True, stdout=subprocess.DEVNULL
    )
    limit = time.monotonic() + 20
    while not marker.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(writer.pid, signal.SIGKILL)
    writer.wait()
    assert marker.exists()
    (world.origin / "hooks" / hook).unlink()
    return first


def test_a_kill_before_the_switch_leaves_the_old_head(world: World) -> None:
    first = kill_in(world, "pre-receive")
    repository = world.here()
    assert repository.head("stable") == first
    fsck(world)
    again = put(repository, {"a": b"killed"}, after=first)
    assert repository.head("stable") == again
    assert repository.read_file(again, "a") == b"killed"


def test_a_kill_after_the_switch_leaves_the_new_head_and_repeating_is_harmless(world: World) -> None:
    first = kill_in(world, "post-receive")
    repository = world.here()
    head = repository.head("stable")
    assert head
    assert head != first
    fsck(world)
    assert put(repository, {"a": b"killed"}, after=first) == head
    assert put(repository, {"a": b"on"}, after=head) == repository.head("stable")


def test_a_lock_that_a_kill_left_is_named(world: World) -> None:
    first = put(world.here(), {"a": b"1"}, after=None)
    (world.origin / "refs/heads/stable.lock").write_text("")
    with pytest.raises(MovedMeanwhile) as caught:
        put(world.here(), {"a": b"2"}, after=first)
    assert ".lock" in str(caught.value.hint)
