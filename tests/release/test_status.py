"""The status as JSON: every fact once, in UTC, equal statuses to equal bytes."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta, timezone

import pytest

from release.findings import findings
from release.status import BuildState, render_json
from tests import status_samples as samples


def test_renders_the_same_bytes_for_the_same_status() -> None:
    assert render_json(samples.busy(), ()) == render_json(samples.busy(), ())


def test_renders_every_field_that_the_page_shows() -> None:
    told = json.loads(render_json(samples.busy(), findings(samples.busy())))
    assert told["name"] == "skiff"
    assert told["channels"][1]["candidate"] == {
        "alias": "R-20261122.3",
        "held_back_by": "soaking: 2 h of 12 h",
        "eligible_at": "2026-11-23T13:02:07Z",
    }
    assert told["channels"][1]["hold"]["by"] == "mira"
    assert told["channels"][2] == {
        "name": "stable",
        "serial": 0,
        "alias": None,
        "digest": None,
        "released_at": None,
        "moved_at": None,
        "hold": None,
        "candidate": None,
    }
    assert told["run"]["builds"][0]["seconds"] == 21.4
    assert told["run"]["stages"][1] == {"name": "build", "state": "running", "seconds": 178}
    assert told["commits"][2]["state"] == "failed"
    assert told["releases"][0]["verify"][0]["line"] == "slipway verify R-20261122.3"
    assert told["services"][1] == {"name": "Prefect", "health": "up", "detail": "", "url": None}
    assert told["audit"]["different"] == []
    assert told["findings"] == [
        {"level": "warning", "text": "beta is on hold: curl breaks proxies", "section": "channels"}
    ]


def test_renders_the_absence_of_a_run_and_of_an_audit() -> None:
    told = json.loads(render_json(replace(samples.quiet(), audit=None), ()))
    assert told["run"] is None and told["audit"] is None and told["findings"] == []


def test_renders_times_in_utc_wherever_they_were_taken() -> None:
    east = samples.NOW.astimezone(timezone(timedelta(hours=9)))
    assert render_json(replace(samples.quiet(), taken_at=east), ()) == render_json(samples.quiet(), ())


def test_renders_hostile_text_as_text() -> None:
    hostile = replace(samples.commits()[0], subject='"}</script>\u2028\x00')
    told = json.loads(render_json(replace(samples.quiet(), commits=(hostile,)), ()))
    assert told["commits"][0]["subject"] == hostile.subject


def test_counts_builds_that_need_no_more_work_whatever_came_out() -> None:
    run = samples.run(*(samples.build(state.value, state) for state in BuildState))
    assert run.finished == len(BuildState) - 2, "all but waiting and building"
    assert samples.run().finished == 0


def test_a_status_cannot_be_changed_after_it_was_taken() -> None:
    with pytest.raises(FrozenInstanceError):
        samples.quiet().name = "other"  # type: ignore[misc]
