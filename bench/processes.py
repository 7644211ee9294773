"""Runs a whole process and says how long it took and how much memory it and its children held."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A process that ended. Memory in MB: `peak` is the most that it, or one of the children it waited for, held;
    `together` the most that it and all its children held at one moment (looked at 20 times a second; what they share
    counts once). `processor` is its time on a processor in seconds, with that of the children it waited for: what a
    busy machine does not make longer."""

    seconds: float
    processor: float
    peak: float
    together: float
    out: str
    code: int


def run(argv: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Ran:
    """Run to the end. Output beyond the pipe's buffer is read while it runs."""
    start = time.perf_counter()
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(environment or {})},
        cwd=folder,
    ) as process:  # fmt: skip
        watcher = _Watcher(process.pid)
        watcher.start()
        assert process.stdout
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        watcher.over.set()
        watcher.join()
    return Ran(
        seconds=seconds,
        processor=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss / 1024,
        together=watcher.most / 1024,
        out=out,
        code=process.returncode,
    )


def median(runs: Iterable[Ran]) -> Ran:
    """The run of the median time, with the largest memory of them all."""
    every = sorted(runs, key=lambda each: each.seconds)
    middle = every[len(every) // 2]
    return Ran(
        seconds=statistics.median(each.seconds for each in every),
        processor=statistics.median(each.processor for each in every),
        peak=max(each.peak for each in every),
        together=max(each.together for each in every),
        out=middle.out,
        code=middle.code,
    )


class _Watcher(threading.Thread):
    """Looks at a process and all below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.most = 0
        self._pid = pid

    def run(self) -> None:
        while not self.over.wait(_EVERY):
            self.most = max(self.most, sum(map(_share, _below(self._pid))))


def _below(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return []
    return [pid, *(each for child in children for each in _below(child))]


def _share(pid: int) -> int:
    """Proportional share in kB: what several processes share is divided among them (proc(5), smaps_rollup)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
