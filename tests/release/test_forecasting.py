"""What a forecast says of a change: what will be built, what may be, and what stands in the way."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.errors import Refused
from release.forecast.differences import ImageFacts, TreeFacts, root_changes
from release.forecast.forecasting import forecast
from release.forecast.forecasts import Commits, Forecast
from release.graph.graph import Graph
from release.source.specs import BinaryPackage, Package
from tests.release.test_graph import TOOLCHAIN, binary, package
from tests.release.test_graph_laws import NAMES, trees

COMMITS = Commits(before="a" * 40, after="b" * 40)
BASE, LIB, TOOL, OTHER = package("base"), package("lib", "base-devel"), package("tool", "lib-devel"), package("other")
TREE = (BASE, LIB, TOOL, OTHER)


def changed(one: Package, **other: Any) -> Package:
    return dataclasses.replace(one, **{"content": f"{one.content}+", **other})


def made(before: tuple[Package, ...], after: tuple[Package, ...], **facts: Any) -> Forecast:
    old = {key.removeprefix("old_"): each for key, each in facts.items() if key.startswith("old_")}
    new = {key.removeprefix("new_"): each for key, each in facts.items() if key.startswith("new_")}
    rest = {key: each for key, each in facts.items() if not key.startswith(("old_", "new_"))}
    found = forecast(
        COMMITS,
        TreeFacts(packages=before, **{**new, **old}),
        TreeFacts(packages=after, **{**old, **new}),
        available=TOOLCHAIN,
        **rest,
    )
    assert Forecast.from_json(found.to_json()) == found
    return found


def certain(found: Forecast) -> dict[str, tuple[str, ...]]:
    return {each.package: each.reasons for each in found.certain}


def possible(found: Forecast) -> list[str]:
    return [each.package for each in found.possible]


def test_equal_trees_change_nothing() -> None:
    found = made(TREE, TREE)
    assert found.is_empty
    assert (found.packages, found.unaffected) == (4, 4)


def test_a_changed_package_is_certain_and_its_followers_are_possible() -> None:
    found = made(TREE, (changed(BASE, evr="1-2"), *TREE[1:]))
    assert certain(found) == {"base": ("changed: base.spec (1-1 -> 1-2)",)}
    assert possible(found) == ["lib", "tool"]
    assert [str(hop) for hop in found.possible[1].path] == [
        "lib needs base through base-devel", "tool needs lib through lib-devel",
    ]  # fmt: skip
    assert (found.unaffected, found.packages) == (1, 4)
    assert [each.level for each in (*found.certain, *found.possible)] == [0, 1, 2]


def test_a_changed_macro_reaches_who_may_use_it_through_macros_that_no_spec_is_read_with() -> None:
    files = ("/usr/lib/rpm/macros.d/macros.base",)
    base = dataclasses.replace(BASE, binaries=(dataclasses.replace(binary("base-devel"), files=files),))
    tree = (base, LIB, TOOL, OTHER)
    facts: dict[str, Any] = {"old_all_macros": "1", "new_all_macros": "2"}
    found = made(tree, tree, **facts)
    assert certain(found) == {"lib": ("changed: macros that it may use through base-devel",)}
    assert made(tree, tree, **facts, old_macro_files=("macros/macros.base",)).is_empty, "the specs show it themselves"
    assert made(tree, tree).is_empty and made(TREE, TREE, **facts).is_empty


def test_names_the_files_that_changed() -> None:
    blobs = {"SPECS/base/base.spec": "1", "SPECS/base/a.patch": "1", "SPECS/base/b.patch": "1"}
    base = dataclasses.replace(BASE, files=tuple(blobs))
    found = made((base,), (changed(base),), old_blobs=blobs, new_blobs={**blobs, "SPECS/base/b.patch": "2"})
    assert certain(found) == {"base": ("changed: b.patch",)}


def test_a_macro_is_certain_where_a_spec_uses_it_and_nowhere_else() -> None:
    lib, other = (dataclasses.replace(each, expanded="1") for each in (LIB, OTHER))
    found = made((lib, other), (dataclasses.replace(lib, expanded="2", evr="1-2"), other))
    assert certain(found) == {"lib": ("changed: macros that lib.spec uses (1-1 -> 1-2)",)}


def test_new_and_moved_packages_are_certain() -> None:
    moved = dataclasses.replace(OTHER, spec="SPECS-EXTENDED/other/other.spec")
    assert certain(made((BASE, OTHER), (BASE, moved, LIB))) == {
        "lib": ("new: SPECS/lib/lib.spec",),
        "other": ("moved: SPECS/other/other.spec -> SPECS-EXTENDED/other/other.spec",),
    }


def test_macros_and_a_toolchain_that_count_for_all_make_all_certain() -> None:
    found = made(TREE, TREE, old_macros="1", new_macros="2", old_toolchain="1", new_toolchain="2")
    assert set(certain(found)) == {"base", "lib", "tool", "other"}
    assert certain(found)["other"] == (
        "a macro that counts for every package changed", "the toolchain set changed",
    )  # fmt: skip


def test_a_package_whose_build_root_changes_is_certain() -> None:
    """base-devel now requires other: whoever has base-devel in its build root has other too."""
    wider = changed(BASE, binaries=(binary("base"), binary("base-devel", requires=["base = 1-1", "other"])))
    found = made(TREE, (wider, *TREE[1:]))
    assert certain(found)["lib"] == ("its build may now see other",)
    assert possible(found) == ["tool"]
    back = made((wider, *TREE[1:]), TREE_WITH_CHANGED_BASE)
    assert certain(back)["lib"] == ("its build sees no longer other",)


TREE_WITH_CHANGED_BASE = (changed(changed(BASE)), *TREE[1:])


def test_a_new_provider_comes_into_the_build_root_of_who_asks_for_it() -> None:
    asks = package("asks", "mta")
    one = package("one", binaries=[binary("one", provides=["mta"])])
    two = package("two", binaries=[binary("two", provides=["mta"])])
    assert certain(made((asks, one), (asks, one, two)))["asks"] == ("its build may now see two",)


def test_a_real_provider_takes_the_place_of_a_guess() -> None:
    tree = (package("asks", "perl(A::B)"), package("perl-A-B"))
    real = package("real", binaries=[binary("real", provides=["perl(A::B)"])])
    assert certain(made(tree, (*tree, real)))["asks"] == (
        "its build may now see real", "its build sees no longer perl-A-B",
    )  # fmt: skip
    assert certain(made((tree[0],), tree))["asks"] == ("its build may now see perl-A-B",)


def test_refuses_to_remove_what_others_need_and_lists_who() -> None:
    image = {"base": ImageFacts(definition="1", packages=("lib",))}
    found = made(TREE, (LIB, TOOL, OTHER), new_images=image)
    (refusal,) = found.refusals
    assert refusal.message == "the commit removes base, and others need it"
    assert refusal.where == "SPECS/base/base.spec"
    assert refusal.got == "SPECS/lib/lib.spec:10: lib: BuildRequires: base-devel"
    assert isinstance(refusal.error(), Refused)
    assert found.removed == ("base",)
    assert found.unresolved == ("SPECS/lib/lib.spec:10: lib: BuildRequires: base-devel",)


def test_what_is_removed_and_nobody_misses_is_not_named() -> None:
    another = package("another")
    (refusal,) = made((another, *TREE), (LIB, TOOL)).refusals
    assert refusal.message == "the commit removes base, and others need it" and refusal.where == BASE.spec


def test_removing_is_fine_where_nobody_needs_it_or_another_has_it() -> None:
    assert made(TREE, (BASE, LIB, TOOL)).refusals == ()
    heir = package("heir", binaries=[binary("heir", provides=["base-devel = 2"])])
    found = made(TREE, (LIB, TOOL, OTHER, heir))
    assert (found.refusals, found.unresolved, found.removed) == ((), (), ("base",))
    assert certain(found)["lib"] == ("its build may now see heir", "its build sees no longer base, base-devel")


def test_refuses_to_drop_a_binary_package_that_others_need_at_run_time() -> None:
    user = package("user", binaries=[binary("user", requires=["base-devel"])])
    found = made((BASE, user), (changed(BASE, binaries=(binary("base"),)), user))
    assert [each.got for each in found.refusals] == ["SPECS/user/user.spec: user: Requires: base-devel"]
    assert found.refusals[0].message == "the commit no longer makes base-devel, and others need it"


def test_shows_at_most_twenty_of_those_who_need_it() -> None:
    users = tuple(package(f"u{n:02}", "base") for n in range(30))
    (refusal,) = made((BASE, *users), users).refusals
    assert refusal.got is not None and refusal.got.endswith("and 10 more")


def test_names_new_requirements_that_nothing_provides_and_no_old_ones() -> None:
    old = package("old", "never-there")
    found = made((BASE, old), (changed(BASE, build_requires=("nothing",)), old))
    assert found.unresolved == ("SPECS/base/base.spec: base: BuildRequires: nothing",)


def test_a_spec_that_cannot_be_read_stops_its_dependents_and_nobody_else() -> None:
    error = Refused("rpm cannot read the spec", where="SPECS/lib/lib.spec:7", got="Unknown tag: Nmae")
    found = made(TREE, (BASE, changed(TOOL), changed(OTHER)), new_failed={"SPECS/lib/lib.spec": error})
    assert list(certain(found)) == ["other"]
    assert [(each.package, each.reason) for each in found.stopped] == [
        ("lib", "SPECS/lib/lib.spec:7: rpm cannot read the spec: Unknown tag: Nmae"), ("tool", "it needs lib"),
    ]  # fmt: skip
    assert found.refusals == ()
    assert found.removed == ()
    assert found.unaffected == 1


def test_a_new_spec_that_cannot_be_read_is_named_by_its_path() -> None:
    found = made(TREE, TREE, new_failed={"SPECS/x/x.spec": Refused("bad", where="SPECS/x/x.spec:1")})
    assert [(each.package, each.reason) for each in found.stopped] == [("SPECS/x/x.spec", "SPECS/x/x.spec:1: bad")]
    assert found.unaffected == 4


def test_a_spec_that_could_not_be_read_before_either_is_no_news() -> None:
    spec = "SPECS/x/x.spec"
    bad, worse = Refused("bad", where=f"{spec}:1"), Refused("worse", where=f"{spec}:1")
    known = made(TREE, TREE, new_failed={spec: bad}, old_failed={spec: Refused("bad", where=f"{spec}:1")})
    assert known.is_empty and not known.halted
    assert [(each.package, each.standing) for each in known.stopped] == [(spec, True)]
    assert made(TREE, TREE, new_failed={spec: worse}, old_failed={spec: bad}).halted
    touched = made(
        TREE, TREE, new_failed={spec: bad}, old_failed={spec: bad}, new_blobs={spec: "b"}, old_blobs={spec: "a"}
    )
    assert touched.halted and not touched.is_empty
    assert made(TREE, TREE, new_failed={spec: bad}, old_failed={}).halted


def test_images_follow_their_packages_and_definitions() -> None:
    images = {
        name: ImageFacts(definition=name, packages=(held,))
        for name, held in (("holds-base", "base"), ("holds-tool", "tool"), ("holds-other", "other"))
    }
    app = package("tool", "lib-devel", binaries=[binary("tool", requires=["base"])])
    tree = (BASE, LIB, app, OTHER)
    found = made(tree, (changed(BASE), *tree[1:]), old_images=images, new_images=images)
    assert [(each.image, each.certain) for each in found.images] == [("holds-base", True), ("holds-tool", True)]
    found = made(TREE, (changed(BASE), *TREE[1:]), old_images=images, new_images=images)
    assert [(each.image, each.certain) for each in found.images] == [("holds-base", True), ("holds-tool", False)]
    edited = {**images, "holds-other": ImageFacts(definition="2", packages=("other",)), "z": images["holds-tool"]}
    found = made(TREE, TREE, old_images=images, new_images=edited)
    assert [(each.image, each.reason) for each in found.images] == [
        ("holds-other", "its definition changed"), ("z", "new"),
    ]  # fmt: skip
    assert not found.is_empty


def test_an_image_that_cannot_be_read_is_named_where_its_definition_changed() -> None:
    broken = {"base": ImageFacts(definition="2", problem="base.json:3: unknown key")}
    found = made(TREE, TREE, old_images={"base": ImageFacts(definition="1")}, new_images=broken)
    assert [each.reason for each in found.images] == [
        "its definition changed, and cannot be read: base.json:3: unknown key"
    ]
    (new,) = made(TREE, TREE, old_images={}, new_images=broken).images
    assert new.reason == "new, and cannot be read: base.json:3: unknown key"
    assert made(TREE, TREE, old_images=broken, new_images=broken).images == ()
    (old,) = made(TREE, (changed(OTHER), *TREE[:3]), old_images=broken, new_images=broken).images
    assert (old.certain, old.reason) == (False, "its definition cannot be read: base.json:3: unknown key")


def test_names_what_the_change_makes_twice() -> None:
    again = package("again", binaries=[binary("base", evr="0-1")])
    assert made(TREE, (*TREE, again)).findings == (
        "the binary package base is made by again: base-0-1 and by base: base-1-1: the newest that fits is used",
    )
    assert made((*TREE, again), (changed(BASE), *TREE[1:], again)).findings == ()


def test_estimates_from_past_builds_the_certain_and_all() -> None:
    found = made(TREE, (changed(BASE), *TREE[1:]), durations={"base": 10.0, "lib": 30.0, "x": 20.0}, jobs=2)
    assert found.certain_time is not None and found.possible_time is not None
    assert (found.certain_time.elapsed, found.certain_time.unknown) == (10.0, 0)
    assert (found.possible_time.elapsed, found.possible_time.unknown) == (60.0, 1)
    assert made(TREE, (changed(BASE), *TREE[1:])).certain_time is None


def test_packages_that_need_each_other_are_named() -> None:
    tree = (package("a", "b"), package("b", "a"), OTHER)
    found = made(tree, (changed(tree[0]), *tree[1:]), durations={"a": 1.0})
    assert found.knots == (("a", "b"),)
    assert (list(certain(found)), possible(found)) == (["a"], ["b"])


@settings(max_examples=150, deadline=None)
@given(trees(), trees(), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_build_roots_that_changed_are_found_without_looking_at_all(
    before: tuple[Package, ...], after: tuple[Package, ...], taken: set[str], gone: set[str]
) -> None:
    """Judged by comparing the build root of every package. Some packages are those of another tree, some are gone."""
    second = tuple(
        two if one.name in taken else one for one, two in zip(before, after, strict=True) if one.name not in gone
    )
    old, new = Graph.of(before, TOOLCHAIN), Graph.of(second, TOOLCHAIN)
    expected = {name for name in new.packages if name in old.packages and old.build_root(name) != new.build_root(name)}
    assert set(root_changes(old, new, taken | gone)) == expected


def twins(evrs: dict[str, str]) -> tuple[Package, ...]:
    made_ = [
        dataclasses.replace(
            package("go", "go", binaries=[BinaryPackage(name="go", evr=evr), binary(f"{spec}-only")]),
            evr=evr,
            spec=f"S/go/{spec}.spec",
        )
        for spec, evr in evrs.items()
    ]
    return (*made_, package("user", "go"), package("old-user", "go < 2"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.permutations(["1.1-1", "1.2-1", "1.3-1", "2.1-1", "2.2-1"]), min_size=2, max_size=2),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_so_they_are_where_several_specs_make_one_binary_package(
    evrs: list[list[str]], before: int, after: int
) -> None:
    specs = ["go", "go-a", "go-b"]
    old, new = (
        Graph.of(twins(dict(zip(specs[:size], each, strict=False))))
        for each, size in zip(evrs, (before, after), strict=True)
    )
    expected = {name for name in new.packages if name in old.packages and old.build_root(name) != new.build_root(name)}
    assert set(root_changes(old, new, {*specs})) == expected


@pytest.mark.parametrize(
    "value", [[], {}, {"forecast": 2}, {"forecast": 1}, {"forecast": 1, "before": "x", "after": "y"}]
)
def test_what_is_no_forecast_is_refused(value: Any) -> None:
    with pytest.raises(Refused, match="not a forecast"):
        Forecast.from_json(value)


def test_what_a_later_version_adds_survives() -> None:
    value = made(TREE, (changed(BASE), *TREE[1:])).to_json()
    value["later"] = {"key": 1}
    value["certain"][0]["colour"] = "red"
    assert Forecast.from_json(value).to_json()["later"] == {"key": 1}
