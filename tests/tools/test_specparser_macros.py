"""Specs of real trees: macros that require Lua modules, hold placeholders, or say the versions of other specs."""

from __future__ import annotations

import pytest

from tests.tools.spec_tree import SPEC, Tree, containers, image, place, root_tar, tree

__all__ = ["containers", "image", "place", "root_tar", "tree"]  # fixtures
pytestmark = pytest.mark.integration


async def test_macros_may_require_lua_modules_of_the_tree_by_the_last_part_of_their_name(tree: Tree) -> None:
    tree.write("SPECS/macros/words.lua", "local common = require 'own.common'\nreturn {word = common.word .. 'er'}\n")
    tree.write("SPECS/macros/common.lua", "return {word = 'sweet'}\n")
    tree.write("SPECS/macros/own", "%flavour() %{lua: local m = require 'own.srpm.words'; print(m.word)}\n")
    tree.macro_files, tree.lua_modules = ("SPECS/macros/own",), ("SPECS/macros/words.lua", "SPECS/macros/common.lua")
    path = tree.add("one", "Requires: %flavour")
    assert await tree.requires(path) == ("sweeter",)
    tree.write("SPECS/macros/common.lua", "return {word = 'sour'}\n")
    assert await tree.requires(path) == ("sourer",)


async def test_placeholders_are_the_version_of_the_spec_beside_the_macro_file(tree: Tree) -> None:
    tree.write(
        "SPECS/cmake/macros.cmake",
        "%cmake cmake of @@CMAKE_VERSION@@\n%cmake@@CMAKE_MAJOR_VERSION@@ %cmake\n%_other @@OTHER@@\n",
    )
    tree.macro_files = ("SPECS/cmake/macros.cmake",)
    tree.add("cmake")
    path = tree.add("one", "Requires: %{cmake1}\nProvides: plain-%{?cmake0:0}%{_other}")
    read = (await tree.package(path)).binaries[0]
    assert read.requires == ("1.3", "cmake", "of")
    assert "plain-0" in read.provides


async def test_a_spec_may_speak_of_the_versions_of_others(tree: Tree) -> None:
    tree.version_prefix = "own"
    driver = tree.add(
        "driver",
        "Requires: kernel-64k = %{own_kernel_64k_version}-%{own_kernel_64k_release}%{?dist}, x-%own_mid_version",
    )
    tree.add("mid", text=SPEC.format(name="mid", more="").replace("1.3", "%{own_kernel_64k_release}.7"))
    tree.add("kernel-64k", "Epoch: 2")
    read = await tree.package(driver)
    assert read.binaries[0].requires == ("kernel-64k = 2:1.3-2.sk1", "x-2.7")
    assert dict(read.macros) == {
        "own_kernel_64k_version": "2:1.3", "own_kernel_64k_release": "2", "own_mid_version": "2.7",
    }  # fmt: skip


async def test_a_new_version_is_read_by_the_specs_that_speak_of_it_and_no_other(tree: Tree) -> None:
    tree.version_prefix = "own"
    driver = tree.add("driver", "Requires: kernel = %{own_kernel_version}")
    other, kernel = tree.add("other"), tree.add("kernel")
    before = await tree.package(driver)
    assert (await tree.parse()).packages[driver] == before
    tree.place.asked.clear()
    tree.add("kernel", text=SPEC.format(name="kernel", more="").replace("1.3", "1.4"))
    after = await tree.package(driver)
    assert after.binaries[0].requires == ("kernel = 1.4",)
    assert after.content != before.content
    assert tree.place.asked == [kernel, driver]
    assert other not in tree.place.asked


async def test_specs_that_need_the_versions_of_each_other_are_refused_and_stop_nobody(tree: Tree) -> None:
    tree.version_prefix = "own"
    tree.add("one", "Requires: two = %{own_two_version}")
    tree.add("two", "Requires: one = %{own_one_version}")
    good = tree.add("good", "Requires: good = %{?own_good_version}%{!?own_good_version:none}")
    parsed = await tree.parse()
    assert set(parsed.packages) == {good}
    assert [each.message for each in parsed.failures] == ["specs that need the versions of each other"] * 2


async def test_a_spec_that_speaks_of_one_that_cannot_be_read_is_refused(tree: Tree) -> None:
    tree.version_prefix = "own"
    tree.add("driver", "Requires: kernel = %{own_kernel_version}")
    tree.add("kernel", "Lycense: MIT")
    driver, kernel = (await tree.parse()).failures
    assert (driver.where, driver.got) == ("SPECS/driver/driver.spec", "%{own_kernel_version}")
    assert driver.expected == "what SPECS/kernel/kernel.spec says"
    assert kernel.where == "SPECS/kernel/kernel.spec:7"


async def test_a_spec_for_another_architecture_is_marked(tree: Tree) -> None:
    only = tree.add("only", "ExclusiveArch: aarch64")
    never = tree.add("never", "ExcludeArch: x86_64")
    both = tree.add("both", "ExclusiveArch: x86_64 aarch64")
    parsed = await tree.parse()
    assert {path: package.elsewhere for path, package in parsed.packages.items()} == {
        only: True,
        never: True,
        both: False,
    }


async def test_the_expansion_changes_where_a_macro_reaches_and_nowhere_else(tree: Tree) -> None:
    tree.write("macros", "%flavour sour\n%unused 1\n")
    tree.macro_files = ("macros",)
    with_it, without = tree.add("one", "Requires: %{flavour}"), tree.add("two")
    before = await tree.parse()
    tree.write("macros", "%flavour sweet\n%unused 1\n")
    after = await tree.parse()
    tree.write("macros", "%flavour sweet\n%unused 2\n")
    last = await tree.parse()
    assert before.packages[with_it].expanded != after.packages[with_it].expanded
    assert before.packages[without].expanded == after.packages[without].expanded
    assert after.packages == last.packages
    assert before.common_macros == after.common_macros == last.common_macros


async def test_the_expansion_does_not_depend_on_where_it_was_read(tree: Tree) -> None:
    tree.macro_files = ("macros",)
    tree.write("macros", "%here %{_sourcedir}\n")
    path = tree.add("one", "Provides: at(%{here}), cpus(%{_smp_mflags})")
    first = await tree.package(path)
    assert "at(/tree/SPECS/one)" in first.binaries[0].provides
    tree.macros["other"] = "1"
    assert (await tree.package(path)).expanded == first.expanded


COMMON = "%__spec_install_post %{own_deep}\n%own_deep %{own_deeper}\n%own_deeper 1\n%optflags -O2\n%own_free 1\n"


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("own_free 1", "own_free 2", False),
        ("own_deeper 1", "own_deeper 2", True),
        ("-O2", "-O3", True),
        ("%own_free 1", "%_own_free 1", True),
        ("%own_free 1", "%bugurl https://one.example", True),
        ("%own_free 1", "%_build_id_links none", True),
    ],
)
async def test_macros_that_rpm_itself_may_use_count_for_every_package(
    tree: Tree, old: str, new: str, counts: bool
) -> None:
    tree.macro_files = ("macros",)
    tree.add("one")
    tree.write("macros", COMMON)
    before = (await tree.parse()).common_macros
    assert old in COMMON
    tree.write("macros", COMMON.replace(old, new))
    assert ((await tree.parse()).common_macros != before) is counts
