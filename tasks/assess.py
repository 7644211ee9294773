"""Assesses what the nights found for the channels as they are now: which faults they have, and what these hold back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from release.channel.audits import Fault, Ledger, waiver_for
from release.channel.channels import Channel
from release.product.aliases import ReleaseRef
from release.source.distro import Distro
from release.status import Audit, AuditFault
from tasks.fetch import Rules, fetch_head, fetch_release, fetch_rules, fetch_snapshot
from tasks.publish import blob_url

if TYPE_CHECKING:
    from tasks.wiring import Tools


async def assess(tools: Tools, distro: Distro, pointers: Sequence[Channel], ledger: Ledger) -> Audit | None:
    """The newest night, every fault of a build that some channel has, and what does not move on; None before the first
    night."""
    if not ledger.nights:
        return None
    night = ledger.nights[0]
    faults: dict[str, Fault] = {}
    for reference in dict.fromkeys(each.current for each in pointers if each.current):
        faults |= {each.build: each for each in await _faults(tools, distro, reference, ledger)}
    return Audit(
        finished_at=night.at,
        release=night.release.alias,
        equal=night.equal,
        identical=night.identical,
        different=tuple(each.package for each in faults.values()),
        failed=night.unknown,
        faults=tuple(_told(tools, distro, each) for each in faults.values()),
        blocks=tuple([each async for each in _blocked(tools, distro, pointers, ledger)]) if faults else (),
        log_url=blob_url(tools, distro.releases_repository, night.report),
    )


async def standing_in_the_way(
    tools: Tools, distro: Distro, candidate: ReleaseRef, ledger: Ledger, rules: Rules
) -> tuple[Fault, ...]:
    """The faults of a release that keep it out of the channel with these rules: those that no waiver covers."""
    channel, now = rules.policy.channel, tools.now()
    return tuple(
        each
        for each in await _faults(tools, distro, candidate, ledger)
        if waiver_for(each, candidate, rules.waivers, channel=channel, now=now) is None
    )


async def _blocked(tools: Tools, distro: Distro, pointers: Sequence[Channel], ledger: Ledger) -> AsyncIterator[str]:
    head = await fetch_head(tools, tools.settings.branch)
    by_name = {each.channel: each for each in pointers}
    for pointer in pointers:
        rules = await fetch_rules(tools, head, pointer.channel)
        upstream = by_name.get(rules.policy.upstream or "")
        if upstream is None or upstream.current is None or upstream.current == pointer.current:
            continue
        if await standing_in_the_way(tools, distro, upstream.current, ledger, rules):
            yield f"{upstream.current.alias} does not move from {upstream.channel} to {pointer.channel}"


async def _faults(tools: Tools, distro: Distro, reference: ReleaseRef, ledger: Ledger) -> tuple[Fault, ...]:
    if not ledger.faults:
        return ()
    release = await fetch_release(tools, distro, reference.digest)
    snapshot = await fetch_snapshot(tools, release.rpms_repository, release.snapshot.digest)
    return ledger.of(reference, {each.digest for each in snapshot.builds}).faults


def _told(tools: Tools, distro: Distro, fault: Fault) -> AuditFault:
    return AuditFault(
        package=fault.package,
        sentence=fault.kind.sentence,
        files=fault.files,
        release=fault.release,
        found_at=fault.found,
        diff_url=blob_url(tools, distro.releases_repository, fault.diff) if fault.diff else None,
    )
