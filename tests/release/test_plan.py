"""What a commit changes, and what is built because of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from release.errors import Refused
from release.source.plan import Change, ChangeSet, ImageStep, Plan, Step, TreeState
from release.source.specs import Package
from tests.release.test_graph import binary, graph, package

BASE, LIB, TOOL, OTHER = package("base"), package("lib", "base-devel"), package("tool", "lib-devel"), package("other")
TREE = (BASE, LIB, TOOL, OTHER)


def state(*packages: Package, macros: str = "m", toolchain: str = "t", **images: str) -> TreeState:
    folders = {each.folder: each.content for each in packages}
    return TreeState(folders=folders, macros=macros, toolchain=toolchain, images=images)


def edited(one: Package, **changed: Any) -> Package:
    return dataclasses.replace(one, **{"content": f"{one.content}-2", **changed})


def planned(
    before: tuple[Package, ...], after: tuple[Package, ...], images: Mapping[str, Collection[str] | None] | None = None
) -> Plan:
    """The plan of a commit that leads from one tree to another."""
    previous = Plan.of(graph=graph(*before), changes=ChangeSet.between(None, state(*before)), previous=None)
    changes = ChangeSet.between(state(*before), state(*after))
    return Plan.of(graph=graph(*after), changes=changes, previous=previous, images=images or {})


def reasons(plan: Plan) -> dict[str, str]:
    return {step.package: step.reason for step in plan.steps}


def test_compares_folders_by_content() -> None:
    new = package("new")
    changes = ChangeSet.between(state(BASE, LIB, TOOL), state(BASE, edited(LIB), new))
    assert changes.folders == {
        "SPECS/lib": Change.CHANGED, "SPECS/new": Change.ADDED, "SPECS/tool": Change.REMOVED,
    }  # fmt: skip
    assert (changes.everything, changes.images, changes.is_empty) == ((), frozenset(), False)


def test_an_equal_tree_is_an_empty_change() -> None:
    assert ChangeSet.between(state(*TREE, base="1"), state(*TREE, base="1")).is_empty


def test_a_changed_macro_or_toolchain_set_affects_everything() -> None:
    after = state(BASE, macros="n", toolchain="u")
    assert ChangeSet.between(state(BASE), after).everything == ("the macro set changed", "the toolchain set changed")
    assert ChangeSet.between(None, after).everything == ("first release",)


def test_a_changed_or_new_image_definition_is_a_change() -> None:
    changes = ChangeSet.between(state(BASE, one="1", two="1"), state(BASE, one="1", two="2", three="1"))
    assert changes.images == {"two", "three"}
    assert not changes.is_empty


def test_plans_everything_in_order_for_the_first_release() -> None:
    plan = Plan.of(graph=graph(*TREE), changes=ChangeSet.between(None, state(*TREE)), previous=None)
    assert [step.package for step in plan.steps] == ["base", "other", "lib", "tool"]
    assert set(reasons(plan).values()) == {"first release"}
    assert plan.steps[3].requires == ("lib",)


def test_plans_the_changed_package_and_those_that_depend_on_it_with_a_reason_each() -> None:
    plan = planned(TREE, (edited(BASE), LIB, TOOL, OTHER))
    assert reasons(plan) == {
        "base": "changed: SPECS/base",
        "lib": "depends on base through base-devel",
        "tool": "depends on lib through lib-devel",
    }
    assert [step.requires for step in plan.steps] == [(), ("base",), ("lib",)]


def test_plans_a_leaf_alone() -> None:
    assert reasons(planned(TREE, (BASE, LIB, edited(TOOL), OTHER))) == {"tool": "changed: SPECS/tool"}


def test_plans_nothing_for_an_equal_tree() -> None:
    plan = planned(TREE, TREE)
    assert plan.steps == ()
    assert set(plan.inputs) == {"base", "lib", "tool", "other"}


def test_requires_name_planned_steps_only() -> None:
    plan = planned(TREE, (BASE, edited(LIB), TOOL, OTHER))
    assert [(step.package, step.requires) for step in plan.steps] == [("lib", ()), ("tool", ("lib",))]


def test_prefers_a_changed_package_as_the_reason() -> None:
    both = package("both", "lib-devel", "base-devel")
    plan = planned((BASE, LIB, both), (edited(BASE), LIB, both))
    assert reasons(plan)["both"] == "depends on base through base-devel"


def test_names_the_whole_way_when_the_dependency_is_pulled_in() -> None:
    lib = dataclasses.replace(LIB, build_requires=(), binaries=(binary("lib-devel", requires=["base-devel"]),))
    plan = planned((BASE, lib, TOOL), (edited(BASE), lib, TOOL))
    assert reasons(plan) == {
        "base": "changed: SPECS/base", "tool": "depends on base through lib-devel -> base-devel",
    }  # fmt: skip


def test_a_new_package_is_planned_and_so_is_who_begins_to_use_it() -> None:
    gcc = package("gcc")
    user = package("user", "gcc")
    plan = planned((user,), (user, gcc))
    assert reasons(plan) == {"gcc": "added: SPECS/gcc", "user": "now needs gcc"}


def test_a_removed_package_plans_those_that_the_toolchain_serves_from_now_on() -> None:
    gcc = package("gcc")
    user = package("user", "gcc")
    assert reasons(planned((user, gcc, OTHER), (user, OTHER))) == {"user": "no longer needs gcc"}


def test_plans_everything_when_the_previous_plan_is_lost() -> None:
    changes = ChangeSet.between(state(*TREE), state(*TREE))
    plan = Plan.of(graph=graph(*TREE), changes=changes, previous=None)
    assert set(reasons(plan).values()) == {"no plan of the previous release is known"}
    assert len(plan.steps) == 4


def test_a_macro_change_plans_everything_and_says_so() -> None:
    before = Plan.of(graph=graph(*TREE), changes=ChangeSet.between(None, state(*TREE)), previous=None)
    changes = ChangeSet.between(state(*TREE), state(*TREE, macros="n"))
    assert set(reasons(Plan.of(graph=graph(*TREE), changes=changes, previous=before)).values()) == {
        "the macro set changed"
    }


def test_images_follow_the_packages_they_hold() -> None:
    images = {"small": ("other",), "big": ("other", "tool", "lib-devel"), "new": None}
    plan = planned(TREE, (BASE, edited(LIB), TOOL, OTHER), images)
    assert plan.images == (
        ImageStep(image="big", reason="holds packages of lib, tool"),
        ImageStep(image="new", reason="its packages are not known yet"),
    )


def test_images_follow_their_definition() -> None:
    previous = Plan.of(graph=graph(OTHER), changes=ChangeSet.between(None, state(OTHER)), previous=None)
    changes = ChangeSet.between(state(OTHER, one="1", two="1"), state(OTHER, one="2", two="1"))
    plan = Plan.of(
        graph=graph(OTHER), changes=changes, previous=previous, images={"one": ("other",), "two": ("other",)}
    )
    assert plan.images == (ImageStep(image="one", reason="its definition changed"),)


def test_refuses_to_plan_what_has_no_order() -> None:
    tree = (package("a", "b"), package("b", "a"))
    with pytest.raises(Refused, match="a -> b -> a"):
        Plan.of(graph=graph(*tree), changes=ChangeSet.between(None, state(*tree)), previous=None)


def test_refuses_a_commit_that_removes_what_others_need() -> None:
    with pytest.raises(Refused, match="lib: BuildRequires: base-devel: nothing provides it"):
        planned(TREE, (LIB, TOOL, OTHER))


def test_a_plan_survives_the_round_trip_through_json() -> None:
    plan = planned(TREE, (edited(BASE), LIB, TOOL, OTHER), {"big": ("tool",)})
    value = json.loads(json.dumps(plan.to_json()))
    assert Plan.from_json(value) == plan


def test_keeps_what_a_later_version_recorded() -> None:
    value = {
        "steps": [{"package": "a", "requires": [], "reason": "r", "certificate": {"x": 1}}],
        "images": [{"image": "i", "reason": "r", "seconds": 3}],
        "inputs": {"a": []},
        "forecast": [1],
    }
    read = Plan.from_json(value)
    assert read.to_json() == value
    assert read.steps == (Step(package="a", requires=(), reason="r", other={"certificate": {"x": 1}}),)


@pytest.mark.parametrize(
    "value", [{}, {"steps": [{}], "images": [], "inputs": {}}, {"steps": [], "images": [], "inputs": 3}]
)
def test_refuses_what_is_no_plan(value: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="not a plan"):
        Plan.from_json(value)
