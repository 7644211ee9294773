"""The parts of the demo that can be wrong without anybody noticing: what it shows, and what it takes for success."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.demo import Consumer, _merge_is_new, _patch, _subject, _until_ended, _until_promoted
from flows.watching import Watch
from release.errors import Broken, Refused
from release.status import BuildState, BuildStatus
from tasks.progress import Progress, new_run
from tasks.settings import read_settings
from tasks.wiring import open_tools
from tests.conftest import ROOT
from tests.world import World

NOW = datetime.now(UTC)
SETTINGS = read_settings({"SLIPWAY_STATE": "/nonexistent"})


def started(folder: Path, *, at: datetime = NOW) -> Progress:
    """A run of commit `abc` that has two packages to build."""
    run = new_run(name="run", commit="abc", subject="s", stages=("detect", "build"), now=at, url=None)
    progress = Progress(folder=folder, run=run)
    progress.plan(
        tuple(
            BuildStatus(package=name, evr="1-1", arch="x86_64", state=BuildState.WAITING, reason=f"why {name}")
            for name in ("aa", "bb")
        )
    )
    return progress


def test_a_watcher_tells_each_package_and_each_stage_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = started(tmp_path)
    with Watch(tmp_path, "abc", since=NOW) as watch:
        watch.show()
        with progress.stage("detect"):
            watch.show()
        progress.build("aa", BuildState.BUILT, seconds=1.25)
        watch.show()
        watch.show()
        progress.build("bb", BuildState.CACHED)
    told = capsys.readouterr().err
    assert told.count("aa built in 1.2 s  (why aa)") == 1
    assert told.count("bb cached  (why bb)") == 1
    assert told.count("detect       done in") == 1


def test_a_watcher_does_not_tell_of_an_earlier_attempt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started(tmp_path, at=NOW - timedelta(minutes=1)).build("aa", BuildState.FAILED)
    with Watch(tmp_path, "abc", since=NOW) as watch:
        watch.show()
    assert "aa" not in capsys.readouterr().err


def consumer(tmp_path: Path, script: str) -> Consumer:
    """A consumer whose script is this one."""
    path = tmp_path / "demo" / "consumer" / "consume.sh"
    path.parent.mkdir(parents=True)
    path.write_text(script)
    return Consumer(SETTINGS, tmp_path, {"CHANNEL": "stable"})


def test_a_consumer_reports_its_checks_in_order(tmp_path: Path) -> None:
    run = consumer(tmp_path, 'echo "noise"; echo "ok: $1 of $CHANNEL"; echo "skipped: something"')
    assert run("image", "host") == [
        "ok: image of stable", "skipped: something", "ok: host of stable", "skipped: something",
    ]  # fmt: skip


def test_a_consumer_that_fails_ends_the_demo_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="the consumer's step 'verify' failed") as caught:
        consumer(tmp_path, "echo it is not signed; exit 1")("verify")
    assert caught.value.got == "it is not signed"


def test_the_demo_has_one_change_to_merge_and_its_subject_is_found() -> None:
    patch = _patch(ROOT / "manifests")
    assert f"Subject: [PATCH] {_subject(patch)}" in patch.read_text()


@pytest.mark.integration
async def test_a_change_is_merged_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "fix.patch").write_text("Subject: [PATCH] readme: The demo's change\n")
    fork = world.fork(tmp_path)
    async with open_tools(fork.settings) as tools:
        assert await _merge_is_new(tools, tmp_path)
        fork.merge({"README.md": "# merged\n"}, "readme: The demo's change")
        assert not await _merge_is_new(tools, tmp_path)


@pytest.mark.integration
async def test_a_commit_that_ended_badly_ends_the_demo(world: World, tmp_path: Path) -> None:
    fork = world.fork(tmp_path)
    commit = fork.merge({"distro.yaml": "name: [\n"}, "distro: Oops")
    with pytest.raises(Exception, match=r"distro\.yaml"):
        await fork.release(commit)
    async with open_tools(fork.settings) as tools:
        with pytest.raises(Refused, match="was not released"):
            await _until_ended(tools, commit, since=NOW)


@pytest.mark.integration
async def test_waiting_for_a_channel_ends_when_the_release_has_been_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.demo.WAIT_SECONDS", 1.0)
    async with open_tools(replace(world.settings)) as tools:
        start = time.monotonic()
        try:
            await _until_promoted(tools, world.first)
        except Broken as error:
            assert "waited 1 s for beta to reach" in error.message
        assert time.monotonic() - start < 10
