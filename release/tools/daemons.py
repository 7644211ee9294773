"""Background processes of the embedded stack: started once, found again by pid and start time, stopped by id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from release.errors import Broken, Misconfigured
from release.tools.process import BASE_ENVIRONMENT

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One long-running process. `folder` receives `<name>.pid` and `<name>.log`; `ready` says when it serves."""

    name: str
    argv: Sequence[str]
    folder: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 60.0
    stop_seconds: float = 15.0

    @property
    def log(self) -> Path:
        """Where the process writes its output."""
        return self.folder / f"{self.name}.log"

    def pid(self) -> int | None:
        """The id of the running process that we started, or None; a reused pid is not taken for ours."""
        try:
            record = json.loads((self.folder / f"{self.name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid = int(record["pid"])
        return pid if start_time(pid) == record["start_time"] else None

    def start(self) -> bool:
        """Start and wait until ready. False when it was already running; `Broken` with the log's tail if it dies."""
        if self.pid() is not None:
            self._await_ready()
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    list(self.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env={**BASE_ENVIRONMENT, **self.environment},
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise Misconfigured(
                f"{self.argv[0]} is not installed", hint="slipway doctor names the missing packages"
            ) from error
        process.returncode = 0  # disowned: it outlives us on purpose, and the pid file knows it
        record = {"pid": process.pid, "start_time": start_time(process.pid), "argv": list(self.argv)}
        (self.folder / f"{self.name}.pid").write_text(json.dumps(record))
        self._await_ready()
        return True

    def stop(self) -> bool:
        """Ask it to end, insist after `stop_seconds`; False when it was not running."""
        pid = self.pid()
        if pid is None:
            return False
        _signal(pid, signal.SIGTERM)
        limit = time.monotonic() + self.stop_seconds
        while _alive(pid) and time.monotonic() < limit:
            time.sleep(POLL_SECONDS)
        if _alive(pid):
            os.killpg(pid, signal.SIGKILL)
        (self.folder / f"{self.name}.pid").unlink(missing_ok=True)
        return True

    def _await_ready(self) -> None:
        limit = time.monotonic() + self.start_seconds
        while not self.ready():
            exited = self.pid() is None
            if exited or time.monotonic() > limit:
                state = "it exited" if exited else f"not ready after {self.start_seconds:g} s"
                raise Broken(f"{self.name} did not come up", where=str(self.log), got=f"{state}\n{self._tail()}")
            time.sleep(POLL_SECONDS)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(f"       {line}" for line in lines)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):  # a child of ours stays a zombie until it is reaped
        os.waitpid(pid, os.WNOHANG)
    return start_time(pid) is not None


def start_time(pid: int) -> str | None:
    """When a process began, None when it has ended: clock ticks since boot (proc_pid_stat(5), field 22).

    With it a pid names one process only, and not the next one that gets the same number.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]
