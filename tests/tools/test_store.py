"""The local store under what disks and neighbours do to it."""

from __future__ import annotations

import hashlib
import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from release.digests import digest_of
from release.errors import Broken, Refused
from release.tools.store import Store, digest_of_file

CONTENT = b"four little ships" * 1000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Writing past 4 KiB of any file fails, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kept_files(store: Store) -> list[str]:
    folder = store.path_of(digest_of(b"")).parent.parent.parent
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_bytes_come_back_under_their_digest(store: Store) -> None:
    digest = store.put_bytes(CONTENT)
    assert digest == digest_of(CONTENT)
    assert store.has(digest)
    assert store.read(digest) == CONTENT
    assert store.path_of(digest).parts[-3:] == ("sha256", digest[7:9], digest[7:])


def test_an_unknown_digest_is_not_there_and_says_so(store: Store, tmp_path: Path) -> None:
    unknown = digest_of(b"never seen")
    assert not store.has(unknown)
    for use in (store.read, lambda digest: store.link(digest, tmp_path / "x")):
        with pytest.raises(Broken, match="not in the local store"):
            use(unknown)


def test_a_path_cannot_be_smuggled_in_as_a_digest(store: Store) -> None:
    with pytest.raises(Refused, match="not a sha256 digest"):
        store.path_of("sha256:../../etc/passwd")


def test_a_file_that_changes_after_it_was_put_does_not_change_the_store(store: Store, source: Path) -> None:
    digest = store.put_file(source)
    with source.open("r+b") as writer:
        writer.write(b"overwritten")
    assert store.read(digest) == CONTENT


def test_a_file_with_another_digest_is_refused_and_leaves_nothing(store: Store, source: Path) -> None:
    with pytest.raises(Refused) as refusal:
        store.put_file(source, expected=digest_of(b"something else"))
    assert refusal.value.got == digest_of(CONTENT)
    assert kept_files(store) == []


def test_a_taken_file_moves_without_a_copy(store: Store, source: Path) -> None:
    inode = source.stat().st_ino
    digest = store.take_file(source)
    assert store.path_of(digest).stat().st_ino == inode
    assert not source.exists()
    assert store.path_of(digest).stat().st_nlink == 1


def test_a_refused_file_is_not_taken(store: Store, source: Path) -> None:
    with pytest.raises(Refused):
        store.take_file(source, expected=digest_of(b"something else"))
    assert source.read_bytes() == CONTENT
    assert kept_files(store) == []


def test_a_file_from_another_file_system_is_taken_by_copy(store: Store) -> None:
    foreign = Path("/dev/shm") / f"slipway-test-{os.getpid()}"
    foreign.write_bytes(CONTENT)
    assert store.read(store.take_file(foreign)) == CONTENT
    assert not foreign.exists()


def test_a_link_shares_the_disk_and_a_copy_may_be_changed(store: Store, tmp_path: Path) -> None:
    digest = store.put_bytes(CONTENT)
    store.link(digest, tmp_path / "link")
    store.copy(digest, tmp_path / "copy")
    (tmp_path / "copy").write_bytes(b"signed")
    assert (tmp_path / "link").samefile(store.path_of(digest))
    assert store.read(digest) == CONTENT


def test_linking_replaces_what_stood_there(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "link"
    store.link(store.put_bytes(b"old"), target)
    store.link(store.put_bytes(b"new"), target)
    assert target.read_bytes() == b"new"


def test_files_in_the_store_are_read_only(store: Store) -> None:
    assert store.path_of(store.put_bytes(CONTENT)).stat().st_mode & 0o777 == 0o444


def test_rot_on_the_disk_is_noticed_before_use(store: Store) -> None:
    path = store.path_of(store.put_bytes(CONTENT))
    path.chmod(0o644)
    path.write_bytes(b"rotten")
    with pytest.raises(Refused, match="does not have its digest"):
        store.read(digest_of(CONTENT))


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_named_and_leaves_no_torn_file(store: Store) -> None:
    with pytest.raises(Broken, match="the disk is full") as failure:
        store.put_bytes(CONTENT)
    assert failure.value.hint is not None
    assert "free some space" in failure.value.hint
    assert not store.has(digest_of(CONTENT))
    assert kept_files(store) == []


def test_a_folder_that_cannot_be_made_is_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Broken, match="the disk failed: Not a directory"):
        Store(tmp_path / "file" / "store")


def test_many_writers_of_the_same_content_agree(store: Store) -> None:
    at_once = threading.Barrier(8)

    def write(_: int) -> str:
        at_once.wait()
        return store.put_bytes(CONTENT)

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(write, range(8)))
    assert digests == {digest_of(CONTENT)}
    assert kept_files(store) == [digest_of(CONTENT).removeprefix("sha256:")]


def test_a_reader_never_sees_a_part_of_a_file(store: Store) -> None:
    """Readers race a writer: whenever the name exists, the whole content does."""
    content = os.urandom(8 << 20)
    path = store.path_of(digest_of(content))
    writer = threading.Thread(target=store.put_bytes, args=(content,))
    writer.start()
    while writer.is_alive():
        if path.exists():
            assert path.stat().st_size == len(content)
    writer.join()
    assert path.stat().st_size == len(content)


def test_digest_of_a_file_is_the_digest_of_its_bytes(source: Path) -> None:
    assert digest_of_file(source) == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
