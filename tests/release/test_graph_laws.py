"""The laws of the graph on random trees with cycles, judged by walks that are written as plainly as can be."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from release.graph.graph import Graph
from release.source.specs import Package
from tests.release.test_graph import TOOLCHAIN, binary, package

NAMES = [f"p{number}" for number in range(8)]
BINARIES = [f"{name}{part}" for name in NAMES for part in ("", "-devel")]
NEEDS = st.sets(st.sampled_from([*BINARIES, "gcc"]), max_size=2)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Package, ...]:
    """Each package makes two binaries, and may need whatever it likes, itself too."""
    return tuple(
        package(
            name,
            *sorted(draw(NEEDS)),
            binaries=[binary(f"{name}{part}", requires=sorted(draw(NEEDS))) for part in ("", "-devel")],
        )
        for name in NAMES
    )


def root(tree: tuple[Package, ...], name: str) -> set[str]:
    """The binary packages of a build root, by a plain walk."""
    requires = {each.name: each.requires for package in tree for each in package.binaries}
    waiting = [text for each in tree if each.name == name for text in each.build_requires if text in requires]
    found: set[str] = set()
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += [text for text in requires[each] if text in requires]
    return found


def all_inputs(tree: tuple[Package, ...]) -> Mapping[str, set[str]]:
    maker = {each.name: package.name for package in tree for each in package.binaries}
    return {each.name: {maker[binary] for binary in root(tree, each.name)} for each in tree}


def behind(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    """Everything that is reached from `start`, which is only in it when it reaches itself."""
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += edges[each]
    return found


@settings(max_examples=100, deadline=None)
@given(trees())
def test_roots_and_inputs_are_what_a_plain_walk_finds(tree: tuple[Package, ...]) -> None:
    graph = Graph.of(tree, TOOLCHAIN)
    inputs = all_inputs(tree)
    for name in NAMES:
        assert graph.build_root(name) == root(tree, name)
        assert graph.build_inputs(name) == inputs[name]
        assert graph.dependents(name) == {each for each in NAMES if name in inputs[each]} - {name}


@settings(max_examples=100, deadline=None)
@given(trees())
def test_knots_are_the_packages_that_reach_each_other_and_levels_follow_the_needs(tree: tuple[Package, ...]) -> None:
    graph, inputs = Graph.of(tree, TOOLCHAIN), all_inputs(tree)
    reached = {name: behind(name, inputs) for name in NAMES}
    knot_of = {name: knot for level in graph.levels() for knot in level for name in knot}
    level_of = {name: n for n, level in enumerate(graph.levels()) for knot in level for name in knot}
    assert sorted(knot_of) == NAMES
    for one in NAMES:
        for two in NAMES:
            assert (two in knot_of[one]) is (one == two or (two in reached[one] and one in reached[two]))
        needed = {level_of[each] for name in knot_of[one] for each in inputs[name] if each not in knot_of[one]}
        assert level_of[one] == 1 + max(needed, default=-1)
    assert set(graph.knots()) == {knot_of[name] for name in NAMES if name in reached[name]}
    assert all(len(cycle) > 1 and cycle[0] == cycle[-1] for cycle in graph.cycles)


@settings(max_examples=100, deadline=None)
@given(trees(), st.sets(st.sampled_from(NAMES), min_size=1, max_size=3))
def test_all_that_follow_are_found_by_shortest_ways_that_exist(tree: tuple[Package, ...], changed: set[str]) -> None:
    graph, inputs = Graph.of(tree, TOOLCHAIN), all_inputs(tree)
    found = graph.followers(changed)
    distance = dict.fromkeys(changed, 0)
    for away in range(1, len(NAMES) + 1):
        near = [name for name in NAMES if name not in distance and inputs[name] & distance.keys()]
        distance.update(dict.fromkeys(near, away))
    assert dict(found.distance) == {name: away for name, away in distance.items() if away}
    for name in found.hops:
        path = found.path(name)
        assert len(path) == found.distance[name]
        assert path[0].on in changed and path[-1].package == name
        assert all(one.package == two.on for one, two in itertools.pairwise(path))
        for hop in path:
            assert hop.on in inputs[hop.package]
            assert hop.through[0] in graph.packages[hop.package].build_requires
            assert hop.through[-1] in (hop.on, f"{hop.on}-devel")


@settings(max_examples=100, deadline=None)
@given(trees(), st.sampled_from(NAMES))
def test_all_that_a_package_needs_is_found_by_shortest_ways(tree: tuple[Package, ...], start: str) -> None:
    graph, needed = Graph.of(tree, TOOLCHAIN), all_inputs(tree)
    distance = {start: 0}
    for away in range(1, len(NAMES) + 1):
        near = {each for name, far in distance.items() if far == away - 1 for each in needed[name]}
        distance.update(dict.fromkeys(near - distance.keys(), away))
    found = graph.needs(start)
    assert dict(found.distance) == {name: away for name, away in distance.items() if away}
    assert all(hop.on == name and name in needed[hop.package] for name, hop in found.hops.items())
    assert set(graph.needs(start, direct=True).hops) == needed[start] - {start}
    for name in needed[start]:
        assert graph.through(start, name)


@settings(max_examples=100, deadline=None)
@given(trees(), st.sets(st.sampled_from(NAMES), min_size=1, max_size=3))
def test_levels_of_all_that_follow_are_in_the_order_of_all(tree: tuple[Package, ...], changed: set[str]) -> None:
    graph, inputs = Graph.of(tree, TOOLCHAIN), all_inputs(tree)
    chosen = changed | set(graph.followers(changed).hops)
    levels, knots = graph.among(chosen)
    place = {name: n for n, level in enumerate(levels) for knot in level for name in knot}
    knot_of = {name: set(knot) for level in levels for knot in level for name in knot}
    assert set(place) == chosen
    assert set(knots) == {knot for knot in graph.knots() if set(knot) <= chosen}
    for name in chosen:
        below = [place[each] for one in knot_of[name] for each in (inputs[one] & chosen) - knot_of[name]]
        assert place[name] == 1 + max(below, default=-1)
    assert graph.among(NAMES) == (graph.levels(), graph.knots())
