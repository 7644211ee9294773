"""Channels: the same bits move on when their time has come, go back when a person says so, and tags follow git."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flows.deployments import _declare
from flows.on_channel_change import on_channel_change
from flows.on_commit import on_commit
from flows.runs import ON_CHANNEL_CHANGE, orchestrator
from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration
VSA = "https://slsa.dev/verification_summary/v1"
SOAK = 1.1  # seconds; the policies of beta and stable ask for one


@pytest.fixture
async def declared(world: World) -> None:
    """Prefect knows the deployments; nobody runs them."""
    for flow, name in ((on_channel_change, "channels"), (on_commit, "stable")):
        await (await _declare(flow, name, limit=None)).aapply()


def current(world: World, channel: str) -> str:
    """The digest of a channel's release."""
    return str(world.pointer(channel).get("current", {}).get("digest", ""))


def consumers_see(world: World, channel: str) -> set[str]:
    """Which releases the tags of a channel belong to: one, or tags are mixed."""
    tags, digest = world.checker.tags(), current(world, channel)
    record = world.record(digest)
    expected = {"tiny/rpms": record["snapshot"]["digest"], "tiny/releases": digest}
    expected |= {image["repository"]: image["digest"] for image in record["images"]}
    return {tags[f"{repository}:{channel}"] for repository in expected} ^ set(expected.values())


async def release_another(world: World) -> str:
    """A new release in edge; its digest."""
    word = f"leaf {len(world.builds)}"
    note = await world.release(world.merge({"SPECS/dd/dd.spec": tiny_tree.dd(f"# {word}")}, f"dd: {word}"))
    assert note["state"] == "released"
    return str(note["release"]["digest"])


async def soak(world: World) -> None:
    """Let the newest release of edge reach stable."""
    for _ in range(2):
        await asyncio.sleep(SOAK)
        await world.channels()


async def planned(world: World) -> list[Any]:
    """Runs that wait for the end of a soak."""
    async with orchestrator() as prefect:
        return [each for each in await prefect.unfinished(ON_CHANNEL_CHANGE) if "@" in each.key]


@pytest.mark.usefixtures("declared")
async def test_a_release_moves_through_the_channels_as_it_ages_and_each_move_is_proven(world: World) -> None:
    digest = await release_another(world)
    assert "beta" not in await world.channels(), "it has not soaked"
    assert any(each.key.startswith("beta@") for each in await planned(world)), "it will be asked again, by itself"
    await asyncio.sleep(SOAK)
    assert "beta moved to" in await world.channels()
    await asyncio.sleep(SOAK)
    assert "stable moved to" in await world.channels()
    assert await world.channels() == "nothing to move"
    for channel in ("edge", "beta", "stable"):
        assert current(world, channel) == digest
        assert consumers_see(world, channel) == set()
        decision = world.git("fetch", "-q", "origin", "channels", "--force") or world.git(
            "show", f"FETCH_HEAD:decisions/{channel}/{world.pointer(channel)['serial']}.json"
        )
        assert digest in decision
        done = world.slipway("verify", channel)
        assert done.returncode == 0, done.stderr
    verdicts = [each for each in world.checker.statements("tiny/releases", digest) if each["predicateType"] == VSA]
    assert sorted(each["predicate"]["resourceUri"].rpartition(":")[2] for each in verdicts) == [
        "beta",
        "edge",
        "stable",
    ]
    assert world.checker.unproven() == []


@pytest.mark.usefixtures("declared")
async def test_a_rollback_lasts_until_a_person_promotes(world: World) -> None:
    good = await release_another(world)
    await soak(world)
    bad = await release_another(world)
    await soak(world)
    assert current(world, "stable") == bad
    serial = world.pointer("stable")["serial"]

    done = world.slipway("rollback", "stable", "--reason", "it tastes of leaf")
    assert done.returncode == 0, done.stderr
    pointer = world.pointer("stable")
    assert (pointer["current"]["digest"], pointer["serial"]) == (good, serial + 1)
    assert pointer["hold"]["reason"] == "it tastes of leaf"
    assert [each["digest"] for each in pointer["deny"]][-1:] == [bad]
    assert consumers_see(world, "stable") == set()
    assert world.slipway("verify", "stable").returncode == 0

    await asyncio.sleep(SOAK)
    await world.channels()
    assert world.pointer("stable") == pointer, "automation does not undo it"
    mended = await release_another(world)
    await soak(world)
    assert current(world, "beta") == mended
    assert world.pointer("stable") == pointer, "a hold holds against newer releases, too"

    refused = world.slipway("promote", "stable", world.record(bad) and bad)
    assert refused.returncode == 3
    assert "denied" in refused.stderr and "it tastes of leaf" in refused.stderr
    by_hand = world.slipway("promote", "stable")
    assert by_hand.returncode == 0, by_hand.stderr
    pointer = world.pointer("stable")
    assert (pointer["current"]["digest"], pointer["serial"]) == (mended, serial + 2)
    assert pointer.get("hold") is None
    assert consumers_see(world, "stable") == set()
    assert world.slipway("verify", "stable").returncode == 0


@pytest.mark.usefixtures("declared")
async def test_tags_that_somebody_moved_are_put_back(world: World) -> None:
    older = next(iter(each["release"] for each in world.pointer("edge")["history"][1:]))
    _retag(world, "tiny/releases", older["digest"], "edge")
    assert consumers_see(world, "edge") != set()
    assert "edge: 1 tags" in await world.channels()
    assert consumers_see(world, "edge") == set()


def _retag(world: World, repository: str, digest: str, tag: str) -> None:
    """What anybody who may write to the registry can do."""
    import httpx

    with httpx.Client(base_url=world.settings.registry) as http:
        manifest = http.get(
            f"/v2/{repository}/manifests/{digest}", headers={"accept": "application/vnd.oci.image.manifest.v1+json"}
        )
        kind = {"content-type": manifest.headers["content-type"]}
        http.put(f"/v2/{repository}/manifests/{tag}", content=manifest.content, headers=kind).raise_for_status()
