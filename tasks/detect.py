"""Detects what a commit means: done already, overtaken by a newer one, or something to release, and against what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.errors import Refused
from release.product.aliases import ReleaseRef
from release.product.releases import Release
from release.source.commits import CommitNote, End
from release.source.distro import Distro
from release.source.plan import ChangeSet, Plan
from tasks.fetch import fetch_channel, fetch_distro, fetch_head, fetch_plan, fetch_release
from tasks.prepare import Tree, prepare, state_of
from tasks.record import recorded

if TYPE_CHECKING:
    from tasks.wiring import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The release that the first channel has now: what a new one is compared with."""

    reference: ReleaseRef
    release: Release
    plan: Plan


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
    return Previous(reference=pointer.current, release=release, plan=await fetch_plan(tools, distro, release))


async def changes_since(tools: Tools, tree: Tree, previous: Previous | None) -> ChangeSet:
    """What differs, by content, between the previous release's commit and this tree."""
    before = None
    if previous is not None:
        before = await state_of(tools, await prepare(tools, previous.release.source.commit))
    return ChangeSet.between(before, await state_of(tools, tree))
