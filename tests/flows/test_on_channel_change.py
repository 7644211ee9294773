"""Channels: the same bits move on when their time has come, go back when a person says so, and tags follow git."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from flows.runs import ON_CHANNEL_CHANGE, orchestrator
from release.errors import Refused
from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration
VSA = "https://slsa.dev/verification_summary/v1"
CHANNELS = ("edge", "beta", "stable")
SOAK = 1.1  # seconds; the policies of beta and stable ask for one


@pytest.fixture
async def steady(world: World) -> World:
    """Prefect knows the deployments, and whatever edge has is in every channel."""
    await world.declare()
    if len({current(world, channel) for channel in CHANNELS}) > 1:
        await _soak(world)
    assert len({current(world, channel) for channel in CHANNELS}) == 1
    return world


def current(world: World, channel: str) -> str:
    """The digest of a channel's release."""
    return str(world.pointer(channel).get("current", {}).get("digest", ""))


def mixed(world: World, channel: str) -> set[str]:
    """What tells the tags of a channel from those that its release asks for: nothing, or consumers see a mixture."""
    tags, digest = world.checker.tags(), current(world, channel)
    record = world.record(digest)
    expected = {"tiny/rpms": record["snapshot"]["digest"], "tiny/releases": digest}
    expected |= {image["repository"]: image["digest"] for image in record["images"]}
    return {tags.get(f"{repository}:{channel}", repository) for repository in expected} ^ set(expected.values())


async def release_another(world: World) -> str:
    """A new release in edge, as cheap as can be; its digest."""
    word = f"word-{world.pointer('edge')['serial']}"
    definition = tiny_tree.distroless_image(word=word)
    path = "imageconfigs/distroless/distroless.json"
    note = await world.release(world.merge({path: definition}, f"distroless: Say {word}"))
    assert note["state"] == "released"
    return str(note["release"]["digest"])


async def test_a_release_moves_through_the_channels_as_it_ages_and_each_move_is_proven(steady: World) -> None:
    world, digest = steady, await release_another(steady)
    moved = datetime.fromisoformat(world.pointer("edge")["history"][0]["at"])
    assert await world.channels(at=moved) == "nothing to move", "it has not soaked"
    assert current(world, "beta") != digest
    async with orchestrator() as prefect:
        keys = [each.key for each in await prefect.unfinished(ON_CHANNEL_CHANGE)]
    assert any(key.startswith("beta@") for key in keys), "it will be asked again, by itself"

    beta = moved + timedelta(seconds=1)
    assert "beta moved to" in await world.channels(at=beta)
    assert current(world, "stable") != digest, "beta's clock has just begun"
    assert "stable moved to" in await world.channels(at=beta + timedelta(seconds=1))
    assert await world.channels() == "nothing to move"
    for channel in CHANNELS:
        assert current(world, channel) == digest
        assert mixed(world, channel) == set()
        done = world.slipway("verify", channel)
        assert done.returncode == 0, done.stderr
        decision = f"channels:decisions/{channel}/{world.pointer(channel)['serial']}.json"
        assert digest in world.show(decision), "the decision is beside the pointer"
    verdicts = [each for each in world.checker.statements("tiny/releases", digest) if each["predicateType"] == VSA]
    told = [each["predicate"]["resourceUri"].rpartition(":")[2] for each in verdicts]
    assert sorted(told) == sorted(CHANNELS), "one verdict for each channel"
    assert world.checker.unproven() == []


async def test_a_rollback_lasts_until_a_person_promotes(steady: World) -> None:
    world, good = steady, current(steady, "stable")
    bad = await release_another(world)
    await _soak(world)
    before = world.pointer("stable")
    assert before["current"]["digest"] == bad

    done = world.slipway("rollback", "stable", "--reason", "it tastes of leaf")
    assert done.returncode == 0, done.stderr
    back = world.pointer("stable")
    assert (back["current"]["digest"], back["serial"]) == (good, before["serial"] + 1)
    assert back["hold"]["reason"] == "it tastes of leaf"
    assert back["deny"][-1]["digest"] == bad
    assert mixed(world, "stable") == set()
    assert world.slipway("verify", "stable").returncode == 0

    await _soak(world)
    assert world.pointer("stable") == back, "automation does not undo it"
    mended = await release_another(world)
    await _soak(world)
    assert current(world, "beta") == mended
    assert world.pointer("stable") == back, "nor with a newer release"

    refused = world.slipway("promote", "stable", bad)
    assert refused.returncode == 3
    assert "denied" in refused.stderr and "it tastes of leaf" in refused.stderr
    assert world.pointer("stable") == back
    by_hand = world.slipway("promote", "stable")
    assert by_hand.returncode == 0, by_hand.stderr
    after = world.pointer("stable")
    assert (after["current"]["digest"], after["serial"]) == (mended, before["serial"] + 2)
    assert after.get("hold") is None
    assert mixed(world, "stable") == set()
    assert world.slipway("verify", "stable").returncode == 0
    assert world.checker.unproven() == []


async def test_tags_that_somebody_moved_are_put_back(steady: World) -> None:
    world = steady
    older = world.pointer("edge")["history"][1]["release"]["digest"]
    raw = world.checker.raw("tiny/releases", older)
    put(world, "tiny/releases", raw, tag="edge")
    assert mixed(world, "edge")
    assert await world.channels() == "edge: 1 tags"
    assert mixed(world, "edge") == set()


async def test_a_pointer_at_a_release_that_nobody_signed_moves_no_tag(steady: World, tmp_path: Path) -> None:
    world, channel = steady, steady.pointer("beta")
    document = world.checker.document("tiny/releases", channel["current"]["digest"])
    document["annotations"]["org.opencontainers.image.title"] = "forged"
    digest = put(world, "tiny/releases", json.dumps(document).encode())
    forged = {"digest": digest, "alias": "R-20260101.1"}
    entry = {**channel["history"][0], "serial": channel["serial"] + 1, "release": forged}
    moved = {"serial": channel["serial"] + 1, "current": forged, "previous": channel["current"]}
    fork, tags = world.fork(tmp_path), world.checker.tags()
    content = json.dumps({**channel, **moved, "history": [entry, *channel["history"]]})
    fork.write_channel("beta", yaml.safe_dump(json.loads(content)))
    with pytest.raises(Refused, match="the pointer names another release") as caught:
        await fork.channels()
    assert caught.value.got == digest
    assert world.checker.tags() == tags


async def test_a_pointer_whose_serial_falls_moves_no_tag(steady: World, tmp_path: Path) -> None:
    fork, tags = steady.fork(tmp_path), steady.checker.tags()
    older = steady.show("channels~2:channels/stable.yaml")
    fork.write_channel("stable", older)
    with pytest.raises(Refused, match="a serial never falls"):
        await fork.channels()
    assert steady.checker.tags() == tags


async def _soak(world: World) -> None:
    """Let what is in edge go as far as it may."""
    for _ in CHANNELS[1:]:
        await asyncio.sleep(SOAK)
        await world.channels()


def put(world: World, repository: str, content: bytes, *, tag: str | None = None) -> str:
    """Push a manifest by digest, or under a tag; its digest."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    kind = {"content-type": json.loads(content)["mediaType"]}
    with httpx.Client(base_url=world.settings.registry) as http:
        http.put(f"/v2/{repository}/manifests/{tag or digest}", content=content, headers=kind).raise_for_status()
    return digest
