"""A folder that is whole or not there, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.tools.folders import appearing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(scratch: Path, content: str = "content") -> None:
    (scratch / "made").mkdir()
    (scratch / "made" / "file").write_text(content)


def test_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    with appearing(tmp_path / "deep" / "made") as scratch:
        fill(scratch)
        (scratch / "leftover").touch()
        assert not (tmp_path / "deep" / "made").exists()
    assert (tmp_path / "deep" / "made" / "file").read_text() == "content"
    assert names(tmp_path / "deep") == ["made"]


def test_does_not_appear_when_it_was_not_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyError), appearing(tmp_path / "made") as scratch:
        fill(scratch)
        raise KeyError
    assert names(tmp_path) == []


def test_who_comes_second_keeps_what_the_first_made(tmp_path: Path) -> None:
    with appearing(tmp_path / "made") as first, appearing(tmp_path / "made") as second:
        fill(first, "first")
        fill(second, "second")
    assert (tmp_path / "made" / "file").read_text() == "second"  # the inner block ends first
    assert names(tmp_path) == ["made"]


def test_making_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), appearing(tmp_path / "made"):
        pass
