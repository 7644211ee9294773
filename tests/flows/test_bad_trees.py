"""Commits that must not be released, on real packages: one clear message, and nothing is built that need not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.errors import Refused
from tests.flows.at_sea import AtSea, certificates
from tests.observed_tree import text_spec
from tests.world import World

pytestmark = pytest.mark.integration


async def refusal(world: World, files: dict[str, str | None], subject: str) -> str:
    """What a commit of these files is refused with; where edge points, and every tag of a release, stays."""
    pointer, tags = world.pointer("edge"), world.checker.tags()
    commit = world.merge(files, subject)
    with pytest.raises(Refused) as caught:
        await world.release(commit)
    note = world.note(commit)
    assert note is not None and note["state"] == "refused" and caught.value.message in note["reason"]
    assert world.pointer("edge") == pointer
    assert {tag: digest for tag, digest in world.checker.tags().items() if tag in tags} == tags
    return caught.value.diagnostics()


async def test_a_package_that_others_need_is_not_removed_and_they_are_listed(sea: AtSea, tmp_path: Path) -> None:
    count = len(sea.world.builds)
    gone = {path: None for path in sea.sea.files() if path.startswith("SPECS/tide/")}
    told = await refusal(sea.world.fork(tmp_path), gone, "tide: Goes out")
    assert "the commit removes tide, and others need it" in told
    assert "gauge: BuildRequires: pkgconfig(tide)" in told and "anchor: BuildRequires: tide-static" in told
    assert "SPECS/gauge/gauge.spec:" in told, "with file and line"
    assert sea.world.builds[count:] == []


async def test_two_specs_of_one_name_and_release_are_named_both(sea: AtSea, tmp_path: Path) -> None:
    count = len(sea.world.builds)
    twin = {"SPECS/twin/whale.spec": text_spec("whale", "echo another whale")}
    told = await refusal(sea.world.fork(tmp_path), twin, "whale: A twin")
    assert "SPECS/deep/whale.spec" in told and "SPECS/twin/whale.spec" in told
    assert sea.world.builds[count:] == []


async def test_two_packages_that_own_a_file_differently_are_named_both(sea: AtSea, tmp_path: Path) -> None:
    squid = (
        text_spec("squid", "echo ink").replace("/usr/share/squid", "/usr/share/whale").replace("squid.txt", "whale.txt")
    )
    told = await refusal(sea.world.fork(tmp_path), {"SPECS/squid/squid.spec": squid}, "squid: In the whale")
    assert "/usr/share/whale/whale.txt: " in told and "squid" in told and "whale" in told


async def test_a_spec_that_cannot_be_read_stops_only_those_who_need_it(sea: AtSea) -> None:
    count, good = len(sea.world.builds), sea.sea.files()["SPECS/deep/lights.spec"]
    course, files = sea.sea.changed(course="east")
    bad = good.replace("Version: 1.0", "Version 1.0")
    told = await refusal(sea.world, {"SPECS/deep/lights.spec": bad, **files}, "lights: Out")
    line = 1 + bad.splitlines().index("Version 1.0")
    assert f"SPECS/deep/lights.spec:{line}" in told
    assert "not built, because it needs them: almanac" in told
    assert sorted(sea.world.builds[count:]) == ["logbook", "pilot"], "these need no light"

    sea.sea = course
    mended = await sea.commit({"SPECS/deep/lights.spec": good}, "lights: On again")
    assert (mended.note["state"], mended.built) == ("released", ()), "what was built is there"
    found = {name: each["outcome"] for name, each in certificates(sea.world).items()}
    assert {name for name, outcome in found.items() if outcome == "built"} == {"logbook", "pilot"}
