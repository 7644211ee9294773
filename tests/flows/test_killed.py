"""SIGKILL at any instant of a release: running again completes it, nothing is made twice, no tag was ever unproven."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import docker
import pytest

from tests import tiny_tree
from tests.killed import INSTANTS
from tests.world import World

pytestmark = pytest.mark.integration
OWNER = "dev.slipway.owner"
RELEASE = "application/vnd.slipway.release.v1"
KILLED = -9
# One of each kind: work is done but not named, half of the names are there, git has moved and the tags have not.
FEW = ("signed provenance 1", "tagging R 3", "committed channels 1", "tagging edge 3")


def run(world: World, commit: str, *, until: str = "never") -> subprocess.CompletedProcess[str]:
    """One attempt at a commit, in a process that dies at an instant."""
    argv = [sys.executable, "-m", "tests.killed", until, commit, str(world.builds_file)]
    return subprocess.run(argv, env=world.environment, cwd=world.folder, capture_output=True, text=True, check=False)


def containers(world: World) -> dict[str, int]:
    """Name -> process id of the owner, of every container that some Slipway of this machine made."""
    client = docker.DockerClient(base_url=world.settings.docker)
    try:
        found = client.containers.list(all=True, filters={"label": OWNER})
        return {str(each.name): int(each.labels[OWNER].split("/")[1]) for each in found}
    finally:
        client.close()


def strays(world: World) -> list[str]:
    """Containers whose owner is dead. Other test runs on this machine have living ones."""
    return [name for name, pid in containers(world).items() if not Path(f"/proc/{pid}").exists()]


def releases_of(world: World, commit: str) -> list[str]:
    """Signed releases of a commit that the registry has, named or not."""
    digests = world.checker.signed("tiny/releases", RELEASE)
    return [each for each in digests if world.record(each)["source"]["commit"] == commit]


def named_builds(world: World) -> set[str]:
    """Tags by which a later run finds a build."""
    return {tag for tag in world.checker.tags() if tag.startswith("tiny/rpms:k-")}


def check_end(world: World, commit: str, *, serial: int, aliases: set[str]) -> None:
    """The release of the commit is complete, and there is one of it."""
    note, pointer, tags = world.note(commit), world.pointer("edge"), world.checker.tags()
    assert note is not None and note["state"] == "released"
    assert [note["release"]["digest"]] == releases_of(world, commit), "made once, whatever happened"
    assert (pointer["current"], pointer["serial"]) == (note["release"], serial + 1)
    assert {tag for tag in tags if tag.startswith("tiny/releases:R-")} - aliases == {
        f"tiny/releases:{note['release']['alias']}"
    }
    record = world.record(note["release"]["digest"])
    expected = {"tiny/rpms": record["snapshot"]["digest"], "tiny/releases": note["release"]["digest"]}
    expected |= {image["repository"]: image["digest"] for image in record["images"]}
    for name in ("edge", note["release"]["alias"]):
        assert {repository: tags[f"{repository}:{name}"] for repository in expected} == expected
    assert world.checker.unproven() == []
    assert strays(world) == []


def die_again_and_again(world: World, instants: Iterable[str], word: str) -> None:
    """One commit, whose release is killed at each instant in turn and then left alone."""
    serial = world.pointer("edge")["serial"]
    aliases = {tag for tag in world.checker.tags() if tag.startswith("tiny/releases:R-")}
    count = len(world.builds)
    commit = world.merge(tiny_tree.aa(f"{word} {count}"), f"aa: Taste of {word}")
    done: set[str] = set()
    for instant in instants:
        attempt = run(world, commit, until=instant)
        assert attempt.returncode == KILLED, f"{instant}: {attempt.stdout}{attempt.stderr}"
        assert world.checker.unproven() == [], instant
        assert done <= named_builds(world), "a build that was named is there for ever"
        done = named_builds(world)
    last = run(world, commit)
    assert last.returncode == 0, last.stdout + last.stderr
    check_end(world, commit, serial=serial, aliases=aliases)
    # A build that nobody could find yet when its process died is made again; there is one of these at a time.
    unnamed = sum(instant in ("signing provenance 1", "signed provenance 1", "tagging k 1") for instant in instants)
    again = Counter(world.builds[count:]) - Counter(tiny_tree.CHAIN)
    assert again.total() <= unnamed, f"built twice: {again}"


def test_a_release_that_dies_at_the_worst_instants_is_completed_by_running_again(world: World) -> None:
    die_again_and_again(world, FEW, "chili")


@pytest.mark.slow
def test_a_release_that_dies_at_every_instant_is_completed_by_running_again(world: World) -> None:
    die_again_and_again(world, INSTANTS, "saffron")


@pytest.mark.slow
@pytest.mark.parametrize("instant", [each for each in INSTANTS if each.startswith(("ended", "signed", "committed"))])
def test_a_release_that_dies_once_is_completed_by_running_again(world: World, instant: str) -> None:
    die_again_and_again(world, [instant], instant.replace(" ", "-"))


async def test_a_process_that_dies_with_its_builds_leaves_no_container_behind(world: World) -> None:
    commit = world.merge({"SPECS/dd/dd.spec": tiny_tree.dd("sleep 60")}, "dd: Takes its time")
    argv = [sys.executable, "-m", "tests.killed", "never", commit, str(world.builds_file)]
    process = await asyncio.create_subprocess_exec(*argv, env=world.environment, cwd=world.folder)
    limit = time.monotonic() + 60
    while "dd" not in world.builds[-1:] or process.pid not in containers(world).values():
        assert time.monotonic() < limit, "the build did not start"
        await asyncio.sleep(0.2)
    process.kill()
    await process.wait()
    assert len(strays(world)) == 1, "nobody was left to remove it"
    note = await world.release(world.revert())
    assert note["state"] == "no-op"
    assert strays(world) == []
