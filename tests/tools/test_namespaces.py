"""The sealed place of namespaces: what a program finds in it, and that nothing of it outlives whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from release.errors import Broken
from release.tools.namespaces import PYTHON, InNamespaces
from release.tools.sealed import Ended

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


async def ran(code: str, *, seconds: float = 20, mark: str = "") -> Ended:
    return await InNamespaces().run(
        (PYTHON, "-I", "-c", code, mark), reads={}, environment=ENVIRONMENT, seconds=seconds
    )


def living(mark: str) -> list[str]:
    """Processes that have a word on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words and path.parent.name != str(os.getpid()):
            found.append(path.parent.name)
    return found


async def gone(mark: str) -> bool:
    for _ in range(100):
        if not living(mark):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_program_finds_itself_alone_as_nobody_without_network_or_a_place_to_write() -> None:
    code = """
import os, socket
print(sorted(os.listdir("/")))
print(os.getuid() > 60000, os.getgroups() in ([], [os.getgid()]), sorted(os.environ))
print([pid for pid in os.listdir("/proc") if pid.isdigit()].__len__() <= 3)
print(socket.if_nameindex()[0][1], len(socket.if_nameindex()), socket.gethostname())
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))])
for path in ("/x", "/usr/x", "/etc/x", "/proc/sys/kernel/hostname", "/dev/x"):
    try:
        open(path, "w")
        print("wrote", path)
    except OSError:
        pass
"""
    ended = await ran(code)
    lines = ended.log.decode().splitlines()
    assert lines[0] == "['bin', 'dev', 'etc', 'lib', 'lib64', 'proc', 'sbin', 'tmp', 'usr']"
    assert lines[1] == "True True ['LC_CTYPE', 'PATH', 'PWD']"
    assert lines[2] == "True"
    assert lines[3] == "lo 1 slipway"
    assert lines[4].split()[0] == "0" * 16 and lines[4].split()[2] == "1"
    assert lines[5:] == []


async def test_its_scratch_space_is_small() -> None:
    ended = await ran("open('/tmp/x', 'wb').write(bytes(64 << 20))")
    assert ended.code == 1
    assert b"No space left" in ended.log


async def test_a_program_out_of_time_is_ended_with_all_it_started() -> None:
    mark = uuid4().hex
    code = "import os, time; os.setsid() if os.fork() == 0 else None; time.sleep(60)"
    with pytest.raises(Broken, match="did not end in time"):
        await ran(code, seconds=1, mark=mark)
    assert await gone(mark)


async def test_a_cancelled_run_ends_while_it_writes() -> None:
    mark = uuid4().hex
    task = asyncio.create_task(ran("while True: print('x' * 1000)", mark=mark))
    while not living(mark):
        await asyncio.sleep(0.02)
    task.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 5
    assert await gone(mark)


async def test_a_killed_slipway_takes_its_program_with_it() -> None:
    mark = uuid4().hex
    code = f"""
import asyncio
from release.tools.namespaces import PYTHON, InNamespaces
words = (PYTHON, "-c", "import time; time.sleep(60)", "{mark}")
asyncio.run(InNamespaces().run(words, reads={{}}, environment={{}}, seconds=60))
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    for _ in range(200):
        if len(living(mark)) > 2:
            break
        await asyncio.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert await gone(mark)


async def test_the_place_is_named_by_the_rpm_in_it() -> None:
    name = await InNamespaces().identity()
    assert name.startswith("sha256:")
    assert await InNamespaces().identity() == name
