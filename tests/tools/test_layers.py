"""Layers: compressed and hashed in one pass, in little memory, and never half written."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from release.errors import Broken
from release.product.images import Compression, Layer
from release.tools.layers import compress_layer, write_files_layer, write_layer

EPOCH = 1_700_000_000
ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/motd").write_text("hello\n")
    (root / "random").write_bytes(random.Random(1).randbytes(3_000_000))
    (root / "zeros").write_bytes(bytes(2_500_000))
    return root


def unpacked(path: Path, compression: Compression) -> bytes:
    content = path.read_bytes()
    if compression is Compression.ZSTD:
        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return gzip.decompress(content)


@pytest.mark.parametrize("compression", Compression)
def test_digests_and_size_are_those_of_the_file(tree: Path, tmp_path: Path, compression: Compression) -> None:
    out = tmp_path / "layer"
    layer = write_layer(tree, out, epoch=EPOCH, compression=compression)
    content, plain = out.read_bytes(), unpacked(out, compression)
    assert layer == Layer(
        diff_id=f"sha256:{hashlib.sha256(plain).hexdigest()}",
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        size=len(content),
        compression=compression,
    )
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        assert tar.getnames() == ["etc", "etc/motd", "random", "zeros"]


@pytest.mark.parametrize("compression", Compression)
def test_the_same_tree_gives_the_same_file_again(tree: Path, tmp_path: Path, compression: Compression) -> None:
    layers = [write_layer(tree, tmp_path / name, epoch=EPOCH, compression=compression) for name in ("a", "b")]
    assert layers[0] == layers[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_compression_does_not_change_what_a_layer_is(tree: Path, tmp_path: Path) -> None:
    gzipped, zstd = (write_layer(tree, tmp_path / each, epoch=EPOCH, compression=each) for each in Compression)
    assert gzipped.diff_id == zstd.diff_id and gzipped.digest != zstd.digest


def test_the_gzip_header_carries_no_time(tree: Path, tmp_path: Path) -> None:
    write_layer(tree, tmp_path / "layer", epoch=EPOCH)
    assert (tmp_path / "layer").read_bytes()[4:8] == bytes(4)


def test_a_packed_root_gives_the_same_layer_as_its_tree(tree: Path, tmp_path: Path) -> None:
    direct = write_layer(tree, tmp_path / "direct", epoch=EPOCH)
    (tmp_path / "root.tar").write_bytes(unpacked(tmp_path / "direct", Compression.GZIP))
    assert compress_layer(tmp_path / "root.tar", tmp_path / "again") == direct


def test_progress_counts_the_uncompressed_bytes_to_the_end(tree: Path, tmp_path: Path) -> None:
    told: list[int] = []
    write_layer(tree, tmp_path / "layer", epoch=EPOCH, progress=told.append)
    assert told == sorted(told) and len(told) >= 5
    assert told[-1] == len(unpacked(tmp_path / "layer", Compression.GZIP))


def test_few_files_need_no_tree_and_no_owner(tmp_path: Path) -> None:
    files = {"/etc/yum.repos.d/skiff.repo": b"[skiff]\n", "/etc/empty": b"", "/top": b"x"}
    write_files_layer(files, tmp_path / "layer", epoch=EPOCH)
    with tarfile.open(tmp_path / "layer") as tar:
        found = [(each.name, oct(each.mode), each.size, each.mtime, each.uid, each.gid) for each in tar]
    assert found == [
        ("etc", "0o755", 0, EPOCH, 0, 0),
        ("etc/empty", "0o644", 0, EPOCH, 0, 0),
        ("etc/yum.repos.d", "0o755", 0, EPOCH, 0, 0),
        ("etc/yum.repos.d/skiff.repo", "0o644", 8, EPOCH, 0, 0),
        ("top", "0o644", 1, EPOCH, 0, 0),
    ]


def test_few_files_are_the_layer_that_their_tree_would_be(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root's own files belong to root")
    files = {"/etc/a": b"one", "/usr/share/b": b"two" * 1000}
    for path, content in files.items():
        (tmp_path / "tree" / path[1:]).parent.mkdir(parents=True)
        (tmp_path / "tree" / path[1:]).write_bytes(content)
        (tmp_path / "tree" / path[1:]).chmod(0o644)
    built = write_files_layer(files, tmp_path / "built", epoch=EPOCH)
    assert built == write_layer(tmp_path / "tree", tmp_path / "walked", epoch=EPOCH)


def test_nothing_is_left_of_a_layer_that_failed(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="changed while it was packed"):
        write_layer(tree, tmp_path / "layer", epoch=EPOCH, progress=lambda _: os.utime(tree / "random", (1, 1)))
    assert [each.name for each in tmp_path.iterdir()] == ["tree"]


def test_an_older_layer_survives_a_failure(tree: Path, tmp_path: Path) -> None:
    write_layer(tree, tmp_path / "layer", epoch=EPOCH)
    before = (tmp_path / "layer").read_bytes()
    with pytest.raises(Broken):
        write_layer(tree, tmp_path / "layer", epoch=1, progress=lambda _: os.utime(tree / "random", (2, 2)))
    assert (tmp_path / "layer").read_bytes() == before


def test_a_folder_that_is_not_there_is_broken(tmp_path: Path) -> None:
    with pytest.raises(Broken):
        write_layer(tmp_path / "nothing", tmp_path / "layer", epoch=EPOCH)


def test_a_full_disk_is_named(tree: Path, tmp_path: Path) -> None:
    """The size limit of a process fails a write as a full disk does, and touches nothing but this one file."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from release.tools.layers import write_layer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "write_layer(Path(sys.argv[1]), Path(sys.argv[2]), epoch=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tree, tmp_path / "layer"],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "release.errors.Broken" in done.stderr and "the disk is full" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["tree"]


def test_memory_stays_far_below_the_size_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with (tmp_path / "tree/large").open("wb") as file:
        file.truncate(400 << 20)
    script = (
        "import sys; from pathlib import Path; from release.tools.layers import write_layer\n"
        "write_layer(Path(sys.argv[1]), Path(sys.argv[2]), epoch=1)\n"
        # not rusage, which counts what the parent held when it forked
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "tree", tmp_path / "layer"],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 80 << 10, f"{int(done.stdout) >> 10} MiB"
