"""The law of rebuilding, on random trees and random changes: planned is what has another key, no more and no less."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from release.digests import digest_of
from release.source.graph import Graph
from release.source.keys import build_key
from release.source.plan import ChangeSet, Plan, TreeState
from release.source.specs import Package
from tests.release.test_graph import TOOLCHAIN, binary, package

NAMES = [f"p{number}" for number in range(7)]
DIGEST = digest_of(b"any")


@st.composite
def trees(draw: st.DrawFn) -> tuple[Package, ...]:
    """A tree in which each package may need, to build or at run time, those with smaller numbers. Some are missing:
    what they would provide comes from the toolchain set then."""
    made = []
    for number, name in enumerate(NAMES):
        if draw(st.booleans()) or draw(st.booleans()):
            smaller = st.sets(st.sampled_from(NAMES[:number]), max_size=3) if number else st.just(set[str]())
            requires = sorted(draw(smaller))
            content = draw(st.sampled_from(["first", "second"]))
            one = package(name, *sorted(draw(smaller)), binaries=[binary(name, requires=requires)])
            made.append(_with_content(one, f"{content} {requires} {one.build_requires}"))
    return tuple(made)


def _with_content(one: Package, content: str) -> Package:
    return dataclasses.replace(one, content=content)


def graph_of(tree: tuple[Package, ...]) -> Graph:
    return Graph.of(tree, [*TOOLCHAIN, *(binary(name) for name in NAMES)])


def state(tree: tuple[Package, ...]) -> TreeState:
    return TreeState(folders={each.folder: each.content for each in tree}, macros="m", toolchain="t")


def keys(graph: Graph) -> dict[str, str]:
    """The build key of each package when every build, however small its change, looks different to dependents."""
    found: dict[str, str] = {}
    for level in graph.order():
        for name in level:
            found[name] = build_key(
                package=graph.packages[name],
                macros_digest=DIGEST,
                toolchain_digest=DIGEST,
                arch="x86_64",
                inputs={each: found[each] for each in graph.build_inputs(name)},
            )
    return found


@settings(max_examples=150, deadline=None)
@given(trees(), trees())
def test_planned_are_exactly_the_packages_whose_key_changes(
    before: tuple[Package, ...], after: tuple[Package, ...]
) -> None:
    old, new = graph_of(before), graph_of(after)
    previous = Plan.of(graph=old, changes=ChangeSet.between(None, state(before)), previous=None)
    plan = Plan.of(graph=new, changes=ChangeSet.between(state(before), state(after)), previous=previous)
    old_keys, new_keys = keys(old), keys(new)
    changed = {name for name, key in new_keys.items() if old_keys.get(name) != key}
    assert {step.package for step in plan.steps} == changed


@settings(max_examples=100, deadline=None)
@given(trees(), trees())
def test_every_step_comes_after_the_steps_it_requires_and_has_a_reason(
    before: tuple[Package, ...], after: tuple[Package, ...]
) -> None:
    previous = Plan.of(graph=graph_of(before), changes=ChangeSet.between(None, state(before)), previous=None)
    graph = graph_of(after)
    plan = Plan.of(graph=graph, changes=ChangeSet.between(state(before), state(after)), previous=previous)
    planned = {step.package for step in plan.steps}
    done: set[str] = set()
    for step in plan.steps:
        assert set(step.requires) == graph.build_inputs(step.package) & planned
        assert set(step.requires) <= done
        assert step.reason
        assert "None" not in step.reason
        done.add(step.package)


@settings(max_examples=100, deadline=None)
@given(trees())
def test_inputs_are_what_a_plain_walk_finds(tree: tuple[Package, ...]) -> None:
    graph = graph_of(tree)
    by_name = {each.name: each for each in tree}
    for each in tree:
        found: set[str] = set()
        waiting = [name for name in each.build_requires if name in by_name]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [text for text in by_name[name].binaries[0].requires if text in by_name]
        assert graph.build_inputs(each.name) == found
        assert all(graph.through(each.name, name) for name in found)
        assert all(each.name in graph.dependents(name) for name in found)


@settings(max_examples=50, deadline=None)
@given(trees())
def test_the_order_of_the_specs_says_nothing(tree: tuple[Package, ...]) -> None:
    assert graph_of(tree).order() == graph_of(tuple(reversed(tree))).order()
    one, other = (Plan.of(graph=graph_of(each), changes=ChangeSet.between(None, state(each)), previous=None)
                  for each in (tree, tuple(reversed(tree))))  # fmt: skip
    assert one.to_json() == other.to_json()
