"""Lets tags follow git: every tag of a channel names what the pointer says, after everything was verified again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from release.channel.channel_files import channel_path, parse_channel
from release.channel.channels import Channel, check_succession
from release.channel.tags import Drift, Move, channel_moves, drift, refuse_unproven
from release.errors import Broken
from release.source.distro import Distro
from release.tools.locks import hold
from signing.statements import SIGNATURE
from tasks.fetch import fetch_channel, fetch_document, fetch_release
from tasks.sign import proofs_of
from tasks.verify import signers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasks.wiring import Tools

LOCK_SECONDS = 300.0


async def follow(tools: Tools, distro: Distro, channel: str) -> tuple[Drift, ...]:
    """Put the channel's tags where git says; what was elsewhere is returned. Doing it again changes nothing.

    One writer a channel at a time on this machine; the pointer is read inside, so an older run that comes late does
    the work of the newer one.
    """
    async with _alone(tools, channel):
        found = await drifted(tools, distro, channel)
        await move_tags(tools, distro, [each.move for each in found])
        left = await drifted(tools, distro, channel)
    if left:
        raise Broken(
            f"the tags of channel {channel!r} did not stay where git says",
            got="; ".join(each.message() for each in left),
            hint="somebody else writes them: run it again, and look at the registry's access log",
        )
    return found


async def drifted(tools: Tools, distro: Distro, channel: str) -> tuple[Drift, ...]:
    """Where the registry's tags differ from the channel's pointer in git."""
    pointer, head = await fetch_channel(tools, distro, channel)
    if pointer.current is None or head is None:
        return ()
    await _refuse_rewritten(tools, pointer, head)
    release = await fetch_release(tools, distro, pointer.current.digest)
    wished = channel_moves(pointer, release, releases_repository=distro.releases_repository)
    return drift(wished, await _facts(tools, wished))


async def _refuse_rewritten(tools: Tools, pointer: Channel, head: str) -> None:
    """A pointer may be edited by hand; its serial may not fall, and its history may not change, whoever commits it."""
    commit = await asyncio.to_thread(tools.repository.commit, head)
    for parent in commit.parents[:1]:
        raw = await asyncio.to_thread(tools.repository.read_file, parent, channel_path(pointer.channel))
        if raw is not None:
            check_succession(parse_channel(raw.decode(), name=pointer.channel), pointer)


async def move_tags(tools: Tools, distro: Distro, moves: Sequence[Move]) -> None:
    """Set tags in order, each on a digest whose signature was verified just now; the first unproven one stops all."""
    policy = signers(tools, distro)

    async def is_proven(move: Move) -> bool:
        return bool(await proofs_of(tools, move.repository, move.digest, SIGNATURE, policy=policy))

    verdicts = await asyncio.gather(*(is_proven(move) for move in moves))
    refuse_unproven(moves, proven={move.digest for move, good in zip(moves, verdicts, strict=True) if good})
    for move in moves:
        document = await fetch_document(tools, move.repository, move.digest)
        await tools.registry.push_document(move.repository, document, tag=move.tag)


async def _facts(tools: Tools, wished: Sequence[Move]) -> dict[tuple[str, str], str | None]:
    digests = await asyncio.gather(*(tools.registry.resolve(each.repository, each.tag) for each in wished))
    return {(move.repository, move.tag): digest for move, digest in zip(wished, digests, strict=True)}


@asynccontextmanager
async def _alone(tools: Tools, channel: str) -> AsyncIterator[None]:
    async with hold(tools.settings.folder / "locks" / f"channel-{channel}", seconds=LOCK_SECONDS):
        yield
