"""The replay of real commits: what it counts as a build, and that nothing is forgotten."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench import replay
from bench.facts import Kind
from bench.replay import Assumption, Counts, Distribution
from release.graph.graph import Graph

SOME = 60
HARSH = Assumption(name="everything breaks", several=True, patches=1.0, passed_on=1.0)
MILD = Assumption(name="nothing breaks", updates=False, static=False)


@pytest.fixture(scope="module")
def history() -> replay.History:
    return replay.history(SOME)


@pytest.mark.parametrize("assumption", [HARSH, MILD, Assumption(name="one in five", patches=0.2, passed_on=0.2)])
def test_after_each_commit_everything_was_built_over_what_is_published(
    history: replay.History, assumption: Assumption
) -> None:
    distribution, counts = Distribution(history.first, history.recipes), Counts()
    for step in history.steps[:20]:
        distribution.replay(step, assumption, counts)
        now = {name: distribution.root(step.shape, name) for name in step.shape.roots}
        stale = [name for name, root in now.items() if distribution.observed[name] != root]
        assert stale == []


def test_where_nothing_breaks_only_what_says_something_else_is_built(
    history: replay.History,
) -> None:
    counts = replay.slipway(MILD, history)
    assert (counts.observed, counts.again) == (0, 0)
    assert counts.touched == sum(len(step.kinds) for step in history.steps)
    assert counts.builds == counts.touched + sum(len(step.spoken) for step in history.steps)


def test_where_everything_breaks_all_dependents_are_built(
    history: replay.History,
) -> None:
    rules = replay.peers(history.steps)
    counts = replay.slipway(HARSH, history)
    for mine, direct in zip(counts.per_commit, rules["changed and direct dependents"], strict=True):
        assert mine >= direct


def test_the_rules_are_ordered(history: replay.History) -> None:
    rules = replay.peers(history.steps)
    for name in ("changed and direct dependents", "the same, but never through the toolchain"):
        for few, some, many in zip(
            rules["changed only"], rules[name], rules["changed and all dependents"], strict=True
        ):
            assert few <= some <= many


def test_a_module_says_something_else_when_its_kernel_changes(
    history: replay.History,
) -> None:
    step = next(
        each for each in replay.history(100).steps if each.commit.folders == ("kernel", "kernel-64k", "kernel-headers")
    )
    assert step.kinds["kernel"] is Kind.UPDATE
    assert {"iser", "xpmem", "mlnx-ofa_kernel"} <= step.spoken
    assert history


def test_the_graph_of_each_commit_is_that_of_its_facts() -> None:
    """What is skipped because nothing resolves otherwise would not have been another graph."""
    tree = replay.SyntheticTree()
    shapes = []
    for commit in replay.facts.commits()[46:50]:
        tree.apply(commit)
        graph = Graph.of(replay._package(tree, spec) for spec in tree.specs.values())
        shapes.append([[offers for _, offers in row] for row in (*graph.edges.build, *graph.edges.runtime)])
    assert all(one == two for one, two in pairwise(shapes))


def test_a_requirement_that_is_met_no_longer_is_seen() -> None:
    tree = replay.SyntheticTree()
    packages = {path: replay._package(tree, spec) for path, spec in tree.specs.items()}
    before = Graph.of(packages.values())
    spec = tree.specs["SPECS/llvm/llvm.spec"]
    tree.states[spec.path] = tree.states[spec.path].updated(1)
    packages[spec.path] = replay._package(tree, spec)  # clang asks for exactly the version that it had
    after = Graph.of(packages.values())
    asked = replay._asked(before)
    assert replay._resolves_otherwise(before, after, {"llvm"}, asked)
    for other in tree.followers(spec):
        packages[other.path] = replay._package(tree, other)
    together = Graph.of(packages.values())
    names = {"llvm", *(other.stem for other in tree.followers(spec))}
    assert not replay._resolves_otherwise(before, together, names, asked)
