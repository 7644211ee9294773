"""Packing an image's root into a layer: our writer beside `tar | gzip`, on a tree of the size of a real base image.

    python -m bench.bench_layers [--quick]

Medians of 5 (1 with --quick), writers by turns in one run, so that a busy machine is busy for all of them. The tree is
made of this machine's own programs, libraries and documents, 238 MB in all: what layers hold and what compressors like.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from release.product.images import Compression
from release.tools.layers import write_layer

SHARES = {Path("/usr/share"): 78_000_000, Path("/usr/lib"): 120_000_000, Path("/usr/bin"): 40_000_000}
LARGEST_FILE = 10_000_000
MEMORY = Path("/dev/shm")
EPOCH = 1_700_000_000

Writer = Callable[[Path, Path], object]


def tar_gzip(root: Path, out: Path) -> None:
    """What a careful shell script does."""
    words = f"tar --sort=name --mtime=@{EPOCH} --clamp-mtime --owner=0 --group=0 --numeric-owner -C {root} -cf - ."
    subprocess.run(f"{words} | gzip -n -6 > {out}", shell=True, check=True)


WRITERS: dict[str, Writer] = {
    "tar --sort=name | gzip -6": tar_gzip,
    "slipway, gzip (default)": partial(write_layer, epoch=EPOCH),
    "slipway, zstd": partial(write_layer, epoch=EPOCH, compression=Compression.ZSTD),
}


def make_tree(root: Path) -> int:
    """Fill `root` with SHARES bytes of each origin; the number of files."""
    files = 0
    for origin, share in SHARES.items():
        for path in _files(origin):
            share -= path.stat().st_size
            if share < 0:
                break
            target = root / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            files += 1
    return files


def _files(origin: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(origin):
        folders.sort()
        for path in (Path(folder) / name for name in sorted(files)):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_FILE:
                yield path


def measure(root: Path, out: Path, rounds: int) -> dict[str, tuple[float, int]]:
    """Median seconds and size of the result of each writer."""
    seconds: dict[str, list[float]] = {name: [] for name in WRITERS}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        for name, write in WRITERS.items():
            start = time.perf_counter()
            write(root, out)
            seconds[name].append(time.perf_counter() - start)
            sizes[name] = out.stat().st_size
    return {name: (statistics.median(seconds[name]), sizes[name]) for name in WRITERS}


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    rounds = 1 if "--quick" in arguments else 5
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as scratch:
        root = Path(scratch) / "tree"
        files = make_tree(root)
        found = measure(root, Path(scratch) / "layer", rounds)
    peer = found["tar --sort=name | gzip -6"][0]
    print(f"Layer of a tree of {sum(SHARES.values()) / 1e6:.0f} MB in {files} files, median of {rounds}\n")
    print("| writer | seconds | times as fast | size |\n|---|---|---|---|")
    for name, (seconds, size) in found.items():
        print(f"| {name} | {seconds:.2f} | {peer / seconds:.1f} | {size / 1e6:.0f} MB |")
    print(f"\nMost memory ever held: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
