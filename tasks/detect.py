"""Detects what a commit means: done already, overtaken by a newer one, or something to release, and against what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.errors import Refused
from release.source.commits import CommitNote, End
from release.source.distro import Distro
from tasks.fetch import fetch_channel, fetch_distro, fetch_head, fetch_release
from tasks.recall import Previous, recall
from tasks.record import recorded

if TYPE_CHECKING:
    from tasks.wiring import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing to do for this commit: how it ended, just now or before."""

    note: CommitNote


async def ended_already(tools: Tools, commit: str) -> Ended | None:
    """The end of a commit that needs no work: it has a final note, or a newer commit overtook it.

    `Refused` for a commit that the branch does not contain any more (it was force-pushed away).
    """
    note = await recorded(tools, commit)
    if note and note.state.final:
        return Ended(note=note)
    distro = await fetch_distro(tools, commit)
    head = await fetch_head(tools, distro.branch)
    if head == commit:
        return None
    if not await asyncio.to_thread(tools.repository.is_ancestor, commit, head):
        raise Refused(
            f"commit {commit[:12]} is not on {distro.branch} any more",
            where=tools.repository.url,
            got=f"{distro.branch} is at {head[:12]}, which does not contain it",
            hint="the branch was force-pushed: its new head is released instead",
        )
    return Ended(note=CommitNote(state=End.SUPERSEDED, superseded_by=head, reason=f"{head[:12]} contains it"))


async def previous_release(tools: Tools, distro: Distro) -> Previous | None:
    """What the first channel points at, None before the first release."""
    pointer, _ = await fetch_channel(tools, distro, distro.channels[0])
    if pointer.current is None:
        return None
    release = await fetch_release(tools, distro, pointer.current.digest)
    return await recall(tools, distro, pointer.current, release)
