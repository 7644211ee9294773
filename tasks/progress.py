"""Progress of a run as a small file that the status page and the command line follow. A cache: it may be deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from release.errors import Refused
from release.records import from_bytes, to_bytes
from release.status import BuildState, BuildStatus, RunStatus, Stage, StageState

KEPT = 20  # files of finished runs; the page shows the builds of the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the file says: the run, the process that writes it, and whether it has ended."""

    run: RunStatus
    pid: int
    finished: bool = False

    @property
    def alive(self) -> bool:
        """Whether the run is still at work: a killed process leaves an unfinished file behind."""
        return not self.finished and Path(f"/proc/{self.pid}").exists()


class Progress:
    """Writes the progress of one run. `now` is the clock for people, durations come from the monotonic one."""

    def __init__(self, *, folder: Path, run: RunStatus) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{run.commit}.json"
        self._snapshot = Snapshot(run=run, pid=os.getpid())
        self._started: dict[str, float] = {}
        self._write()

    @property
    def run(self) -> RunStatus:
        """The run as it stands."""
        return self._snapshot.run

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """One stage of the story: running inside the block, then done or failed, with its seconds."""
        start = time.monotonic()
        self._set_stage(Stage(name=name, state=StageState.RUNNING))
        ended = StageState.FAILED
        try:
            yield
            ended = StageState.DONE
        finally:
            self._set_stage(Stage(name=name, state=ended, seconds=round(time.monotonic() - start, 2)))

    def plan(self, builds: tuple[BuildStatus, ...]) -> None:
        """The packages of the run, each with its reason."""
        self._change(replace(self.run, builds=builds))

    def build(self, package: str, state: BuildState, **more: float | str | None) -> None:
        """A planned package's new state; `seconds` and `log_url` where they are known now."""

        def changed(each: BuildStatus) -> BuildStatus:
            return replace(each, state=state, **more) if each.package == package else each  # type: ignore[arg-type]

        self._change(replace(self.run, builds=tuple(changed(each) for each in self.run.builds)))

    def also(self, build: BuildStatus) -> None:
        """A package that the plan did not foresee: its key is new although nothing in the tree changed."""
        if build.package not in {each.package for each in self.run.builds}:
            self._change(replace(self.run, builds=(*self.run.builds, build)))

    def finish(self) -> None:
        """The run has ended, well or not."""
        self._snapshot = replace(self._snapshot, finished=True)
        self._write()

    def seconds(self) -> Mapping[str, float]:
        """Seconds of each finished stage."""
        return {stage.name: stage.seconds for stage in self.run.stages if stage.seconds is not None}

    def _set_stage(self, stage: Stage) -> None:
        others = [each for each in self.run.stages if each.name != stage.name]
        known = [each.name for each in self.run.stages]
        if stage.name in known:
            others.insert(known.index(stage.name), stage)
        else:
            others.append(stage)
        self._change(replace(self.run, stages=tuple(others)))

    def _change(self, run: RunStatus) -> None:
        self._snapshot = replace(self._snapshot, run=run)
        self._write()

    def _write(self) -> None:
        part = self._file.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(to_bytes(self._snapshot))
        part.replace(self._file)


def read_progress(folder: Path) -> tuple[Snapshot, ...]:
    """Every progress file that can be read, the newest first; old ones beyond `KEPT` are removed."""
    files = sorted(folder.glob("*.json"), key=_modified, reverse=True)
    for old in files[KEPT:]:
        old.unlink(missing_ok=True)
    return tuple(found for file in files[:KEPT] if (found := read_one(file)) is not None)


def new_run(
    *, name: str, commit: str, subject: str, stages: tuple[str, ...], now: datetime, url: str | None
) -> RunStatus:
    """A run in which nothing has happened yet."""
    waiting = tuple(Stage(name=each, state=StageState.WAITING) for each in stages)
    return RunStatus(name=name, commit=commit, subject=subject, started_at=now, stages=waiting, builds=(), url=url)


def read_one(file: Path) -> Snapshot | None:
    """One progress file, None where there is none that can be read."""
    try:
        return from_bytes(Snapshot, file.read_bytes(), what="a progress file")
    except (OSError, Refused):
        return None  # it was removed meanwhile, or written by another version: it is a cache


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
