"""Image layers: a folder, a packed root or a few files become one compressed file, hashed in the same pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from release.product.images import Compression, Layer
from release.tools.compressing import CompressingSink, Progress
from release.tools.packing import pack
from release.tools.store import disk_errors
from release.tools.tar import END_OF_ARCHIVE, Kind, Member, encode, padding


def write_layer(
    root: Path,
    out: Path,
    *,
    epoch: int,
    compression: Compression = Compression.GZIP,
    progress: Progress | None = None,
) -> Layer:
    """Pack everything below `root` into the file `out`, which appears complete or not at all.

    `epoch` and errors are those of `pack`, and `Broken` for a failing disk. `progress` is told the uncompressed bytes
    so far, once per MiB. Blocking, as everything here: an async caller uses a thread.
    """
    with _appearing(out, compression, progress) as sink:
        pack(root, sink, epoch=epoch)
    return sink.layer()


def compress_layer(
    tar: Path, out: Path, *, compression: Compression = Compression.GZIP, progress: Progress | None = None
) -> Layer:
    """The layer of a tar stream that was packed already."""
    with _appearing(out, compression, progress) as sink, tar.open("rb", buffering=0) as file:
        sink.copy(file.fileno(), tar.stat().st_size)
    return sink.layer()


def write_files_layer(
    files: Mapping[str, bytes], out: Path, *, epoch: int, compression: Compression = Compression.GZIP
) -> Layer:
    """A layer of a few files given as absolute path and content, all owned by root, mode 0644, in folders of 0755.

    Such a layer lies above the packages of an image: what changes with every release costs a kilobyte, and the
    layer below keeps its digest.
    """
    contents = {path.lstrip("/").encode(): content for path, content in files.items()}
    folders = {b"%s/" % str(parent).encode() for path in files for parent in PurePosixPath(path[1:]).parents}
    with _appearing(out, compression, None) as sink:
        for name in sorted(contents.keys() | folders - {b"./"}):
            content = contents.get(name, b"")
            kind, mode = (Kind.FILE, 0o644) if name in contents else (Kind.FOLDER, 0o755)
            sink.write(encode(Member(name=name, kind=kind, mode=mode, size=len(content), mtime=epoch)))
            sink.write(content + padding(len(content)))
        sink.write(END_OF_ARCHIVE)
    return sink.layer()


@contextmanager
def _appearing(out: Path, compression: Compression, progress: Progress | None) -> Iterator[CompressingSink]:
    """A sink whose file takes its name when all was written."""
    part = out.with_name(f"{out.name}.part")
    try:
        with disk_errors(out):
            with part.open("wb", buffering=0) as file:
                sink = CompressingSink(file, compression, progress)
                yield sink
                sink.finish()
            part.replace(out)
    finally:
        part.unlink(missing_ok=True)
