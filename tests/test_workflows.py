"""The workflows of the forge: no right without a reason, nothing unpinned, and no foreign code near a token."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.forecast.markdown import MARKER, markdown
from tests.conftest import ROOT
from tests.release.test_forecast_words import SMALL

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d")


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return found


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_right_without_a_reason_and_no_action_without_a_pin(path: Path) -> None:
    workflow, text = read(path.name), path.read_text()
    assert workflow["permissions"] == {}
    assert all(PINNED.search(line) for line in text.splitlines() if "uses:" in line)
    grants = [line for line in text.splitlines() if re.match(r" +[a-z-]+: (read|write)\b", line)]
    assert len(grants) == sum(len(job["permissions"]) for job in workflow["jobs"].values())
    assert all(" # " in line for line in grants)
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_that_others_write_becomes_text_of_a_script(path: Path) -> None:
    assert not [step["name"] for step in steps(read(path.name)) if "${{" in step.get("run", "")]


def test_what_reads_a_pull_request_has_no_right_and_no_secret() -> None:
    workflow = read("forecast.yml")
    text = (ROOT / ".github/workflows/forecast.yml").read_text()
    assert set(workflow[True]) == {"pull_request"}  # yaml reads `on` as true; pull_request_target would bring a token
    assert workflow[True]["pull_request"]["branches"] == ["stable"]
    assert [job["permissions"] for job in workflow["jobs"].values()] == [{"contents": "read"}]
    assert "secrets." not in text and "github.token" not in text
    checkouts = [step["with"] for step in steps(workflow) if "checkout" in step.get("uses", "")]
    assert all(each["persist-credentials"] is False for each in checkouts)
    assert [("head" in each["ref"]) for each in checkouts] == [True, False], (
        "Slipway itself is never the pull request's"
    )


def test_what_may_write_runs_nothing_of_the_pull_request() -> None:
    workflow = read("forecast-comment.yml")
    assert set(workflow[True]) == {"workflow_run"}
    assert [step["uses"].split("@")[0] for step in steps(workflow) if "uses" in step] == ["actions/download-artifact"]
    tokens = [step["name"] for step in steps(workflow) if "GH_TOKEN" in step.get("env", {})]
    assert tokens == ["Write the comment"]


def cleaned(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The step that cleans the text, as it is written, run on a text."""
    (step,) = [each for each in steps(read("forecast-comment.yml")) if each.get("name") == "Clean the text"]
    (folder / "forecast").mkdir()
    (folder / "forecast" / "comment.md").write_text(text)
    return subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, capture_output=True, text=True, check=False)


def test_a_forecast_comes_through_the_cleaning_as_it_is(tmp_path: Path) -> None:
    assert cleaned(markdown(SMALL), tmp_path).returncode == 0
    assert (tmp_path / "body.md").read_text() == markdown(SMALL)


def test_markup_of_others_does_not(tmp_path: Path) -> None:
    bad = (
        "<img src=x> <script>x</script> @everyone [a](b) https://evil.example www.evil.example\n[r]: b\n\u202e<details>"
    )
    assert cleaned(f"{MARKER}\n{bad}\n", tmp_path).returncode == 0
    shown = (tmp_path / "body.md").read_text().removeprefix(f"{MARKER}\n")
    assert not [sign for sign in ("<img", "<script", "@", "](", "]:", "://", "www.", "\u202e") if sign in shown]
    assert "<details>" in shown


def test_what_is_no_forecast_is_not_written(tmp_path: Path) -> None:
    done = cleaned("hello\n", tmp_path)
    assert done.returncode == 1 and "no forecast was made" in done.stderr
