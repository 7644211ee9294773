"""Notes carry the terminal state of every commit: never lost in a race, all of them read at once."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from release.errors import Refused
from release.tools.git import MovedMeanwhile, Repository
from release.tools.git_notes import NOTES, note_files
from release.tools.git_writes import make_commit, push
from tests.tools.git_world import ALICE, NOON, World, make_world, put


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture(params=["in place", "mirrored"])
def repository(request: pytest.FixtureRequest, world: World) -> Repository:
    return world.here() if request.param == "in place" else world.remote()


def write(repository: Repository, sha: str, content: bytes) -> bytes:
    return repository.write_note(sha, content, author=ALICE, time=NOON)


def test_a_commit_without_a_note_has_none(repository: Repository) -> None:
    head = put(repository, {"a": b"1"}, after=None)
    assert repository.read_note(head) is None
    assert repository.notes() == {}


def test_a_note_comes_back(repository: Repository, world: World) -> None:
    head = put(repository, {"a": b"1"}, after=None)
    write(repository, head, b'{"state":"released"}\n')
    assert repository.read_note(head) == b'{"state":"released"}\n'
    assert world.remote("another").read_note(head) == b'{"state":"released"}\n'


def test_git_itself_shows_the_note(repository: Repository, world: World) -> None:
    head = put(repository, {"a": b"1"}, after=None)
    write(repository, head, b"released\n")
    shown = subprocess.run(
        ["git", "-C", world.origin, "notes", "--ref=slipway", "show", head], capture_output=True, check=True
    )
    assert shown.stdout == b"released\n"


def test_a_later_note_takes_the_place_of_the_first(repository: Repository) -> None:
    head = put(repository, {"a": b"1"}, after=None)
    write(repository, head, b"failed")
    write(repository, head, b"released")
    assert repository.notes() == {head: b"released"}


@pytest.mark.parametrize("fanout", [False, True])
def test_a_note_that_git_wrote_is_read_and_replaced(world: World, fanout: bool) -> None:
    repository = world.here()
    head = put(repository, {"a": b"1"}, after=None)
    if fanout:  # what git does by itself beyond some hundred notes
        deep = {f"{head[:2]}/{head[2:4]}/{head[4:]}": b"by git\n"}
        commit = make_commit(repository._folder, parent=None, files=deep, message="m", author=ALICE, time=NOON)
        push(repository._folder, url=repository.url, ref=NOTES, commit=commit, expected=None)
    else:
        identity = ["-c", "user.name=m", "-c", "user.email=m@example.org"]
        subprocess.run(
            ["git", "-C", world.origin, *identity, "notes", "--ref=slipway", "add", "-m", "by git", head], check=True
        )
    assert repository.read_note(head) == b"by git\n"
    write(repository, head, b"by us\n")
    assert repository.notes() == {head: b"by us\n"}


def test_a_function_sees_the_note_that_is_there(repository: Repository) -> None:
    head = put(repository, {"a": b"1"}, after=None)
    seen: list[bytes | None] = []

    def grow(before: bytes | None) -> bytes:
        seen.append(before)
        return (before or b"") + b"x"

    assert repository.write_note(head, grow, author=ALICE, time=NOON) == b"x"
    assert repository.write_note(head, grow, author=ALICE, time=NOON) == b"xx"
    assert seen == [None, b"x"]


def test_what_a_function_raises_writes_nothing(repository: Repository) -> None:
    head = put(repository, {"a": b"1"}, after=None)

    def refuse(before: bytes | None) -> bytes:
        raise Refused("has ended already")

    with pytest.raises(Refused, match="has ended already"):
        repository.write_note(head, refuse, author=ALICE, time=NOON)
    assert repository.notes() == {}


def test_writers_at_once_lose_nothing(world: World) -> None:
    head = put(world.here(), {"a": b"1"}, after=None)
    other = put(world.here(), {"a": b"2"}, after=head)

    def sign(number: int) -> None:
        repository = world.here() if number % 2 else world.remote(f"mirror-{number}")
        for sha in (head, other):
            repository.write_note(sha, lambda before: (before or b"") + b"%d" % number, author=ALICE, time=NOON)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sign, range(4)))
    found = world.remote("reader").notes()
    assert {sha: sorted(note.decode()) for sha, note in found.items()} == {head: [*"0123"], other: [*"0123"]}


def test_a_race_that_is_always_lost_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = world.here()
    head = put(repository, {"a": b"1"}, after=None)
    monkeypatch.setattr("release.tools.git.ATTEMPTS", 3)
    tries: list[bytes | None] = []

    def rival(before: bytes | None) -> bytes:
        tries.append(before)
        write(world.here(), head, b"rival %d" % len(tries))
        return b"ours"

    with pytest.raises(MovedMeanwhile):
        repository.write_note(head, rival, author=ALICE, time=NOON)
    assert tries == [None, b"rival 1", b"rival 2"], "each attempt reads again"
    assert repository.read_note(head) == b"rival 3"


def test_refuses_a_note_on_nothing(repository: Repository) -> None:
    put(repository, {"a": b"1"}, after=None)
    with pytest.raises(Refused, match="no such commit"):
        write(repository, "d" * 40, b"x")
    with pytest.raises(Refused, match="not a commit id"):
        write(repository, "HEAD", b"x")


def test_thousands_of_notes_are_read_at_once(world: World) -> None:
    repository = world.here()
    head = put(repository, {"a": b"1"}, after=None)
    shas = [f"{number:040x}" for number in range(1000)]
    files = {path: content for sha in shas for path, content in note_files(sha, sha.encode()).items() if content}
    commit = make_commit(repository._folder, parent=None, files=files, message="m", author=ALICE, time=NOON)
    push(repository._folder, url=repository.url, ref=NOTES, commit=commit, expected=None)
    write(repository, head, b"one more")
    start = time.monotonic()
    found = repository.notes()
    assert time.monotonic() - start < 5
    assert len(found) == 1001
    assert found[shas[7]] == shas[7].encode()


def test_other_files_in_the_notes_tree_are_no_notes(world: World) -> None:
    repository = world.here()
    head = put(repository, {"a": b"1"}, after=None)
    commit = make_commit(repository._folder, parent=None, files={"README": b"x"}, message="m", author=ALICE, time=NOON)
    push(repository._folder, url=repository.url, ref=NOTES, commit=commit, expected=None)
    write(repository, head, b"x")
    assert set(repository.notes()) == {head}
