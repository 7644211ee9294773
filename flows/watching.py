"""Shows a run while it happens: stages, and a bar over its packages, on a terminal; plain lines where there is none."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flows.console import console, say
from release.status import BuildState, RunStatus, StageState
from tasks.progress import Snapshot, read_one


class Watch:
    """Follows the progress file of one commit; `show` is called again and again while the `with` block runs."""

    def __init__(self, folder: Path, commit: str, *, since: datetime) -> None:
        self._folder = folder
        self._since = since  # an earlier attempt at the same commit left its file behind
        self._commit = commit
        self._told: set[str] = set()
        self._live = Progress(
            TextColumn("  {task.description:<44}"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console(stderr=True), transient=True,
        )  # fmt: skip
        self._bar = self._live.add_task("waiting for the run to start", total=None)

    def __enter__(self) -> Watch:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.show()
        self._live.stop()

    def show(self) -> None:
        """Read the file and bring the screen up to date; each finished stage and package is told once, as a line."""
        found = read_one(self._folder / f"{self._commit}.json")
        if found is None or found.run.started_at < self._since:
            return
        self._tell(found)
        run = found.run
        stage = next((each.name for each in run.stages if each.state is StageState.RUNNING), "done")
        building = [build.package for build in run.builds if build.state is BuildState.BUILDING]
        description = f"{stage}: {', '.join(building)}" if building else stage
        self._live.update(
            self._bar, description=description[:44], total=len(run.builds) or None, completed=run.finished
        )

    def _tell(self, found: Snapshot) -> None:
        for key, subject, text in _lines(found.run):
            if key not in self._told:
                self._told.add(key)
                say(subject, text)


def _lines(run: RunStatus) -> list[tuple[str, str, str]]:
    """(key, subject, text) of everything that has ended, in a stable order."""
    lines = []
    for build in run.builds:
        if build.state not in (BuildState.WAITING, BuildState.BUILDING):
            seconds = f" in {build.seconds:.1f} s" if build.seconds else ""
            lines.append((f"build {build.package}", "", f"{build.package} {build.state}{seconds}  ({build.reason})"))
    for stage in run.stages:
        if stage.state in (StageState.DONE, StageState.FAILED):
            lines.append((f"stage {stage.name}", stage.name, f"{stage.state} in {stage.seconds or 0:.1f} s"))
    return lines
