"""The build graph: who needs whom, in which order, and what each impossible tree is told."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable

import pytest

from release.digests import digest_of
from release.errors import Refused
from release.graph.graph import Graph
from release.graph.providers import Providers
from release.source.specs import BinaryPackage, Package

REAL = Providers.resolve
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
        content=digest_of(f"tree-{name}".encode()),
        expanded=digest_of(f"text-{name}".encode()),
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


def test_an_unresolved_name_takes_no_part_in_the_order_and_the_check_guesses_the_right_one() -> None:
    made = graph(package("tool", "lib-devl", "zzz"), package("lib"))
    assert made.order() == (("lib", "tool"),)
    with pytest.raises(Refused) as caught:
        made.check()
    error = caught.value
    assert error.message == "2 BuildRequires cannot be satisfied"
    assert error.where == "SPECS/tool/tool.spec:10"
    assert (
        "SPECS/tool/tool.spec:10: tool: BuildRequires: lib-devl: nothing provides it; did you mean lib-devel?"
        in str(error)
    )
    assert "SPECS/tool/tool.spec:11: tool: BuildRequires: zzz: nothing provides it\n" in str(error)


def test_shows_at_most_twenty_unresolved_names() -> None:
    with pytest.raises(Refused, match="and 30 more"):
        graph(package("tool", *(f"nothing{n}" for n in range(50)))).check()


def test_what_only_the_package_itself_provides_makes_a_knot_of_one() -> None:
    made = graph(package("ghc", "ghc"), package("tool", "ghc"))
    assert made.unresolved == ()
    assert made.knots() == (("ghc",),)
    assert made.build_inputs("ghc") == {"ghc"}
    assert made.order() == (("ghc",), ("tool",))
    with pytest.raises(Refused, match="ghc needs ghc through ghc"):
        made.check()


def test_names_the_cycle_and_through_what_it_goes() -> None:
    made = graph(package("a", "b-devel"), package("b", "c"), package("c", "a"), package("x", "a"))
    assert made.cycles == (("a", "b", "c", "a"),)
    with pytest.raises(Refused) as caught:
        made.check()
    assert "a -> b -> c -> a" in str(caught.value)
    assert "a needs b through b-devel" in str(caught.value)
    assert caught.value.where == "SPECS/a/a.spec"


def test_a_knot_stands_in_the_levels_between_what_it_needs_and_who_needs_it() -> None:
    made = graph(
        package("x", "a"), package("a", "b", "base"), package("b", "c"), package("c", "a"), package("base"),
        package("solo"), package("y", "x", "solo"),
    )  # fmt: skip
    assert made.levels() == ((("base",), ("solo",)), (("a", "b", "c"),), (("x",),), (("y",),))
    assert made.order() == (("base", "solo"), ("a", "b", "c"), ("x",), ("y",))
    assert made.knots() == (("a", "b", "c"),)


def test_a_knot_may_close_although_the_toolchain_could_open_it() -> None:
    made = Graph.of([package("make", "gcc"), package("gcc", "make")], [*TOOLCHAIN, BinaryPackage(name="make", evr="4")])
    assert made.knots() == (("gcc", "make"),)


def test_finds_the_shortest_cycle_of_each_knot() -> None:
    knot = [package("a", "b"), package("b", "c", "a"), package("c", "a")]
    assert graph(*knot, package("p", "q"), package("q", "p")).cycles == (("a", "b", "a"), ("p", "q", "p"))


def test_finds_a_cycle_that_closes_through_run_time_requires() -> None:
    lib = package("lib", binaries=[binary("lib", requires=["tool"])])
    made = graph(package("tool", "lib"), lib)
    assert made.cycles == (("tool", "tool"),)
    assert made.knots() == (("tool",),)
    with pytest.raises(Refused, match="tool needs tool through lib -> tool"):
        made.check()


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


def test_orders_a_distribution() -> None:
    packages = synthetic(1540)
    made = Graph.of(packages, TOOLCHAIN)
    place = {name: n for n, level in enumerate(made.order()) for name in level}
    assert len(place) == 1540
    assert all(place[need] < place[name] for name in place for need in made.build_inputs(name))


def test_the_work_grows_with_the_size_of_the_tree_and_not_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in dependency texts that are resolved: each text once, however many packages have it."""
    counts = []
    for size in (200, 400, 800):
        calls: list[object] = []
        monkeypatch.setattr(
            Providers,
            "resolve",
            lambda self, wanted, calls=calls, **k: (calls.append(wanted), REAL(self, wanted, **k))[1],
        )
        Graph.of(synthetic(size), TOOLCHAIN).order()
        counts.append(len(calls))
    assert counts[1] < 2.2 * counts[0]
    assert counts[2] < 2.2 * counts[1]


def test_names_the_binary_packages_of_a_build_root_with_every_alternative() -> None:
    lib = package("lib", binaries=[binary("lib-devel", requires=["(base or other)", "bash"]), binary("lib-doc")])
    made = graph(package("tool", "lib-devel", "gcc"), lib, package("base"), package("other"), package("far"))
    assert made.build_root("tool") == {"lib-devel", "base", "other"}
    assert made.build_root("far") == frozenset()


def test_an_image_holds_what_its_list_requires_at_run_time() -> None:
    lib = package("lib", "generator", binaries=[binary("lib", requires=["data"]), binary("lib-devel")])
    made = graph(lib, package("generator"), package("data"), package("other"))
    assert made.image_packages(["lib", "bash", "nothing"]) == {"lib", "data"}
    assert made.makers(["lib", "data", "bash"]) == {"lib", "data"}


GENERATED = {
    "lib": [
        binary("lib", provides=["liblib.so.1()(64bit)"], requires=["libbase.so.2()(64bit)"]),
        BinaryPackage(name="lib-devel", evr="1-1", provides=("perl(Lib::A)",), files=("/usr/bin/lib-config",)),
        binary("lib-gone", provides=["gone"]),
    ],
    "base": [binary("base", provides=["libbase.so.2()(64bit)"])],
}


def test_what_rpmbuild_found_out_before_completes_what_specs_declare() -> None:
    tree = [
        package("tool", "perl(Lib::A)", "/usr/bin/lib-config"),
        package("lib"),
        package("base"),
        package("u", "gone"),
    ]
    assert [each.requirement for each in graph(*tree).unresolved] == ["perl(Lib::A)", "/usr/bin/lib-config", "gone"]
    made = Graph.of(tree, TOOLCHAIN, GENERATED)
    assert [each.requirement for each in made.unresolved] == ["gone"]
    assert made.build_root("tool") == {"lib-devel", "lib", "base"}
    assert made.image_packages(["lib"]) == {"lib", "base"}
    assert made.packages["lib"] is tree[1]


def test_what_was_generated_of_the_published_version_is_expected_of_the_next() -> None:
    old = [BinaryPackage(name="lib-devel", evr="0.9-1", provides=("lib(abi) = 0.9-1",), requires=("base = 0.9-1",))]
    tree = [package("tool", "lib(abi) = 1-1"), package("lib"), package("base")]
    made = Graph.of(tree, TOOLCHAIN, {"lib": old})
    assert made.unresolved == ()
    assert made.build_root("tool") == {"lib-devel", "lib", "base"}


def test_guesses_by_its_name_who_provides_what_nothing_declares() -> None:
    perl = package("perl-Try-Tiny")
    made = graph(package("tool", "perl(Try::Tiny) >= 0.1"), perl)
    (found,) = made.unresolved
    assert (found.requirement, found.guesses) == ("perl(Try::Tiny) >= 0.1", ("perl-Try-Tiny",))
    assert made.build_inputs("tool") == {"perl-Try-Tiny"}
    made.check()


def test_a_guess_gives_way_to_what_is_known() -> None:
    tree = [package("tool", "perl(Try::Tiny)"), package("perl-Try-Tiny"), package("bundle")]
    real = {"bundle": [binary("bundle", provides=["perl(Try::Tiny)"])]}
    assert Graph.of(tree, TOOLCHAIN, real).build_inputs("tool") == {"bundle"}
    made = Graph.of(tree, TOOLCHAIN, {"perl-Try-Tiny": [binary("perl-Try-Tiny")]})
    assert made.build_inputs("tool") == frozenset()
    assert [each.guesses for each in made.unresolved] == [()]


def test_nobody_is_guessed_to_need_itself() -> None:
    made = graph(package("perl-Foo", "perl(Foo)"))
    assert made.knots() == ()
    assert [each.guesses for each in made.unresolved] == [()]


def golang(version: str, spec: str) -> Package:
    made = package("golang", "golang", binaries=[BinaryPackage(name="golang", evr=version)])
    return dataclasses.replace(made, evr=version, spec=f"SPECS/golang/{spec}.spec", folder="SPECS/golang")


def test_of_two_packages_with_one_name_the_newest_that_fits_is_used_and_both_are_named() -> None:
    tree = [golang("1.26-1", "golang"), golang("1.25-1", "golang-1.25"), golang("1.9-1", "golang-1.9")]
    tree += [package("new", "golang >= 1.25"), package("old", "golang < 1.20"), package("any", "golang")]
    made = graph(*tree)
    assert set(made.packages) == {"any", "golang", "golang-1.25", "golang-1.9", "new", "old"}
    assert [made.build_inputs(each) for each in ("new", "old", "any")] == [{"golang"}, {"golang-1.9"}, {"golang"}]
    assert made.build_inputs("golang") == {"golang-1.25"}  # the newest besides itself
    assert [str(each) for each in made.findings] == [
        "the binary package golang is made by golang-1.25: golang-1.25-1 and by golang-1.9: golang-1.9-1 and by "
        "golang: golang-1.26-1: the newest that fits is used"
    ]


def test_names_the_file_that_two_packages_make() -> None:
    one, two = (
        package(name, binaries=[BinaryPackage(name=name, evr="1-1", files=("/usr/bin/same",))])
        for name in ("one", "two")
    )
    assert [str(each) for each in graph(one, two).findings] == [
        "the file /usr/bin/same is made by one: one-1-1 and by two: two-1-1: both cannot be installed"
    ]
    assert graph(one).findings == ()


def test_says_who_follows_by_which_way() -> None:
    lib = package("lib", "base-devel", binaries=[binary("lib-devel", requires=["data"]), binary("lib")])
    made = graph(package("base"), lib, package("data"), package("tool", "gcc", "lib-devel"), package("app", "tool"))
    found = made.followers(["data"])
    assert dict(found.distance) == {"tool": 1, "app": 2}
    assert [str(hop) for hop in found.path("app")] == [
        "tool needs data through lib-devel -> data", "app needs tool through tool",
    ]  # fmt: skip
    assert found.path("other") == ()
    assert set(made.followers(["data"], direct=True).hops) == {"tool"}
    assert dict(made.followers(["base", "tool"]).distance) == {"lib": 1, "app": 1}
