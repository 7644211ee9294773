"""Folders that are whole or not there: filled out of sight, then renamed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A place to work in beside `folder`: what the block leaves there under the folder's name becomes the folder.

    When the block fails, or somebody else was faster, nothing of it stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A thread of a cancelled task may still be writing there: that must not hide why the block ended.
    hidden = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True)
    with hidden as scratch:
        yield Path(scratch)
        try:
            (Path(scratch) / folder.name).rename(folder)
        except OSError:
            if not folder.exists():
                raise
