"""Commands about releases: promote, roll back, verify."""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_distribution import AsJson
from flows.cli_tools import installation
from flows.console import guarded, print_json, print_table

if TYPE_CHECKING:
    from release.channel.channels import Channel
    from release.product.aliases import ReleaseRef
    from release.source.distro import Distro
    from tasks.promote import Promotion
    from tasks.wiring import Tools

ChannelName = Annotated[str, typer.Argument(help="A channel of distro.yaml, for example beta.")]


def promote(
    channel: ChannelName,
    release: Annotated[
        str | None, typer.Argument(help="Alias or digest; without it the newest one upstream that may move.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Promote by hand: every gate is asked, then the pointer is committed under your name and the tags follow.

    By hand lifts a hold when you promote upstream's current release; it passes no gate. Exit code 3 says which gate
    refused, why, and from when it may pass.
    """

    def deed() -> None:
        promotion = asyncio.run(_promote(channel, release))
        if as_json:
            print_json([decision.to_json() for decision in promotion.decisions])
        else:
            _print_promotion(promotion)
        _refuse_unmoved(promotion, as_json=as_json)

    sys.exit(guarded(deed, as_json=as_json))


def rollback(
    channel: ChannelName,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded with the denial and the hold.")],
    to: Annotated[str | None, typer.Option("--to", help="Alias or digest of an older release of the channel.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to an older release under a new serial; the bad one is denied and the channel is held.

    Nothing automatic undoes it: the next promotion by hand lifts the hold.
    """

    def deed() -> None:
        from release.records import to_json

        pointer = asyncio.run(_roll_back(channel, reason, to))
        if as_json:
            print_json(to_json(pointer))
        else:
            current = pointer.current.alias if pointer.current else "nothing"
            sys.stdout.write(f"{channel} is back at {current} (serial {pointer.serial}) and held: {reason}\n")

    sys.exit(guarded(deed, as_json=as_json))


def verify(
    reference: Annotated[
        str, typer.Argument(help="A channel, a release (alias or digest), or an image: repository:tag or @digest.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check what a consumer would: signatures, provenance, SBOMs, closure. Exit code 3 when anything is not proven."""

    def deed() -> None:
        from release.errors import Refused

        findings = asyncio.run(_verify(reference))
        if as_json:
            print_json(findings)
        else:
            rows = [(each["verdict"], each["what"], each["got"]) for each in findings]
            print_table(reference, ["", "what", "found"], rows)
        bad = [each for each in findings if each["verdict"] != "PASS"]
        if bad and not as_json:
            raise Refused(f"{len(bad)} of {len(findings)} checks did not pass", where=reference)
        if bad:
            sys.exit(Refused.exit_code)

    sys.exit(guarded(deed, as_json=as_json))


async def _promote(channel: str, release: str | None) -> Promotion:
    from tasks.follow import follow
    from tasks.promote import promote as move

    async with installation() as (tools, distro):
        candidate = await _reference(tools, distro, release) if release else None
        promotion = await move(tools, channel, now=tools.now(), candidate=candidate, by_hand=getpass.getuser())
        await follow(tools, distro, channel)
        return promotion


async def _roll_back(channel: str, reason: str, to: str | None) -> Channel:
    from tasks.follow import follow
    from tasks.promote import roll_back

    async with installation() as (tools, distro):
        pointer, _ = await roll_back(tools, channel, now=tools.now(), by=getpass.getuser(), reason=reason, to=to)
        await follow(tools, distro, channel)
        return pointer


async def _verify(reference: str) -> list[dict[str, str]]:
    from release.channel.channels import Channel as Pointer
    from tasks.fetch import fetch_channel
    from tasks.verify import examine, examine_image

    async with installation() as (tools, distro):
        images = {image.repository for image in distro.images}
        repository = reference.partition("@")[0].rpartition(":")[0] or reference.partition("@")[0]
        if repository in images:
            return await examine_image(tools, distro, repository, reference)
        if reference in distro.channels:
            pointer, _ = await fetch_channel(tools, distro, reference)
            reference = pointer.current.digest if pointer.current else reference
        release = await _reference(tools, distro, reference)
        evidence = await examine(
            tools, distro, release=release, channel=Pointer(channel=distro.channels[0]), upstream=None
        )
        return [{"what": each.kind, "verdict": each.verdict, "got": each.got} for each in evidence.findings]


async def _reference(tools: Tools, distro: Distro, text: str) -> ReleaseRef:
    """A release by alias or digest; `Refused` when the registry knows no such one."""
    from release.errors import Refused
    from release.product.aliases import ReleaseRef, is_alias

    digest = text if text.startswith("sha256:") else None
    if digest is None:
        digest = await tools.registry.resolve(distro.releases_repository, text)
    if digest is None:
        raise Refused(f"no release {text!r}", where=distro.releases_repository, hint="slipway status lists the newest")
    if is_alias(text):
        return ReleaseRef(digest=digest, alias=text)
    for tag in await tools.registry.tags(distro.releases_repository):
        if is_alias(tag) and await tools.registry.resolve(distro.releases_repository, tag) == digest:
            return ReleaseRef(digest=digest, alias=tag)
    return ReleaseRef(digest=digest, alias=digest[:19])


def _print_promotion(promotion: Promotion) -> None:
    for decision in promotion.decisions:
        print_table(
            f"{promotion.channel}: {decision.question.alias}  {decision.verdict}",
            ["gate", "", "why"],
            [(each.gate, each.verdict, each.message) for each in decision.results],
        )
    if promotion.moved and promotion.moved.current:
        sys.stdout.write(
            f"{promotion.channel} moved to {promotion.moved.current.alias} (serial {promotion.moved.serial})\n"
        )


def _refuse_unmoved(promotion: Promotion, *, as_json: bool) -> None:
    from release.errors import Refused

    if promotion.moved is not None:
        return
    if as_json:
        sys.exit(Refused.exit_code)
    if not promotion.decisions:
        raise Refused(
            "nothing to promote", where=promotion.channel, got="upstream has no release that is not here already"
        )
    excuse = promotion.decisions[0].excuse
    if excuse is not None:
        raise Refused(
            excuse.message, where=promotion.channel, got=excuse.got, expected=excuse.expected, hint=excuse.action
        )
