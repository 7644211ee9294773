"""Fetches what was recorded: the distribution at a commit, a channel's pointer, a release with its plan and builds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.channel.audits import Ledger, ledger_path, parse_ledger
from release.channel.channel_files import channel_path, parse_channel
from release.channel.channels import Channel
from release.channel.policies import Policy, Waiver
from release.channel.policy_files import parse_policy, parse_waivers
from release.errors import Broken, Misconfigured
from release.product.builds import Build
from release.product.releases import Release, parse_release, record_layer
from release.product.repository import Snapshot
from release.source.distro import DISTRO_FILE, Distro, parse_distro

if TYPE_CHECKING:
    from release import oci
    from tasks.wiring import Tools

RECORD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the stable branch says about one channel: its policy, all waivers, the text of a STOP file if any."""

    policy: Policy
    waivers: tuple[Waiver, ...]
    stop: str | None


async def fetch_distro(tools: Tools, commit: str) -> Distro:
    """`distro.yaml` at a commit."""
    raw = await asyncio.to_thread(tools.repository.read_file, commit, DISTRO_FILE)
    if raw is None:
        raise Misconfigured(
            "the tree has no distro.yaml",
            where=f"{tools.repository.url} {commit[:12]}",
            hint="see docs/distribution.md",
        )
    return parse_distro(raw.decode(), DISTRO_FILE)


async def fetch_head(tools: Tools, branch: str) -> str:
    """The newest commit of a branch that must exist."""
    head = await asyncio.to_thread(tools.repository.head, branch)
    if head is None:
        raise Misconfigured(
            f"there is no branch {branch!r}",
            where=tools.repository.url,
            hint="push a commit to it, or correct distro.yaml",
        )
    return head


async def fetch_channel(tools: Tools, distro: Distro, name: str) -> tuple[Channel, str | None]:
    """A channel's pointer and the head of the channels branch at which it was read; serial 0 before the first move."""
    if name not in distro.channels:
        raise Misconfigured(f"unknown channel {name!r}", got=name, expected=", ".join(distro.channels))
    head = await asyncio.to_thread(tools.repository.head, distro.channels_branch)
    raw = await asyncio.to_thread(tools.repository.read_file, head, channel_path(name)) if head else None
    return (parse_channel(raw.decode(), name=name) if raw else Channel(channel=name)), head


async def fetch_ledger(tools: Tools, distro: Distro) -> tuple[Ledger, str | None]:
    """What the nights found in the first channel's releases, and the head of the channels branch at which it was read;
    empty before the first night."""
    head = await asyncio.to_thread(tools.repository.head, distro.channels_branch)
    path = ledger_path(distro.channels[0])
    raw = await asyncio.to_thread(tools.repository.read_file, head, path) if head else None
    return (parse_ledger(raw) if raw else Ledger()), head


async def fetch_rules(tools: Tools, commit: str, channel: str) -> Rules:
    """The policy of a channel, the waivers and the STOP file at a commit of the stable branch."""
    paths = [f"policies/{channel}.yaml", "policies/waivers.yaml", "policies/STOP"]
    found = await asyncio.to_thread(tools.repository.read_files, commit, paths)
    if paths[0] not in found:
        raise Misconfigured(
            f"channel {channel!r} has no policy", where=paths[0], hint="write one; docs/channels.md explains the keys"
        )
    return Rules(
        policy=parse_policy(found[paths[0]].decode(), name=channel),
        waivers=parse_waivers(found[paths[1]].decode()) if paths[1] in found else (),
        stop=found[paths[2]].decode() if paths[2] in found else None,
    )


async def fetch_release(tools: Tools, distro: Distro, reference: str) -> Release:
    """A release by digest or tag."""
    document = await fetch_document(tools, distro.releases_repository, reference)
    layer = record_layer(document)
    record = await tools.registry.pull_blob(distro.releases_repository, layer.digest, limit_bytes=RECORD_BYTES)
    return parse_release(document, record)


async def fetch_snapshot(tools: Tools, repository: str, digest: str) -> Snapshot:
    """The RPM repository of a release."""
    return Snapshot.from_document(await fetch_document(tools, repository, digest))


async def fetch_builds(tools: Tools, repository: str, snapshot: Snapshot) -> tuple[Build, ...]:
    """Every build of a snapshot, in its order."""
    return tuple(await asyncio.gather(*(fetch_build(tools, repository, each.digest) for each in snapshot.builds)))


async def fetch_build(tools: Tools, repository: str, digest: str) -> Build:
    """A build by the digest of its manifest."""
    return Build.from_document(await fetch_document(tools, repository, digest))


async def fetch_document(tools: Tools, repository: str, reference: str) -> oci.Document:
    """A manifest or index that must exist."""
    document = await tools.registry.pull_document(repository, reference)
    if document is None:
        raise Broken(
            "the registry does not have it",
            where=f"{tools.registry.url}/{repository}",
            got=reference,
            hint="was it deleted, or is it another registry's?",
        )
    return document
