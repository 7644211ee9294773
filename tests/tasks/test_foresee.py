"""What is kept of past builds for estimates: it adds up, and nothing in it can stop a forecast."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.foresee import DURATIONS, durations, keep_durations


def test_the_newest_time_of_each_package_is_kept(tmp_path: Path) -> None:
    cache = tmp_path / "not there yet"
    assert durations(cache) == {}
    keep_durations(cache, {"zlib": 12.5, "lua": 3.0})
    keep_durations(cache, {"zlib": 10.0})
    assert durations(cache) == {"zlib": 10.0, "lua": 3.0}
    assert [each.name for each in cache.iterdir()] == [DURATIONS]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": "x"}', "null", '{"a": null}', "\udcff"])
def test_a_damaged_file_gives_no_estimate_and_no_error(tmp_path: Path, content: str) -> None:
    (tmp_path / DURATIONS).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert durations(tmp_path) == {}
    keep_durations(tmp_path, {"a": 1.0})
    assert durations(tmp_path) == {"a": 1.0}
