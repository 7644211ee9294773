"""Records how a commit ended, as a git note on it: every commit on the stable branch reaches a terminal state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from release.source.commits import CommitNote, ended, parse_note

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.wiring import Tools


async def record(tools: Tools, commit: str, note: CommitNote, *, now: datetime) -> CommitNote:
    """Put the note on the commit; the same note again changes nothing, a final one is never contradicted."""
    from tasks.wiring import AUTHOR

    def change(before: bytes | None) -> bytes:
        known = parse_note(before, commit=commit) if before else None
        return ended(known, note, commit=commit).to_bytes()

    written = await asyncio.to_thread(tools.repository.write_note, commit, change, author=AUTHOR, time=now)
    return parse_note(written, commit=commit)


async def recorded(tools: Tools, commit: str) -> CommitNote | None:
    """The note of a commit, None where it has not ended yet."""
    raw = await asyncio.to_thread(tools.repository.read_note, commit)
    return parse_note(raw, commit=commit) if raw else None
