"""One thing is changed at a time, for real: exactly the packages that could observe it are built again."""

from __future__ import annotations

import pytest

from tests.changes import CHANGES, Change, table
from tests.conftest import ROOT
from tests.flows.at_sea import AtSea, certificates
from tests.observed_tree import PACKAGES, Sea, text_spec

pytestmark = pytest.mark.integration


def test_the_table_in_the_docs_is_the_one_that_is_tested() -> None:
    assert table() in (ROOT / "docs" / "observed.md").read_text(), f"docs/observed.md needs this table:\n{table()}"


def test_every_package_of_a_first_release_knows_what_was_in_its_build_root(sea: AtSea) -> None:
    found = {name: (each["consumed"], each["unseen"]) for name, each in sea.first.items()}
    assert found == {
        **dict.fromkeys(PACKAGES, ([], [])),
        "almanac": (["lights"], []),
        "anchor": (["tide", "tide-devel", "tide-static"], []),
        "chart": (["gauge", "tide"], []),
        "gauge": (["tide", "tide-devel"], []),
        "harbour": (["rope"], []),
        "logbook": (["pilot"], []),
        "reef": (["shoal"], []),
        "rope": (["loom"], []),
        "sail": (["rigging"], []),
    }


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.what.partition(" (")[0].replace(" ", "-"))
async def test_exactly_what_observes_a_change_is_built(sea: AtSea, change: Change) -> None:
    before = builds(sea)
    voyage = await sea.change(f"sea: {change.what}"[:60], **change.words)
    assert voyage.built == tuple(sorted((*change.built, *change.kept)))
    assert voyage.outcomes == change.outcomes
    for name, words in change.why.items():
        assert words in voyage.why[name], name
    assert voyage.note["state"] == ("released" if change.built else "no-op")
    assert {name for name, build in builds(sea).items() if build != before[name]} == {*change.built}, "these are new"


def builds(sea: AtSea) -> dict[str, str]:
    """The digest of the build that stands for each package."""
    return {name: each["build"] for name, each in certificates(sea.world).items()}


async def test_whatever_was_not_built_would_have_come_out_the_same(sea: AtSea) -> None:
    assert await sea.oracle() == {}, "a rebuild was missed"


@pytest.mark.slow
async def test_no_change_alone_leaves_a_package_that_would_have_come_out_otherwise(sea: AtSea) -> None:
    sea.sea = Sea()
    await sea.commit(sea.sea.files(), "sea: As it was in the beginning")
    for change in CHANGES:
        voyage = await sea.change(f"sea: {change.what}"[:60], **change.words)
        assert await sea.oracle(set(PACKAGES) - set(voyage.built)) == {}, change.what


async def test_the_one_deliberate_gap_is_what_the_docs_say_and_the_oracle_names_it(sea: AtSea) -> None:
    voyage = await sea.change("tide: Other levels", factor=3)
    assert voyage.built == ("anchor", "tide") and voyage.outcomes["chart"] == "skipped"
    assert await sea.oracle(["chart", "gauge"]) == {"chart": ("chart: /usr/share/chart/chart.txt changed",)}
    await sea.change("tide: The old levels", factor=2)
    assert await sea.oracle(["chart"]) == {}


def lamps() -> dict[str, str]:
    """Two lamps, and a wick that is made for whichever of them is installed."""
    return {
        f"SPECS/lamp-{fuel}/lamp-{fuel}.spec": text_spec(f"lamp-{fuel}", "echo bright", tags="Provides: lamp")
        for fuel in ("gas", "oil")
    } | {"SPECS/wick/wick.spec": text_spec("wick", "ls /usr/share | grep lamp-", tags="BuildRequires: lamp")}


async def test_a_package_that_was_not_in_a_build_root_and_now_would_be_is_observed(at_anchor: AtSea) -> None:
    await at_anchor.commit(lamps(), "wick: For any lamp")
    (seen,) = certificates(at_anchor.world)["wick"]["consumed"]
    (other,) = certificates(at_anchor.world)["wick"]["unseen"]
    obsoletes = lamps()[f"SPECS/{other}/{other}.spec"].replace("Provides: lamp", f"Provides: lamp\nObsoletes: {seen}")
    voyage = await at_anchor.commit({f"SPECS/{other}/{other}.spec": obsoletes}, f"{other}: Instead of {seen}")
    assert voyage.built == (other, "wick")
    assert await at_anchor.oracle(["wick"]) == {}
