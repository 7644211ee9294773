"""Packages that need each other, or themselves: two passes and an end, or a refusal that says what has none."""

from __future__ import annotations

import pytest

from release.errors import Refused
from tests.flows.at_sea import AtSea
from tests.observed_tree import text_spec

pytestmark = pytest.mark.integration


def cat(package: str) -> str:
    """A command that prints what a package of texts holds."""
    return f"cat /usr/share/{package}/{package}.txt"


def hen(colour: str) -> dict[str, str]:
    """Needs an egg to be there; says its colour."""
    return {"SPECS/hen/hen.spec": text_spec("hen", f"{cat('egg')} >&2; echo {colour}", tags="BuildRequires: egg")}


def egg(*, of_a_hen: bool) -> dict[str, str]:
    """Has the colour of the hen, once there is one."""
    if not of_a_hen:
        return {"SPECS/egg/egg.spec": text_spec("egg", "echo an egg")}
    return {"SPECS/egg/egg.spec": text_spec("egg", f"echo an egg; {cat('hen')}", tags="BuildRequires: hen")}


def forge(word: str, *, by_itself: bool) -> dict[str, str]:
    """A tool that copies; its next build is made with the one before."""
    command, tags = ("/usr/bin/forge", "BuildRequires: forge\n") if by_itself else ("cat", "")
    spec = text_spec("forge", f"{command} < %{{SOURCE0}}", tags=f"{tags}Source0: forge.in")
    spec = spec.replace(
        "0644 forge.txt %{buildroot}/usr/share/forge/forge.txt", "0755 forge.txt %{buildroot}/usr/bin/forge"
    )
    return {
        "SPECS/forge/forge.spec": spec.replace("/usr/share/forge\n", "/usr/bin/forge\n"),
        "SPECS/forge/forge.in": f"#!/bin/sh\n# {word}\nexec cat\n",
    }


def counting(name: str, on: str) -> dict[str, str]:
    """A package that holds one more than the other."""
    command = f"echo $(( $({cat(on)}) + 1 ))"
    return {f"SPECS/{name}/{name}.spec": text_spec(name, command, tags=f"BuildRequires: {on}")}


def fixed(name: str) -> dict[str, str]:
    """The same package before it counts."""
    return {f"SPECS/{name}/{name}.spec": text_spec(name, "echo 1")}


async def test_two_that_need_each_other_are_built_in_two_passes_and_a_change_goes_round_once(at_anchor: AtSea) -> None:
    sea = at_anchor
    first = await sea.commit({**hen("brown"), **egg(of_a_hen=False)}, "hen: And its egg")
    assert first.built == ("egg", "hen")

    closed = await sea.commit(egg(of_a_hen=True), "egg: Of the hen")
    assert closed.built == ("egg", "hen"), "the hen saw another egg, the egg saw the same hen"
    assert {name: closed.outcomes[name] for name in ("egg", "hen")} == {"egg": "built", "hen": "kept"}

    white = await sea.commit(hen("white"), "hen: White")
    assert white.built == ("egg", "hen", "hen"), "the second hen is the one that saw the white egg"
    assert {name: white.outcomes[name] for name in ("egg", "hen")} == {"egg": "built", "hen": "built"}
    assert await sea.oracle(["egg", "hen"]) == {}


async def test_a_package_that_needs_itself_is_built_by_the_one_before_and_then_by_itself(at_anchor: AtSea) -> None:
    sea = at_anchor
    await sea.commit(forge("iron", by_itself=False), "forge: From nothing")
    itself = await sea.commit(forge("iron", by_itself=True), "forge: By itself")
    assert (itself.built, itself.outcomes["forge"], itself.note["state"]) == (("forge",), "kept", "no-op")
    steel = await sea.commit(forge("steel", by_itself=True), "forge: Steel")
    assert (steel.built, steel.outcomes["forge"]) == (("forge", "forge"), "built")
    assert await sea.oracle(["forge"]) == {}


@pytest.mark.parametrize(
    "knot", [("tick", "tock"), pytest.param(("tally", "tally"), marks=pytest.mark.slow)], ids="-".join
)
async def test_a_cycle_without_an_end_is_refused_and_the_next_good_commit_recovers(
    at_anchor: AtSea, knot: tuple[str, str]
) -> None:
    sea, (one, two) = at_anchor, knot
    await sea.commit({**fixed(one), **fixed(two)}, f"{one}: Stands still")
    pointer, tags = sea.world.pointer("edge"), sea.world.checker.tags()
    with pytest.raises(Refused) as caught:
        await sea.commit({**counting(one, two), **counting(two, one)}, f"{one}: Counts")
    told = caught.value.diagnostics()
    assert "do not converge" in told and one in told and two in told
    assert f"/usr/share/{caught.value.where}/{caught.value.where}.txt changed" in told
    assert sea.world.pointer("edge") == pointer
    moved = {tag for tag, digest in sea.world.checker.tags().items() if tags.get(tag) != digest}
    assert all(":k-" in tag or "sha256-" in tag or ":d-" in tag for tag in moved), (
        "builds are kept, nothing is released"
    )
    again = await sea.commit({**fixed(one), **fixed(two)}, f"{one}: Stands still again")
    assert (again.built, again.note["state"]) == ((), "no-op")


async def test_two_new_packages_that_need_each_other_are_refused_with_the_way_round(at_anchor: AtSea) -> None:
    with pytest.raises(Refused) as caught:
        await at_anchor.commit({**counting("tick", "tock"), **counting("tock", "tick")}, "tick: And tock from nothing")
    assert "tick" in caught.value.diagnostics() and "tock" in caught.value.diagnostics()
