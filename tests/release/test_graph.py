"""The build graph: who needs whom, in which order, and what each impossible tree is told."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

import pytest

from release.errors import Refused
from release.source.graph import Graph
from release.source.specs import BinaryPackage, Package

TOOLCHAIN = (
    BinaryPackage(name="gcc", evr="12-1", provides=("gcc = 12-1", "c-compiler")),
    BinaryPackage(name="bash", evr="5-1", provides=("bash = 5-1",), files=("/bin/sh", "/usr/bin/bash")),
)


def binary(name: str, *, provides: Iterable[str] = (), requires: Iterable[str] = (), evr: str = "1-1") -> BinaryPackage:
    return BinaryPackage(name=name, evr=evr, provides=tuple(provides), requires=tuple(requires))


def package(name: str, *build_requires: str, binaries: Iterable[BinaryPackage] | None = None) -> Package:
    made = (binary(name), binary(f"{name}-devel", requires=[f"{name} = 1-1"])) if binaries is None else tuple(binaries)
    return Package(
        name=name,
        evr="1-1",
        spec=f"SPECS/{name}/{name}.spec",
        folder=f"SPECS/{name}",
        tree_id=f"tree-{name}",
        sources=(),
        patches=(),
        build_requires=build_requires,
        binaries=made,
        summary="",
        description="",
        license="",
        url="",
        epoch=0,
        lines={text: 10 + n for n, text in enumerate(build_requires)},
    )


def graph(*packages: Package) -> Graph:
    return Graph.of(packages, TOOLCHAIN)


def inputs(name: str, *packages: Package) -> set[str]:
    return set(graph(*packages).build_inputs(name))


def test_orders_a_chain_by_levels() -> None:
    made = graph(
        package("tool", "lib-devel", "gcc"), package("lib", "base-devel"), package("base", "gcc"), package("x")
    )
    assert made.order() == (("base", "x"), ("lib",), ("tool",))


def test_inputs_are_build_requires_and_what_they_require_at_run_time() -> None:
    lib = package("lib", "base-devel", binaries=[binary("lib-devel", requires=["base-devel"])])
    assert inputs("tool", package("tool", "lib-devel"), lib, package("base"), package("other")) == {"lib", "base"}


def test_what_a_dependency_needed_only_to_be_built_is_no_input() -> None:
    assert inputs("tool", package("tool", "lib-devel"), package("lib", "generator"), package("generator")) == {"lib"}


def test_requires_that_nothing_declares_are_left_to_rpmbuild() -> None:
    lib = package("lib", binaries=[binary("lib-devel", requires=["libfoo.so.1()(64bit)", "base"])])
    assert inputs("tool", package("tool", "lib-devel"), lib, package("base")) == {"lib", "base"}


def test_the_tree_comes_before_the_toolchain() -> None:
    assert inputs("tool", package("tool", "gcc")) == set()
    assert inputs("tool", package("tool", "gcc"), package("gcc")) == {"gcc"}


def test_the_toolchain_serves_where_the_version_of_the_tree_does_not() -> None:
    assert inputs("tool", package("tool", "gcc >= 12"), package("gcc")) == set()
    assert inputs("tool", package("tool", "gcc < 12"), package("gcc")) == {"gcc"}


def test_a_package_takes_from_the_toolchain_what_only_itself_would_make() -> None:
    made = graph(package("gcc", "gcc"), package("tool", "gcc"))
    assert made.build_inputs("gcc") == frozenset()
    assert made.order() == (("gcc",), ("tool",))


def test_what_the_toolchain_requires_stays_in_the_toolchain() -> None:
    compiler = BinaryPackage(name="cc", evr="1-1", requires=("lib",))
    made = Graph.of([package("tool", "cc"), package("lib")], [compiler])
    assert made.build_inputs("tool") == frozenset()


def test_all_providers_in_the_tree_count() -> None:
    one = package("one", binaries=[binary("one", provides=["mta = 1"])])
    two = package("two", binaries=[binary("two", provides=["mta = 2"])])
    assert inputs("tool", package("tool", "mta"), one, two) == {"one", "two"}
    assert inputs("tool", package("tool", "mta >= 2"), one, two) == {"two"}


def test_finds_file_paths_and_wrapped_names() -> None:
    lib = package(
        "lib", binaries=[BinaryPackage(name="lib", evr="1-1", provides=("pkgconfig(lib) = 3",), files=("/usr/bin/l",))]
    )
    assert inputs("tool", package("tool", "/usr/bin/l", "/bin/sh"), lib) == {"lib"}
    assert inputs("tool", package("tool", "pkgconfig(lib) >= 2"), lib) == {"lib"}


A, B, C = package("a"), package("b"), package("c")


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("(a and b)", {"a", "b"}),
        ("(a and gcc)", {"a"}),
        ("(a or b)", {"a", "b"}),
        ("(a or nothing)", {"a"}),
        ("(nothing or gcc)", set()),
        ("(a if b)", {"a"}),
        ("(a if nothing)", set()),
        ("(nothing if b)", set()),
        ("(a if b else c)", {"a", "c"}),
        ("(a if nothing else c)", {"c"}),
        ("(a if gcc)", {"a"}),
        ("(a unless nothing)", {"a"}),
        ("(a >= 1 with a < 2)", {"a"}),
        ("(a without b)", {"a"}),
        ("((a or b) and (c if gcc))", {"a", "b", "c"}),
    ],
)
def test_resolves_rich_dependencies(requirement: str, expected: set[str]) -> None:
    made = graph(package("tool", requirement), A, B, C)
    assert made.unresolved == ()
    assert set(made.build_inputs("tool")) == expected


@pytest.mark.parametrize(
    "requirement",
    ["(a and nothing)", "(nothing or no)", "(a >= 2 with a < 3)", "(a without a)", "(nothing if b else no)", "a > 1-1"],
)
def test_names_what_cannot_be_resolved(requirement: str) -> None:
    made = graph(package("tool", "a", requirement), A, B)
    (found,) = made.unresolved
    assert (found.package, found.requirement, found.where) == ("tool", requirement, "SPECS/tool/tool.spec:11")


def test_refuses_to_order_with_unresolved_names_and_guesses_the_right_one() -> None:
    with pytest.raises(Refused) as caught:
        graph(package("tool", "lib-devl", "zzz"), package("lib")).order()
    error = caught.value
    assert error.message == "2 BuildRequires cannot be satisfied"
    assert error.where == "SPECS/tool/tool.spec:10"
    assert (
        "SPECS/tool/tool.spec:10: tool: BuildRequires: lib-devl: nothing provides it; did you mean lib-devel?"
        in str(error)
    )
    assert "SPECS/tool/tool.spec:11: tool: BuildRequires: zzz: nothing provides it\n" in str(error)


def test_says_when_only_the_package_itself_would_satisfy_it() -> None:
    with pytest.raises(Refused, match="BuildRequires: ghc: only the package itself provides it"):
        graph(package("ghc", "ghc")).order()


def test_shows_at_most_twenty_unresolved_names() -> None:
    with pytest.raises(Refused, match="and 30 more"):
        graph(package("tool", *(f"nothing{n}" for n in range(50)))).order()


def test_names_the_cycle_and_through_what_it_goes() -> None:
    made = graph(package("a", "b-devel"), package("b", "c"), package("c", "a"), package("x", "a"))
    assert made.cycles == (("a", "b", "c", "a"),)
    with pytest.raises(Refused) as caught:
        made.order()
    assert "a -> b -> c -> a" in str(caught.value)
    assert "a needs b through b-devel" in str(caught.value)
    assert caught.value.where == "SPECS/a/a.spec"


def test_finds_the_shortest_cycle_of_each_knot() -> None:
    knot = [package("a", "b"), package("b", "c", "a"), package("c", "a")]
    assert graph(*knot, package("p", "q"), package("q", "p")).cycles == (("a", "b", "a"), ("p", "q", "p"))


def test_finds_a_cycle_that_closes_through_run_time_requires() -> None:
    lib = package("lib", binaries=[binary("lib", requires=["tool"])])
    made = graph(package("tool", "lib"), lib)
    assert made.cycles == (("tool", "tool"),)
    with pytest.raises(Refused, match="tool needs tool through lib -> tool"):
        made.order()


def test_run_time_requires_may_go_in_circles() -> None:
    one = package("one", binaries=[binary("one", requires=["two"])])
    two = package("two", binaries=[binary("two", requires=["one"])])
    made = graph(package("tool", "one"), one, two)
    assert made.build_inputs("tool") == {"one", "two"}
    assert made.order() == (("one", "two"), ("tool",))


def test_tells_dependents_apart_from_all_that_follow() -> None:
    made = graph(package("base"), package("lib", "base"), package("tool", "lib"), package("other"))
    assert made.dependents("base") == {"lib"}
    assert made.dependents("base", transitive=True) == {"lib", "tool"}
    assert made.dependents("tool") == frozenset()


def test_says_through_what_a_package_is_needed() -> None:
    lib = package("lib", binaries=[binary("lib-devel", requires=["base-devel >= 1"])])
    made = graph(package("tool", "gcc", "lib-devel >= 1"), lib, package("base"))
    assert made.through("tool", "lib") == "lib-devel >= 1"
    assert made.through("tool", "base") == "lib-devel >= 1 -> base-devel >= 1"
    assert made.through("base", "tool") is None


def test_refuses_two_specs_of_one_name() -> None:
    import dataclasses

    other = dataclasses.replace(A, spec="SPECS/other/a.spec")
    with pytest.raises(Refused, match="two specs make the source package a"):
        graph(A, other)


def test_an_empty_tree_has_an_empty_order() -> None:
    assert graph().order() == ()


def synthetic(size: int) -> list[Package]:
    """A tree of the shape of a real distribution: three binaries a spec, half a dozen BuildRequires, deep levels."""
    choice = random.Random(20)
    names = [f"package{n}" for n in range(size)]
    made = []
    for number, name in enumerate(names):
        earlier = names[max(0, number - 400) : number]
        needs = [f"{each}-devel" for each in choice.sample(earlier, min(6, len(earlier)))]
        devel_needs = [f"{name} = 1-1", *(f"{each}-libs" for each in choice.sample(earlier, min(2, len(earlier))))]
        provides = [f"{name}(x86-64) = 1-1", f"pkgconfig({name}) = 1"]
        made.append(
            package(
                name,
                "gcc",
                *needs,
                binaries=[
                    binary(name, provides=provides, requires=["/bin/sh"]),
                    binary(f"{name}-libs"),
                    binary(f"{name}-devel", requires=devel_needs),
                ],
            )
        )
    return made


def test_orders_a_distribution_in_well_under_a_second() -> None:
    packages = synthetic(1540)
    began = time.process_time()
    made = Graph.of(packages, TOOLCHAIN)
    levels = made.order()
    seconds = time.process_time() - began
    place = {name: n for n, level in enumerate(levels) for name in level}
    assert len(place) == 1540
    assert all(place[need] < place[name] for name in place for need in made.build_inputs(name))
    assert seconds < 1.0
