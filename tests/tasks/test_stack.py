"""`slipway up` and `down`: twice, two at once, a port that somebody has, a disk that is full."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.errors import Broken, Misconfigured, Refused
from tasks.settings import Settings, read_settings
from tasks.stack import down, remove_state, running, up
from tests.conftest import ROOT, free_port
from tests.world import World


def settings_in(folder: Path, **more: str) -> Settings:
    """A stack of our own below a folder, on free ports, without anything that takes long to start."""
    ports = ("REGISTRY", "WEB", "PREFECT", "SIGSTORE")
    given = {f"SLIPWAY_{name}_PORT": str(free_port()) for name in ports}
    return read_settings({"SLIPWAY_STATE": str(folder / "state"), **given, **more})


def slipway(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """A command for that stack."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings.to_environment()}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words], env=environment, capture_output=True, text=True, check=False
    )


def test_a_second_up_at_the_same_time_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.folder.mkdir(parents=True)
    with (settings.folder / "stack.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = slipway(settings, "up")
    assert done.returncode == Refused.exit_code
    assert "another slipway up or down is at work on this state" in done.stderr
    assert str(settings.folder) in done.stderr and "wait for it to end" in done.stderr


def test_a_port_that_another_program_has_is_named_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_in(tmp_path, SLIPWAY_SIGSTORE_PORT=str(port))
        with pytest.raises(Misconfigured, match=f"port {port} is taken by another program, so sigstore") as caught:
            up(settings, lambda *_: None)
    assert "SLIPWAY_SIGSTORE_PORT" in (caught.value.hint or "")
    assert not any(running(settings).values()), "nothing was started"


def test_an_embedded_registry_whose_port_is_taken_starts_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_in(tmp_path, SLIPWAY_REGISTRY_PORT=str(taken.getsockname()[1]))
        done = slipway(settings, "up")
    assert done.returncode == Misconfigured.exit_code
    assert "SLIPWAY_REGISTRY_PORT" in done.stderr
    assert not any(running(settings).values())


def test_down_without_anything_running_says_nothing_and_is_fine(tmp_path: Path) -> None:
    done = slipway(settings_in(tmp_path), "down", "--remove")
    assert done.returncode == 0
    assert "removed" in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.integration
def test_up_is_safe_to_run_twice_and_down_leaves_nothing(world: World, tmp_path: Path) -> None:
    """Registry, Prefect and engine are somebody else's here, so that it is about ours: Sigstore, runner, web door."""
    elsewhere = {
        "SLIPWAY_REGISTRY": world.settings.registry, "SLIPWAY_PREFECT_API": world.settings.prefect_api,
        "DOCKER_HOST": world.settings.docker, "SLIPWAY_REPOSITORY": world.settings.repository,
        "SLIPWAY_WEBHOOK_SECRET_FILE": world.settings.webhook_secret_file,
        "SLIPWAY_IDENTITY": world.settings.identity, "SLIPWAY_POLL_SECONDS": "3600",
    }  # fmt: skip
    settings, told = settings_in(tmp_path, **elsewhere), []
    try:
        up(settings, lambda *line: told.append(line))
        assert told == [("sigstore", "started"), ("runner", "started"), ("web", "started")]
        before = running(settings)
        with pytest.raises(Refused, match="still runs"):
            remove_state(settings)
        again = slipway(settings, "up")
        assert again.returncode == 0
        assert [line.split()[0] for line in again.stderr.splitlines() if "already up" in line] == [
            "sigstore", "runner", "web",
        ]  # fmt: skip
        assert running(settings) == before
    finally:
        down(settings, lambda *_: None)
    assert not any(running(settings).values())
    remove_state(settings)
    assert not settings.folder.exists()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; root only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.integration
async def test_a_full_disk_is_named_and_the_next_attempt_continues(
    world: World, tiny_disk: Path, tmp_path: Path
) -> None:
    state = tiny_disk / "state"
    for part in ("sigstore", "keys"):
        shutil.copytree(world.settings.folder / part, state / part)
    fork = world.fork(tmp_path, state=str(state))
    commit = fork.merge({"README.md": "# full\n"}, "readme: While the disk is full")
    with pytest.raises(Broken, match="the disk is full") as caught:
        await fork.release(commit)
    assert str(tiny_disk) in (caught.value.where or "")
    assert "free some space" in (caught.value.hint or "")
    assert fork.note(commit) is None, "it is tried again"
    done = fork.slipway("plan")
    assert done.returncode == Broken.exit_code
    assert "the disk is full" in done.stderr and "Traceback" not in done.stderr
    elsewhere = world.fork(tmp_path / "again")
    assert (await elsewhere.release(elsewhere.head()))["state"] in ("released", "no-op")
