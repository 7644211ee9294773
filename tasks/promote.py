"""Moves a channel: finds the newest release that may move, decides, and commits the pointer. Tags follow elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.channel import channels, promotions
from release.channel.channel_files import channel_path, channel_yaml
from release.channel.channels import Channel
from release.channel.decisions import Decision
from release.errors import Broken
from release.product.aliases import ReleaseRef
from release.source.distro import Distro
from release.tools.git import MovedMeanwhile
from signing.attestations import vsa_statement
from signing.policy import Role, identity_of
from signing.statements import PASSED, VSA, Resource
from tasks.fetch import fetch_channel, fetch_distro, fetch_document, fetch_head, fetch_rules
from tasks.sign import Claim, sign
from tasks.verify import examine, signers

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.wiring import Tools

ATTEMPTS = 5  # a lost race is read and decided anew; more than this many means that somebody writes all the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What came of asking: the decision about each candidate, newest first, and the pointer if it moved."""

    channel: str
    decisions: tuple[Decision, ...]
    moved: Channel | None = None
    commit: str | None = None


async def promote(
    tools: Tools,
    channel: str,
    *,
    now: datetime,
    candidate: ReleaseRef | None = None,
    by_hand: str | None = None,
) -> Promotion:
    """Ask whether the channel may move, and move it: the newest candidate that every gate lets through.

    `candidate` is the release for a channel without upstream, or the one that a person wants. Losing a race against
    another writer means reading and deciding again.
    """
    for _ in range(ATTEMPTS):
        try:
            return await _promote_once(tools, channel, now=now, candidate=candidate, by_hand=by_hand)
        except MovedMeanwhile:
            continue
    raise Broken(f"channel {channel!r} moved each of the {ATTEMPTS} times that it was read", hint="try again")


async def roll_back(
    tools: Tools, channel: str, *, now: datetime, by: str, reason: str, to: str | None = None
) -> tuple[Channel, str]:
    """Point the channel at an older release under a new serial, deny the bad one, hold. Returns pointer and commit."""
    head, distro = await _stable(tools)
    pointer, read_at = await fetch_channel(tools, distro, channel)
    rules = await fetch_rules(tools, head, channel)
    after = channels.rolled_back(
        pointer, at=now, by=by, reason=reason, to=to,
        policy=rules.policy.digest, valid_seconds=rules.policy.valid_seconds,
    )  # fmt: skip
    current = after.current.alias if after.current else "nothing"
    message = f"{channel}: Roll back to {current} (serial {after.serial})\n\n{reason}\n\nDecided-by: {by}\n"
    commit = await _commit(tools, distro, {channel_path(channel): channel_yaml(after).encode()}, message, read_at, now)
    return after, commit


async def _promote_once(
    tools: Tools, channel: str, *, now: datetime, candidate: ReleaseRef | None, by_hand: str | None
) -> Promotion:
    head, distro = await _stable(tools)
    pointer, read_at = await fetch_channel(tools, distro, channel)
    rules = await fetch_rules(tools, head, channel)
    upstream = (await fetch_channel(tools, distro, rules.policy.upstream))[0] if rules.policy.upstream else None
    wanted = [candidate] if candidate else list(promotions.candidates(pointer, upstream) if upstream else ())
    decisions = []
    for release in wanted:
        evidence = await examine(tools, distro, release=release, channel=pointer, upstream=upstream)
        decision = promotions.decide(
            policy=rules.policy, evidence=evidence, channel=pointer, upstream=upstream, now=now,
            waivers=rules.waivers, stop=rules.stop, by_hand=by_hand,
        )  # fmt: skip
        decisions.append(decision)
        if decision.excuse is None:
            after = promotions.promote(pointer, decision)
            await _attest(tools, distro, decision)
            commit = await _commit(tools, distro, _files(after, decision), _message(after, decision), read_at, now)
            return Promotion(channel=channel, decisions=tuple(decisions), moved=after, commit=commit)
    return Promotion(channel=channel, decisions=tuple(decisions))


async def _stable(tools: Tools) -> tuple[str, Distro]:
    """The head of the stable branch, whose policies are in force, and the distribution as it describes itself."""
    head = await fetch_head(tools, tools.settings.branch)
    return head, await fetch_distro(tools, head)


def _files(after: Channel, decision: Decision) -> dict[str, bytes]:
    record = f"decisions/{after.channel}/{after.serial}.json"
    return {channel_path(after.channel): channel_yaml(after).encode(), record: decision.to_bytes()}


def _message(after: Channel, decision: Decision) -> str:
    release = decision.question.evidence.release
    return (
        f"{after.channel}: Move to {release.alias} (serial {after.serial})\n\n"
        f"{release.digest}\n"
        + "".join(f"{result.gate}: {result.verdict} ({result.message})\n" for result in decision.results)
        + f"\nDecided-by: {after.decided_by}\n"
    )


async def _commit(
    tools: Tools, distro: Distro, files: dict[str, bytes], message: str, read_at: str | None, now: datetime
) -> str:
    from tasks.wiring import AUTHOR

    return await asyncio.to_thread(
        tools.repository.commit_files,
        distro.channels_branch, files, message=message, expected_head=read_at, author=AUTHOR, time=now,
    )  # fmt: skip


async def _attest(tools: Tools, distro: Distro, decision: Decision) -> None:
    """The verdict as a signed verification summary beside the release; only a PASS comes here."""
    question = decision.question
    document = await fetch_document(tools, distro.releases_repository, question.evidence.release.digest)
    channel = question.channel.channel
    place = f"oci://{distro.releases_repository}:{channel}"
    statement = vsa_statement(
        digest=document.digest,
        resource_uri=place,
        verifier=identity_of(distro.identity, Role.PROMOTE),
        policy=Resource(uri=f"policies/{channel}.yaml", digests={"sha256": question.policy.digest.split(":")[1]}),
        inputs=(Resource(uri=f"decisions/{channel}", digests={"sha256": decision.digest.split(":")[1]}),),
        verdict=PASSED,
        verified=question.now,
    )
    claim = Claim(
        repository=distro.releases_repository, subject=document.descriptor, role=Role.PROMOTE,
        predicate_type=VSA, statement=statement, about={"resourceUri": place},
    )  # fmt: skip
    await sign(tools, [claim], policy=signers(tools, distro))
