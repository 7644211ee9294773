"""A folder as a tar stream: what goes in comes out of foreign readers unchanged, and equal trees give equal bytes."""

from __future__ import annotations

import io
import os
import socket
import stat
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.errors import Broken, Misconfigured, Refused
from release.tools.packing import pack
from release.tools.tar import Kind, Member, encode

EPOCH = 1_700_000_000
# struct vfs_cap_data, revision 2 with the effective flag: cap_net_raw=ep (linux/capability.h)
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to set owners and capabilities")


class Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, content: bytes) -> None:
        self.content += content

    def copy(self, descriptor: int, size: int) -> bool:
        found = b"".join(iter(lambda: os.read(descriptor, size), b""))
        self.content += found[:size]
        return len(found) >= size


def packed(root: Path, *, epoch: int = EPOCH) -> bytes:
    sink = Memory()
    pack(root, sink, epoch=epoch)
    return bytes(sink.content)


def members(root: Path, *, epoch: int = EPOCH) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed(root, epoch=epoch))) as tar:
        return {member.name: member for member in tar}


def names(root: Path) -> list[str]:
    return list(members(root))


def test_names_are_sorted_whole_and_relative(tmp_path: Path) -> None:
    for name in ("b/c", "b-a", "a", "b/a/z", "B"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    raw = [each.name + "/" * each.isdir() for each in members(tmp_path).values()]
    assert raw == sorted(raw) == ["B", "a", "b-a", "b/", "b/a/", "b/a/z", "b/c"]


def test_equal_trees_give_equal_bytes_whatever_their_history(tmp_path: Path) -> None:
    for folder, order in (("one", ("x", "y", "z")), ("two", ("z", "x", "y"))):
        (tmp_path / folder).mkdir()
        for name in order:
            (tmp_path / folder / name).write_text(name)
    assert packed(tmp_path / "one") == packed(tmp_path / "two")


def test_times_are_clamped_to_the_epoch_and_older_ones_kept(tmp_path: Path) -> None:
    for name, seconds in (("old", EPOCH - 10.5), ("new", EPOCH + 10), ("before 1970", -86_400.25)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    found = {name: member.mtime for name, member in members(tmp_path).items()}
    assert found == {"old": EPOCH - 11, "new": EPOCH, "before 1970": -86_401}


def test_owners_are_numbers_without_names(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    member = members(tmp_path)["file"]
    assert (member.uid, member.gid, member.uname, member.gname) == (os.geteuid(), os.getegid(), "", "")


@as_root
def test_owners_beyond_the_header_are_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 2_100_000_000, 1 << 21)
    member = members(tmp_path)["file"]
    assert (member.uid, member.gid) == (2_100_000_000, 1 << 21)


def test_hard_links_follow_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("content")
    (tmp_path / "a").hardlink_to(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/d").hardlink_to(tmp_path / "b")
    found = members(tmp_path)
    assert found["a"].isreg() and found["a"].size == 7
    assert [(each.islnk(), each.linkname, each.size) for each in (found["b"], found["c/d"])] == [(True, "a", 0)] * 2


def test_files_with_equal_content_are_no_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "b").write_text("content")
    assert all(member.isreg() for member in members(tmp_path).values())


@as_root
def test_capabilities_are_kept_and_the_machines_own_attributes_dropped(tmp_path: Path) -> None:
    (tmp_path / "ping").touch()
    (tmp_path / "plain").touch()
    os.setxattr(tmp_path / "ping", "security.capability", CAPABILITY)
    os.setxattr(tmp_path / "ping", "trusted.overlay.opaque", b"y")
    (tmp_path / "zlink").hardlink_to(tmp_path / "ping")
    found = {name: member.pax_headers for name, member in members(tmp_path).items()}
    expected = {"SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")}
    assert found == {"ping": expected, "plain": {}, "zlink": expected}


@as_root
def test_device_nodes_keep_their_numbers(tmp_path: Path) -> None:
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 70_000))
    found = members(tmp_path)
    assert found["null"].ischr() and (found["null"].devmajor, found["null"].devminor) == (1, 3)
    assert found["disk"].isblk() and (found["disk"].devmajor, found["disk"].devminor) == (259, 70_000)


def test_sockets_are_left_out_and_pipes_kept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = members(tmp_path)
    assert list(found) == ["pipe"] and found["pipe"].isfifo()


def test_symlinks_are_kept_letter_by_letter(tmp_path: Path) -> None:
    targets = {"a": "//double//slash/", "b": "missing", "c": "x" * 1000, "d": "../../etc/passwd", "e": "ü\n"}
    for name, target in targets.items():
        (tmp_path / name).symlink_to(target)
    assert {name: member.linkname for name, member in members(tmp_path).items()} == targets


@pytest.mark.parametrize(
    "name",
    [
        "n" * 100,
        "n" * 101,
        "n" * 255,
        "ä" * 127,
        "\udcff\udc80bytes",
        " leading",
        "new\nline",
        "a=b",
        "-rf",
        "ends with space ",
    ],
)
def test_odd_names_survive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("content")
    assert names(tmp_path) == [name]


def test_deep_folders_survive(tmp_path: Path) -> None:
    deep = Path(*["d" * 120] * 6)
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "file").touch()
    assert names(tmp_path)[-1] == f"{deep}/file"


def test_a_sparse_file_is_its_content(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 << 20)
        file.write(b"start")
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as tar:
        extracted = tar.extractfile("sparse")
        assert extracted and extracted.read() == b"start" + bytes((3 << 20) - 5)


def test_an_empty_folder_is_an_empty_archive(tmp_path: Path) -> None:
    assert packed(tmp_path) == bytes(1024)


def test_a_file_of_more_than_eight_gibibytes_says_so_in_an_extended_header() -> None:
    header = encode(Member(name=b"big", kind=Kind.FILE, mode=0o644, size=9 << 30))
    with tarfile.open(fileobj=io.BytesIO(header)) as tar:
        first = tar.next()
        assert first and first.size == 9 << 30


@pytest.mark.parametrize("length", [99, 100, 120, 155, 156, 200])
def test_a_long_folder_never_has_an_empty_name_in_its_header(length: int) -> None:
    header = encode(Member(name=b"d" * length + b"/", kind=Kind.FOLDER, mode=0o755))
    assert header[-512:][0:1] == b"d"
    with tarfile.open(fileobj=io.BytesIO(header + bytes(1024))) as tar:
        assert tar.getnames() == ["d" * length]


@pytest.mark.parametrize("length", [99, 100, 101, *range(980, 1000)])
def test_the_length_of_an_extended_record_counts_itself(length: int) -> None:
    header = encode(Member(name=b"l", kind=Kind.SYMLINK, mode=0o777, link=b"x" * length))
    with tarfile.open(fileobj=io.BytesIO(header + bytes(1024))) as tar:
        assert tar.getmembers()[0].linkname == "x" * length


@pytest.mark.parametrize("name", [".wh.file", ".wh..wh..opq"])
def test_refuses_a_name_that_would_delete_files_below(tmp_path: Path, name: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / name).touch()
    with pytest.raises(Refused, match="means a deletion") as caught:
        packed(tmp_path)
    assert caught.value.where == str(tmp_path / "etc" / name)


class Meddler(Memory):
    """A sink that does something to the tree the moment a file's content is wanted."""

    def __init__(self, deed: object) -> None:
        super().__init__()
        self._deed = deed

    def copy(self, descriptor: int, size: int) -> bool:
        self._deed()  # type: ignore[operator]
        return super().copy(descriptor, size)


@pytest.mark.parametrize("deed", ["grow", "shrink", "rewrite", "touch"])
def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path, deed: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    deeds = {
        "grow": lambda: os.truncate(path, 20),
        "shrink": lambda: os.truncate(path, 3),
        "rewrite": lambda: path.write_bytes(b"9876543210"),
        "touch": lambda: os.utime(path, (1, 1)),
    }
    with pytest.raises(Broken, match="changed while it was packed") as caught:
        pack(tmp_path, Meddler(deeds[deed]), epoch=EPOCH)
    assert caught.value.where == str(path)


def test_a_file_that_changes_between_its_header_and_its_content_is_an_error(tmp_path: Path) -> None:
    class Early(Memory):
        def write(self, content: bytes) -> None:
            super().write(content)
            os.truncate(tmp_path / "file", 20)

    (tmp_path / "file").write_bytes(b"0123456789")
    with pytest.raises(Broken, match="changed while it was packed"):
        pack(tmp_path, Early(), epoch=EPOCH)


def test_a_file_that_vanishes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    with pytest.raises(Broken, match="changed while it was packed") as caught:
        pack(tmp_path, Meddler((tmp_path / "b").unlink), epoch=EPOCH)
    assert caught.value.where == str(tmp_path / "b")


def test_a_file_that_may_not_be_read_asks_for_root(tmp_path: Path) -> None:
    def deny() -> None:
        raise PermissionError(13, "Permission denied", "file")

    (tmp_path / "file").write_text("x")
    with pytest.raises(Misconfigured, match="may not be read") as caught:
        pack(tmp_path, Meddler(deny), epoch=EPOCH)
    assert "root" in (caught.value.hint or "")


def test_a_failing_disk_passes_through(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="Input/output error"):
        pack(tmp_path, Meddler(fail), epoch=EPOCH)


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[str, str, bytes]]:
    """(name, kind, content or target) in any shape a file system can hold."""
    part = st.binary(min_size=1, max_size=160).filter(lambda name: b"/" not in name and b"\0" not in name)
    part = part.filter(lambda name: name not in (b".", b"..") and not name.startswith(b".wh."))
    paths = draw(st.lists(st.lists(part, min_size=1, max_size=4), max_size=12))
    kinds = st.sampled_from(["file", "folder", "symlink", "hard link", "pipe"])
    content = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)
    return [(os.fsdecode(b"/".join(path)), draw(kinds), draw(content)) for path in paths]


def grow(root: Path, tree: list[tuple[str, str, bytes]]) -> None:
    files: list[Path] = []
    for number, (name, kind, content) in enumerate(tree):
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind == "symlink":
                path.symlink_to(os.fsdecode(content))
            elif kind == "pipe":
                os.mkfifo(path)
            elif kind == "hard link" and files:
                path.hardlink_to(files[0])
            else:
                with path.open("xb") as file:
                    file.write(content * number)
                path.chmod(0o400 + number)
                files.append(path)
            os.utime(path, (number, number), follow_symlinks=False)
        except (FileExistsError, NotADirectoryError):
            continue


def described(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything a tar can say about a tree, except the times of folders, which change while it is made."""
    found: dict[str, tuple[object, ...]] = {}
    firsts: dict[int, str] = {}
    for folder, folders, files in sorted(os.walk(root)):
        for path in sorted(Path(folder) / name for name in folders + files):
            status, key = path.lstat(), str(path.relative_to(root))
            content: object = None
            if path.is_symlink():
                content = os.readlink(path)  # noqa: PTH115 - letter by letter, which Path is not
            elif path.is_file():
                content = (path.read_bytes(), firsts.setdefault(status.st_ino, key), int(status.st_mtime))
            found[key] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


@settings(max_examples=60, deadline=None)
@given(trees())
def test_any_tree_comes_back_from_gnu_tar_and_from_python(tree: list[tuple[str, str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root, gnu, python = (Path(scratch) / each for each in ("root", "gnu", "python"))
        for folder in (root, gnu, python):
            folder.mkdir()
        grow(root, tree)
        content = packed(root)
        subprocess.run(["tar", "-xpf", "-", "-C", gnu], input=content, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extractall(python, filter="fully_trusted")
        assert described(gnu) == described(root)
        assert described(python) == described(root)
        assert packed(gnu) == content
