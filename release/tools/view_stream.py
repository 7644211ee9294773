"""A buffer as the file that a library wants to read, without a copy of it: it may be a large file that is mapped."""

from __future__ import annotations

import io
from typing import Any


class ViewStream(io.RawIOBase):
    """Reads and seeks in a buffer."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def readinto(self, buffer: Any) -> int:
        taken = self._content[self._at : self._at + len(buffer)]
        buffer[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, len(self._content))[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
