"""Fetching a foreign program: once, verified by apt, without a change to the machine."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from release.errors import Broken, Error, Misconfigured
from release.tools import process
from release.tools.debian_tools import fetch_tool

REAL_PATH = process.BASE_ENVIRONMENT["PATH"]


def fetch(folder: Path, package: str = "hello") -> Path:
    return asyncio.run(fetch_tool(package, "sid", folder))


def apt_with(monkeypatch: pytest.MonkeyPatch, folder: Path, mirror: str) -> None:
    """An apt whose configured mirror is `mirror`; everything else is the real apt-get's work."""
    shim = folder / "bin" / "apt-get"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\n[ "$1" = indextargets ] && {{ echo "{mirror}"; exit; }}\nPATH={REAL_PATH} exec apt-get "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setitem(process.BASE_ENVIRONMENT, "PATH", f"{shim.parent}:{REAL_PATH}")


@pytest.mark.integration
def test_fetches_a_program_that_runs_and_asks_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = subprocess.run(["apt-config", "dump"], capture_output=True, check=True).stdout
    try:
        program = fetch(tmp_path)
    except Error as error:
        pytest.skip(f"no Debian mirror can be reached: {error.diagnostics()}")
    assert program == tmp_path / "sid" / "hello" / "usr" / "bin" / "hello"
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"Hello, world!\n"
    assert [path.name for path in (tmp_path / "sid").iterdir()] == ["hello"]
    assert subprocess.run(["apt-config", "dump"], capture_output=True, check=True).stdout == configured
    monkeypatch.setitem(process.BASE_ENVIRONMENT, "PATH", "/nonexistent")
    assert fetch(tmp_path) == program


def test_a_mirror_that_signs_nothing_is_refused_by_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "mirror" / "dists" / "sid" / "Release"
    release.parent.mkdir(parents=True)
    release.write_text("Suite: sid\nCodename: sid\nDate: Mon, 23 Nov 2026 00:00:00 UTC\n")
    apt_with(monkeypatch, tmp_path, f"file:{tmp_path}/mirror")
    with pytest.raises(Broken, match="apt-get failed") as error:
        fetch(tmp_path / "tools")
    assert "is not signed" in str(error.value.got)
    assert list((tmp_path / "tools" / "sid").iterdir()) == []


def test_a_mirror_that_is_gone_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_with(monkeypatch, tmp_path, f"file:{tmp_path}/nowhere")
    with pytest.raises(Broken, match="apt-get failed"):
        fetch(tmp_path / "tools")


def test_an_apt_without_a_mirror_needs_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_with(monkeypatch, tmp_path, "")
    with pytest.raises(Misconfigured, match="no Debian mirror"):
        fetch(tmp_path / "tools")


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process.BASE_ENVIRONMENT, "PATH", "/nonexistent")
    with pytest.raises(Misconfigured, match="names no mirror") as error:
        fetch(tmp_path)
    assert "apt-get is not installed" in str(error.value.got)
