"""What a place is where untrusted specs are read: no network, nothing to write to, limits, and gone at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from release.tools.sealed import Ended


class Place(Protocol):
    """Where the reader of specs runs. `own_user`: nobody else's processes count with those of this place."""

    own_user: bool

    async def identity(self) -> str:
        """Names the place's rpm with the macros that it brings, by content: a part of the key of all facts."""

    async def run(
        self, argv: Sequence[str], *, reads: Mapping[str, Path], environment: Mapping[str, str], seconds: float
    ) -> Ended:
        """Run a program to its end, alone in its process namespace. `reads` maps paths of the place to
        folders, mounted read-only."""
