"""The one door to the shell: argv sequences, a built environment, no standard input, a time limit."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from release.errors import Broken, Misconfigured

TAIL_LINES = 25
_CHUNK = 1 << 16
# Tools get this and what the caller adds; nothing of our own environment (tokens, proxies) leaks into them.
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a process ended: its exit code and what it wrote."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "replace")


async def run(
    argv: Sequence[str | Path],
    *,
    seconds: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
) -> Completed:
    """Run a command to its end. `Broken` on a non-zero exit (unless `check=False`) or after `seconds`;
    `Misconfigured` when the program is not installed. The whole process group ends with it."""
    words = tuple(str(word) for word in argv)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**BASE_ENVIRONMENT, "HOME": "/nonexistent", **(environment or {})},
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Misconfigured(f"{words[0]} is not installed", hint="slipway doctor names the missing packages") from error
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(stdin), timeout=seconds)
    except TimeoutError as error:
        raise Broken(
            f"{words[0]} did not end in time", got=f"still running after {seconds:g} s", hint=shlex.join(words)
        ) from error
    finally:
        if process.returncode is None:
            _end_group(process.pid)
            await asyncio.gather(_drained(process.stdout), _drained(process.stderr))
            await process.wait()  # otherwise the loop complains of it much later, in some other place
    done = Completed(argv=words, code=process.returncode or 0, stdout=stdout, stderr=stderr)
    if check and done.code:
        raise failed(done)
    return done


def failed(done: Completed) -> Broken:
    """The error of a command that exited non-zero: the tail of what it wrote, and the command to paste."""
    written = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return Broken(
        f"{done.argv[0]} failed with exit code {done.code}",
        got="\n       ".join(written[-TAIL_LINES:]) or "no output",
        hint=f"run it by hand: {shlex.join(done.argv)}",
    )


async def _drained(stream: asyncio.StreamReader | None) -> None:
    """Read what the ended process still had to say: a full reader is paused, sees no end, and wait() waits for that."""
    while stream is not None and await stream.read(_CHUNK):
        pass


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
