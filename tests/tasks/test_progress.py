"""The progress file: always whole, follows the run, and a killed run is not taken for a living one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from release.status import BuildState, BuildStatus, StageState
from tasks.progress import KEPT, Progress, new_run, read_one, read_progress

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def progress(folder: Path, commit: str = "abc") -> Progress:
    """A run with three stages."""
    run = new_run(name="run", commit=commit, subject="s", stages=("detect", "build", "publish"), now=NOW, url=None)
    return Progress(folder=folder, run=run)


def package(name: str) -> BuildStatus:
    """A package that waits."""
    return BuildStatus(package=name, evr="1-1", arch="x86_64", state=BuildState.WAITING, reason="r")


def stages(folder: Path) -> dict[str, StageState]:
    """What the file says of the stages."""
    (found,) = read_progress(folder)
    return {each.name: each.state for each in found.run.stages}


def test_stages_keep_their_order_and_tell_how_they_ended(tmp_path: Path) -> None:
    made = progress(tmp_path)
    with made.stage("detect"):
        assert stages(tmp_path)["detect"] is StageState.RUNNING
    with pytest.raises(ZeroDivisionError), made.stage("build"):
        raise ZeroDivisionError
    assert list(stages(tmp_path).items()) == [
        ("detect", StageState.DONE), ("build", StageState.FAILED), ("publish", StageState.WAITING),
    ]  # fmt: skip
    assert set(made.seconds()) == {"detect", "build"}


def test_packages_change_one_by_one_and_unforeseen_ones_are_added_once(tmp_path: Path) -> None:
    made = progress(tmp_path)
    made.plan((package("aa"), package("bb")))
    made.build("bb", BuildState.BUILT, seconds=2.0, log_url="http://log")
    made.also(package("cc"))
    made.also(package("aa"))
    (found,) = read_progress(tmp_path)
    assert [(each.package, each.state) for each in found.run.builds] == [
        ("aa", BuildState.WAITING), ("bb", BuildState.BUILT), ("cc", BuildState.WAITING),
    ]  # fmt: skip
    assert found.run.builds[1].seconds == 2.0


def test_a_finished_run_and_a_killed_one_are_not_alive(tmp_path: Path) -> None:
    made = progress(tmp_path)
    assert read_progress(tmp_path)[0].alive
    made.finish()
    assert not read_progress(tmp_path)[0].alive
    script = (
        "import os, sys; from pathlib import Path; from tests.tasks.test_progress import progress; "
        "progress(Path(sys.argv[1]), 'killed'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    killed = read_one(tmp_path / "killed.json")
    assert killed is not None
    assert (killed.finished, killed.alive) == (False, False)


def test_a_file_that_cannot_be_read_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    assert read_progress(tmp_path) == ()
    assert read_one(tmp_path / "absent.json") is None


def test_old_files_are_removed_and_the_newest_comes_first(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        progress(tmp_path, f"commit-{number:02}")
        os.utime(tmp_path / f"commit-{number:02}.json", (number, number))
    assert read_progress(tmp_path)[0].run.commit == f"commit-{KEPT + 2:02}"
    assert len(list(tmp_path.glob("*.json"))) == KEPT


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """The writer replaces; a reader in between gets the old one or the new one."""
    script = (
        "import sys; from pathlib import Path; from release.status import BuildState\n"
        "from tests.tasks.test_progress import package, progress\n"
        "made = progress(Path(sys.argv[1]))\n"
        "made.plan(tuple(package(f'p{n}') for n in range(200)))\n"
        "print('go', flush=True)\n"
        "for n in range(200): made.build(f'p{n}', BuildState.BUILT)"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    with writer, writer.stdout as out:  # type: ignore[union-attr]
        assert out.readline() == b"go\n"
        looks, limit = 0, time.monotonic() + 30
        while writer.poll() is None and time.monotonic() < limit:
            found = read_one(tmp_path / "abc.json")
            assert found is not None and len(found.run.builds) == 200
            looks += 1
    assert looks > 3
