"""Runs as a process of its own: reads some files of two RPMs, and answers how the two contents of each differ.

Standard input: `{"before": {...}, "after": {...}}`, each as an order of the reader of payloads. A line of JSON for each
file that both have: `{"path": text, "lines": [text]}`, or one `{"error": text}`. See `payload_reader` for why.
"""

from __future__ import annotations

import json
import mmap
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from libarchive.exception import ArchiveError

from release.tools.file_difference import file_difference
from release.tools.payload_reader import CHUNK_BYTES, MEGABYTES, Bad, contents
from release.tools.view_stream import ViewStream


def main() -> None:
    """Answer for each file."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))
    order = json.load(sys.stdin)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for path, lines in differences(order["before"], order["after"], Path(folder)):
                sys.stdout.write(json.dumps({"path": path, "lines": lines}) + "\n")
    except (Bad, ArchiveError, OSError, MemoryError) as error:
        sys.stdout.write(json.dumps({"error": str(error) or type(error).__name__}) + "\n")


def differences(before: dict[str, Any], after: dict[str, Any], folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """How each file differs that both have; `folder` takes the contents of one RPM."""
    kept = {}
    for number, (path, content) in enumerate(contents(**before)):
        kept[path] = folder / str(number)
        with kept[path].open("wb") as file:
            shutil.copyfileobj(cast(IO[bytes], ViewStream(content)), file, CHUNK_BYTES)
    for path, content in contents(**after):
        if path in kept:
            with _mapped(kept[path]) as old:
                yield path, file_difference(path, old, content)


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    if not path.stat().st_size:
        yield memoryview(b"")
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        yield view


if __name__ == "__main__":
    main()
