"""Sealed containers on a real engine: what they keep out, what they end, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from docker import APIClient

from release.errors import Broken, Misconfigured
from release.tools import engine as engine_module
from release.tools.containers import Containers
from release.tools.sealed import Exceeded, Limits, Sealed, Tail
from tests.tools.sealed_images import BARE, write_bare_tar

pytestmark = pytest.mark.integration
SMALL = Limits(memory=64 << 20, scratch=8 << 20, pids=64, seconds=60)
_RUN_AND_WAIT = """
import asyncio, sys
from release.tools.containers import Containers
from tests.tools.test_containers import shell
asyncio.run(Containers(sys.argv[1]).run(shell(sys.argv[2])))
"""


@pytest.fixture
async def containers(docker_url: str, tmp_path: Path) -> AsyncIterator[Containers]:
    with Containers(docker_url) as made:
        if not await made.has_image(BARE):
            await made.import_root(write_bare_tar(tmp_path / "bare.tar"), BARE)
        yield made


class Own:
    """The containers of one test on an engine that others use, too: they are known by a word in their command."""

    def __init__(self, docker_url: str) -> None:
        self.api = APIClient(base_url=docker_url, version="auto")
        self.word = uuid4().hex
        self.sleep = f"sleep 300 # {self.word}"

    def names(self, *, all_states: bool = True) -> list[str]:
        listed = self.api.containers(all=all_states)
        return [each["Names"][0].lstrip("/") for each in listed if self.word in each["Command"]]

    async def started(self, *, count: int = 1) -> list[str]:
        """The names, as soon as that many run."""
        for _ in range(400):
            if len(found := self.names(all_states=False)) == count:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError("no container came up")


@pytest.fixture
def own(docker_url: str) -> Iterator[Own]:
    made = Own(docker_url)
    yield made
    made.api.close()


def shell(script: str, limits: Limits = SMALL, **more: object) -> Sealed:
    reads = {"/usr": Path("/usr")}
    return Sealed(image=BARE, argv=("/bin/sh", "-c", script), reads=reads, limits=limits, **more)  # type: ignore[arg-type]


async def test_tells_the_exit_code_and_all_that_was_said(containers: Containers) -> None:
    ended = await containers.run(shell("echo to the one; echo to the other >&2; exit 7"))
    assert (ended.code, sorted(ended.log.splitlines())) == (7, [b"to the one", b"to the other"])
    assert 0 < ended.seconds < 30


async def test_has_no_network(containers: Containers) -> None:
    ended = await containers.run(shell("ls /sys/class/net; cat /proc/net/route | wc -l"))
    assert ended.log.split() == [b"lo", b"1"]  # the table's headline


async def test_cannot_write_what_it_only_reads(containers: Containers) -> None:
    ended = await containers.run(shell("touch /usr/bin/mine"))
    assert ended.code != 0
    assert b"Read-only file system" in ended.log


async def test_has_no_capability_and_can_gain_none(containers: Containers) -> None:
    ended = await containers.run(shell("grep -E '^(Cap|NoNewPrivs)' /proc/self/status"))
    facts = dict(line.split(b":\t") for line in ended.log.splitlines())
    assert {facts[each] for each in (b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb")} == {b"0" * 16}
    assert facts[b"NoNewPrivs"] == b"1"


async def test_sees_a_built_environment(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_TOKEN", "secret")
    ended = await containers.run(shell("env | sort", environment={"MINE": "1"}))
    assert {line.split(b"=")[0] for line in ended.log.splitlines()} <= {b"HOME", b"HOSTNAME", b"MINE", b"PATH", b"PWD"}
    assert b"MINE=1" in ended.log


async def test_ends_what_takes_too_long_and_keeps_its_last_words(containers: Containers, own: Own) -> None:
    begun = time.monotonic()
    with pytest.raises(Exceeded, match=r"out of time[^$]*still running after 2 s") as caught:
        await containers.run(shell(f"echo waiting for something; {own.sleep}", Limits(seconds=2)))
    assert caught.value.log == b"waiting for something\n"
    assert time.monotonic() - begun < 30
    assert own.names() == []


async def test_names_the_memory_limit(containers: Containers) -> None:
    hungry = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
    with pytest.raises(Exceeded, match=r"out of memory[^$]*more than 64 MiB") as caught:
        await containers.run(shell(f"echo hungry; {hungry}"))
    assert caught.value.log.startswith(b"hungry\n")


async def test_refuses_more_processes_than_allowed(containers: Containers) -> None:
    ended = await containers.run(shell("for i in $(seq 100); do sleep 5 & done; wait", Limits(pids=20, seconds=60)))
    assert b"fork" in ended.log


async def test_refuses_more_scratch_space_than_allowed(containers: Containers) -> None:
    script = "dd if=/dev/zero of=/work/large bs=1M count=20"
    ended = await containers.run(shell(script, scratch=("/work",)))
    assert b"No space left on device" in ended.log


async def test_runs_as_the_user_and_with_the_share_of_the_machine_that_was_said(containers: Containers) -> None:
    share = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2> /dev/null | cut -d' ' -f1"
    ended = await containers.run(shell(f"id -u; id -g; {share}", replace(SMALL, cpus=0.5), user="1234:4321"))
    assert ended.log.split() == [b"1234", b"4321", b"50000"]


async def test_programs_run_from_scratch_space_but_set_no_user_there(containers: Containers) -> None:
    script = "cp /usr/bin/id /work/id; chmod 4755 /work/id; /work/id -u; grep ' /work ' /proc/mounts"
    ended = await containers.run(shell(script, scratch=("/work",)))
    assert ended.log.splitlines()[0] == b"0"
    assert b"nosuid" in ended.log.splitlines()[1]


async def test_waits_for_a_program_that_is_silent_for_longer_than_a_call_may_take(
    docker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_CALL_SECONDS", 1)
    with Containers(docker_url) as impatient:
        assert (await impatient.run(shell("sleep 3; echo here"))).log == b"here\n"


async def test_leaves_nothing_when_it_is_cancelled(containers: Containers, own: Own) -> None:
    running = asyncio.create_task(containers.run(shell(own.sleep)))
    await own.started()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert own.names() == []


async def test_leaves_nothing_when_it_is_cancelled_before_it_began(containers: Containers, own: Own) -> None:
    for delay in (0.0, 0.01, 0.05, 0.1, 0.2):
        running = asyncio.create_task(containers.run(shell(own.sleep)))
        await asyncio.sleep(delay)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert own.names() == []


async def test_closing_ends_what_still_runs(docker_url: str, containers: Containers, own: Own) -> None:
    with Containers(docker_url) as others:
        running = asyncio.create_task(others.run(shell(own.sleep)))
        await own.started()
    with pytest.raises(Broken):
        await running
    assert own.names() == []


async def test_says_that_somebody_else_killed_it(containers: Containers, own: Own) -> None:
    running = asyncio.create_task(containers.run(shell(own.sleep)))
    own.api.kill(*await own.started())
    with pytest.raises(Broken, match="killed from outside"):
        await running


async def test_says_that_it_vanished(containers: Containers, own: Own) -> None:
    running = asyncio.create_task(containers.run(shell(own.sleep)))
    own.api.remove_container(*await own.started(), force=True)
    with pytest.raises(Broken, match=r"vanished|killed from outside"):  # whichever is seen first
        await running


async def test_removes_what_a_killed_process_left_and_nothing_else(
    docker_url: str, containers: Containers, own: Own
) -> None:
    ours = asyncio.create_task(containers.run(shell(own.sleep)))
    kept = await own.started()
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", _RUN_AND_WAIT, docker_url, own.sleep)
    both = await own.started(count=2)
    await containers.remove_strays()
    assert own.names() == both  # its process still lives
    other.kill()
    await other.wait()
    await containers.remove_strays()
    assert own.names() == kept
    ours.cancel()
    await asyncio.wait([ours])


async def test_brings_files_back_and_believes_no_link(containers: Containers, tmp_path: Path) -> None:
    script = """
        mkdir -p /out/deep/er; echo one > /out/one; echo two > /out/deep/er/two
        ln -s /etc/hostname /out/link; ln -s /usr /out/folder; mkfifo /out/pipe
    """
    await containers.run(shell(script, collect={"/out": tmp_path / "back"}))
    found = {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*") if path.is_file()}
    assert found == {"one", "deep/er/two"}
    assert not (tmp_path / "back" / "folder").exists()
    assert (tmp_path / "back" / "one").stat().st_uid == os.getuid()


async def test_keeps_the_end_of_a_long_log(containers: Containers) -> None:
    ended = await containers.run(shell("seq 100000", log_bytes=1000))
    assert ended.log.endswith(b"99999\n100000\n")
    assert ended.log.startswith(b"[the first 587895 bytes of this log were dropped]\n")


def test_a_tail_forgets_nothing_that_fits() -> None:
    tail = Tail(10)
    for chunk in (b"12345", b"67890"):
        tail.write(chunk)
    assert tail.content() == b"1234567890"


async def test_many_run_at_once(containers: Containers) -> None:
    ended = await asyncio.gather(*(containers.run(shell(f"sleep 1; echo {n}")) for n in range(8)))
    assert [int(each.log) for each in ended] == list(range(8))


async def test_says_which_image_is_missing(containers: Containers) -> None:
    with pytest.raises(Misconfigured, match=r"lacks an image[^$]*no-such-image"):
        await containers.run(Sealed(image="no-such-image:1", argv=("true",)))


async def test_an_import_that_breaks_off_leaves_no_image(containers: Containers, tmp_path: Path) -> None:
    whole = write_bare_tar(tmp_path / "whole.tar").read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[:700])
    with pytest.raises(Broken, match="the container engine refused"):
        await containers.import_root(tmp_path / "half.tar", "slipway-test-half:1")
    assert not await containers.has_image("slipway-test-half:1")


def test_says_that_no_engine_answers(tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"does not answer[^$]*slipway doctor"):
        Containers(f"unix://{tmp_path}/nobody.sock")
