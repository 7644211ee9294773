"""The toolchain lock: its identity, its file, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from release.errors import Misconfigured, Refused
from release.source import toolchain
from release.source.toolchain import LockedPackage, Origin, ToolchainLock, parse_lock

BASH = LockedPackage(name="bash", version="5.2.15-2+b13", arch="amd64", sha256="a" * 64)
GCC = LockedPackage(name="gcc", version="4:12.2.0-3", arch="amd64", sha256="b" * 64)
LOCK = ToolchainLock.of(Origin.STAGE0, ("gcc",), (GCC, BASH))


def text(lock: ToolchainLock = LOCK, **changes: object) -> str:
    return json.dumps({**lock.to_json(), **changes})


def test_a_lock_is_sorted_whatever_the_order() -> None:
    assert LOCK.packages == (BASH, GCC)
    assert ToolchainLock.of(Origin.STAGE0, ("gcc",), (BASH, GCC)) == LOCK


def test_survives_the_round_trip() -> None:
    assert parse_lock(text(), "lock") == LOCK


def test_the_digest_follows_the_content_of_each_package() -> None:
    other = ToolchainLock.of(Origin.STAGE0, ("gcc",), (BASH, replace(GCC, sha256="c" * 64)))
    assert LOCK.digest != other.digest


def test_the_digest_does_not_follow_how_the_set_was_asked_for() -> None:
    assert LOCK.digest == ToolchainLock.of(Origin.STAGE0, ("gcc", "bash"), (BASH, GCC)).digest


def test_the_digest_follows_the_origin_and_the_way_of_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = LOCK.digest
    assert before != replace(LOCK, origin=Origin.REPOSITORY).digest
    monkeypatch.setattr(toolchain, "IMPORT_REVISION", toolchain.IMPORT_REVISION + 1)
    assert before != LOCK.digest


@pytest.mark.parametrize("packages", [(), (GCC, BASH), (BASH, BASH)])
def test_refuses_a_lock_that_is_empty_unsorted_or_ambiguous(packages: tuple[LockedPackage, ...]) -> None:
    with pytest.raises(Refused, match="sorted, each one once"):
        ToolchainLock(origin=Origin.STAGE0, seeds=(), packages=packages)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../etc/passwd"),
        ("name", "--option"),
        ("version", "1; rm"),
        ("arch", "../x"),
        ("sha256", "abc"),
        ("sha256", "A" * 64),
    ],
)
def test_refuses_what_could_become_a_path_or_an_option(field: str, value: str) -> None:
    broken = [{**LOCK.to_json()["packages"][0], field: value}]
    with pytest.raises(Misconfigured, match=field):
        parse_lock(text(packages=broken), "toolchain.lock.json")


def test_refuses_an_unknown_key_with_its_place() -> None:
    with pytest.raises(Misconfigured, match=r"toolchain.lock.json:\d+[^$]*sedes"):
        parse_lock(text(sedes=[]), "toolchain.lock.json")


def test_refuses_an_unknown_origin() -> None:
    with pytest.raises(Misconfigured, match="origin"):
        parse_lock(text(origin="somewhere"), "toolchain.lock.json")
