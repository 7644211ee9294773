"""The night: everything is built once more from nothing. A wrong skip is named, and goes no further than edge."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from prefect.client.orchestration import get_client

from flows.nightly import _unit, nightly
from release.channel.audits import Agreement
from release.interfaces.interfaces import BinaryInterface
from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration
CHANCE = "cat /proc/sys/kernel/random/uuid > %{buildroot}/usr/share/dd/chance"
EE = tiny_tree.spec("ee", tags="BuildRequires: aa", build="if grep sugar /usr/share/aa/aa.txt; then exit 7; fi")
SKIP = "was left as it was, and comes out otherwise from scratch"
SOAK = 1.1  # seconds; the policy of beta asks for one
DIES_AT_THE_SECOND_BUILD = """
import asyncio, os, signal
import tasks.audit
from flows.nightly import _unit, nightly
from release.channel.audits import Agreement
real, count = tasks.audit.run_build, []
async def dies(*arguments, **named):
    count.append(1)
    running = asyncio.ensure_future(real(*arguments, **named))
    if len(count) == 2:
        await asyncio.sleep(1.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return await running
tasks.audit.run_build = dies
asyncio.run(nightly())
"""


async def audit(world: World) -> Any:
    """One night; its final state."""
    with world.settled():
        return await nightly(return_state=True)


def ledger(world: World) -> dict[str, Any]:
    """What the nights wrote into git, empty before the first."""
    try:
        return dict(json.loads(world.show("channels:audits/edge.json")))
    except AssertionError:  # git knows no such file
        return {"nights": [], "faults": []}


def night_of(world: World) -> dict[str, Any]:
    """The newest night."""
    return dict(ledger(world)["nights"][0])


def faults(world: World) -> dict[str, dict[str, Any]]:
    """What the ledger holds against builds that edge has now, by package."""
    index = world.checker.document("tiny/rpms", "edge")
    held = {each["digest"] for each in index["manifests"]}
    return {each["package"]: each for each in ledger(world)["faults"] if each["build"] in held}


@contextmanager
def blind_to(name: str, digest: str) -> Iterator[None]:
    """The worst bug there is: a change of this package is not seen by anybody."""
    real = BinaryInterface.digest
    seen = property(lambda self: digest if self.name == name else real.fget(self))  # type: ignore[attr-defined]
    with patch.object(BinaryInterface, "digest", seen):
        yield


def interface_of(world: World, name: str) -> str:
    """The interface digest of a package, as edge's release records it."""
    record = world.record(world.pointer("edge")["current"]["digest"])
    certificates = json.loads(world.checker.blob("tiny/releases", record["certificates"]["digest"]))
    return str(certificates["interfaces"][name])


@pytest.fixture(scope="module")
def missed(world: World) -> World:
    """A release in which skips were wrong, one of a package that does not build any more, and a package that no
    two builds make alike; after its night."""

    async def go() -> None:
        files = {"SPECS/dd/dd.spec": tiny_tree.dd(CHANCE, "/usr/share/dd/chance"), "SPECS/ee/ee.spec": EE}
        note = await world.release(world.merge(files, "dd: Takes a chance"))
        assert note["state"] == "released"
        word = f"sugar {len(world.builds)}"
        with blind_to("aa", interface_of(world, "aa")):
            note = await world.release(world.merge(tiny_tree.aa(word), "aa: Taste of sugar"))
        assert note["state"] == "released"

    asyncio.run(go())
    builds, tags = world.builds, world.checker.tags()
    state = asyncio.run(audit(world))
    assert state.is_failed() and "bb was left as it was" in state.message
    added = set(world.checker.tags()) - set(tags)
    assert all("sha256-" in tag for tag in added), "an audit publishes nothing but its report"
    assert world.builds == builds
    return world


async def test_a_wrong_skip_is_named_with_its_file_and_how_it_differs(missed: World) -> None:
    found = faults(missed)
    assert {name: each["kind"] for name, each in found.items()} == {
        "bb": "skip", "cc": "skip", "dd": "unreproducible", "ee": "unbuildable",
    }  # fmt: skip
    assert found["bb"]["files"] == ["bb: /usr/share/bb/bb.txt changed"]
    url = f"{missed.settings.registry}/v2/tiny/releases/blobs/{found['bb']['diff']}"
    shown = httpx.get(url).raise_for_status().text
    assert "/usr/share/bb/bb.txt changed\n    @@ -1 +1 @@\n    -bb with " in shown
    assert "\n    +bb with sugar" in shown
    (why,) = found["ee"]["files"]
    assert why.startswith("the build failed: ")
    assert night_of(missed)["release"] == missed.pointer("edge")["current"]
    assert (night_of(missed)["packages"], night_of(missed)["equal"]) == (7, 3)
    async with get_client() as client:
        (artifact,) = [each for each in await client.read_artifacts() if each.key == "nightly"]
    table = {row["package"]: row for row in json.loads(str(artifact.data))}
    assert set(table) == {*tiny_tree.PACKAGES, "ee"}
    assert {name for name, row in table.items() if row["from scratch"] == "identical"} == {
        "aa", "tiny-release", "tiny-repos",
    }  # fmt: skip


def test_the_status_says_what_was_missed_and_what_it_blocks(missed: World) -> None:
    told = json.loads(missed.slipway("status", "--json").stdout)
    found = {each["package"]: each for each in told["audit"]["faults"]}
    assert found["bb"]["sentence"] == SKIP and found["bb"]["files"] == ["bb: /usr/share/bb/bb.txt changed"]
    assert httpx.get(found["bb"]["diff_url"]).status_code == 200
    alias = missed.pointer("edge")["current"]["alias"]
    assert told["audit"]["blocks"] == [f"{alias} does not move from edge to beta"]
    beta = next(each for each in told["channels"] if each["name"] == "beta")
    assert beta["candidate"]["held_back_by"] == "is not confirmed by the nightly audit: bb, cc, dd, ee"
    alarms = [each["text"] for each in told["findings"] if each["level"] == "alarm"]
    assert any("does not confirm what was published (bb, cc, dd, ee)" in each for each in alarms)
    words = missed.slipway("status").stdout
    assert f"bb {SKIP}" in words and f"blocked: {alias} does not move from edge to beta" in words
    assert f"how: {found['bb']['diff_url']}\n" in words


async def test_a_release_with_a_wrong_skip_goes_no_further_than_edge(missed: World) -> None:
    world, alias = missed, missed.pointer("edge")["current"]["alias"]
    await asyncio.sleep(SOAK)
    await world.channels()
    assert world.pointer("beta").get("current", {}).get("alias") != alias, "an older one may move, this one not"
    refused = world.slipway("promote", "beta", alias)
    assert refused.returncode == 3
    assert f"the nightly audit does not confirm {alias}: bb {SKIP} (and cc, dd, ee)" in refused.stderr
    assert "bb: /usr/share/bb/bb.txt changed" in refused.stderr
    assert "have it built again by a commit that changes its spec: bb, cc, dd, ee" in refused.stderr
    waived = [{"channel": "beta", "release": alias, "gate": "audit", "why": "a drill", "by": "robin",
               "expires": "2020-01-01T00:00:00Z"}]  # fmt: skip
    world.merge({"policies/waivers.yaml": json.dumps({"waivers": waived})}, "policies: Too late")
    assert world.slipway("promote", "beta", alias).returncode == 3


async def test_a_later_release_that_still_holds_the_build_is_blocked_and_one_that_rebuilt_it_is_free(
    missed: World,
) -> None:
    world = missed
    with blind_to("aa", interface_of(world, "aa")):
        definition = tiny_tree.distroless_image(word=f"word-{world.pointer('edge')['serial']}")
        path = "imageconfigs/distroless/distroless.json"
        note = await world.release(world.merge({path: definition}, "distroless: Another word"))
    assert note["state"] == "released"
    await asyncio.sleep(SOAK)
    refused = world.slipway("promote", "beta", note["release"]["alias"])
    assert refused.returncode == 3 and "bb was left as it was" in refused.stderr, (
        "nobody audited it, its builds are known"
    )

    count = len(world.builds)
    files = {"SPECS/dd/dd.spec": tiny_tree.dd(), "SPECS/ee/ee.spec": None}
    mended = await world.release(world.merge(files, "dd: Leaves nothing to chance"))
    assert sorted(world.builds[count:]) == ["bb", "cc", "dd"], "who sees again builds what was missed"
    assert faults(world) == {}
    await asyncio.sleep(SOAK)
    moved = world.slipway("promote", "beta", mended["release"]["alias"])
    assert moved.returncode == 0, moved.stderr
    assert world.pointer("beta")["current"] == mended["release"]


async def test_a_night_that_is_killed_leaves_nothing_and_the_next_one_is_clean(missed: World) -> None:
    """Also where packages need each other."""
    world, aa = missed, tiny_tree.aa(f"salt {len(missed.builds)}")
    closed = aa["SPECS/aa/aa.spec"].replace("Source0: aa.txt", "Source0: aa.txt\nBuildRequires: cc")
    note = await world.release(world.merge({**aa, "SPECS/aa/aa.spec": closed}, "aa: Needs what needs it"))
    assert note["state"] == "released"
    before, tags = ledger(world), world.checker.tags()
    argv = [sys.executable, "-c", DIES_AT_THE_SECOND_BUILD]
    done = subprocess.run(argv, env=world.environment, cwd=world.folder, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (ledger(world), world.checker.tags()) == (before, tags)
    state = await audit(world)
    assert state.is_completed(), state.message
    assert not (world.settings.folder / "work" / "audit").exists()
    night = night_of(world)
    assert (night["packages"], night["equal"], night["identical"], night["unknown"]) == (6, 6, 6, [])
    assert ledger(world)["faults"] == before["faults"], "what was found once stands for builds that nobody has now"
    told = json.loads(world.slipway("status", "--json").stdout)["audit"]
    assert (told["equal"], told["different"], told["blocks"]) == (6, [], [])
    await world.release(world.merge(aa, "aa: Needs nobody"))


class Knot:
    """A night over two packages that need each other; a build observes how often the other one was built before."""

    def __init__(self, *, settles: bool) -> None:
        self.settles = settles
        self.built: list[str] = []
        self.bench = SimpleNamespace(graph=SimpleNamespace(build_inputs=lambda name: {"ee", "ff"} - {name}))

    async def as_published(self, name: str) -> Any:
        return SimpleNamespace(saw="", looks="published", audit=SimpleNamespace(agreement=Agreement.UNKNOWN))

    async def rebuild(self, name: str, view: Any) -> Any:
        other = "ff" if name == "ee" else "ee"
        self.built.append(f"{name} sees {view[other].looks}")
        looks = "published" if self.settles else "fresh"
        return SimpleNamespace(saw=view[other].looks, looks=looks, audit=SimpleNamespace(agreement=Agreement.IDENTICAL))

    def saw_another(self, name: str, fresh: Any, view: Any) -> bool:
        return bool(fresh.saw != view["ff" if name == "ee" else "ee"].looks)


@pytest.mark.parametrize(
    ("settles", "built"),
    [
        (True, ["ee sees published", "ff sees published"]),
        (False, ["ee sees published", "ff sees fresh", "ee sees fresh"]),
    ],
)
async def test_packages_that_need_each_other_are_rebuilt_once_more_where_they_saw_something_else(
    settles: bool, built: list[str], prefect_api: str
) -> None:
    night = Knot(settles=settles)
    fresh = await _unit(night, ("ee", "ff"), {})  # type: ignore[arg-type]
    assert night.built == built
    assert set(fresh) == {"ee", "ff"}
