"""The build key changes with everything that can change an RPM, with nothing else, and can say why."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from release.digests import digest_of
from release.errors import Refused
from release.source.keys import Recipe, build_key, explain
from release.source.specs import Source
from tests.release.test_graph import package

A, B = digest_of(b"a"), digest_of(b"b")
SOURCE = Source(file="x.tar.gz", url="https://x.example/x.tar.gz", sha256="ab" * 32, local=False)
PACKAGE = dataclasses.replace(package("x"), sources=(SOURCE,))
ROOT = {"lib-devel": A, "base": B}


def recipe(**changed: Any) -> Recipe:
    given = {"package": PACKAGE, "macros": A, "toolchain": A, "arch": "x86_64", **changed}
    return Recipe.of(given.pop("package"), **given)


def key(root: dict[str, str] | None = None, evr: str = "1-1", **changed: Any) -> str:
    return build_key(recipe(**changed), ROOT if root is None else root, evr=evr)


def test_equal_inputs_make_an_equal_key() -> None:
    assert key() == key(root={"base": B, "lib-devel": A})


def test_every_macro_of_the_tree_counts_for_who_may_use_it_through_macros_that_nobody_read() -> None:
    assert len({key(), key(all_macros=A), key(all_macros=B)}) == 3
    assert explain(recipe(all_macros=A), recipe(all_macros=B)) == ("a macro that its spec uses changed",)


def test_does_not_look_at_what_the_content_covers_or_at_where_a_source_comes_from() -> None:
    moved = dataclasses.replace(SOURCE, url="https://mirror.example/x.tar.gz")
    local = Source(file="local.conf", url=None, sha256=None, local=True)
    for other in (
        dataclasses.replace(PACKAGE, sources=(moved, local)),
        dataclasses.replace(PACKAGE, summary="other", description="words", spec="SPECS-EXTENDED/x/x.spec"),
    ):
        assert key(package=other) == key()


@pytest.mark.parametrize(
    "changed",
    [
        {"package": dataclasses.replace(PACKAGE, content=B)},
        {"package": dataclasses.replace(PACKAGE, expanded=B)},
        {"package": dataclasses.replace(PACKAGE, spec="SPECS/x/y.spec")},
        {"package": dataclasses.replace(PACKAGE, sources=())},
        {"package": dataclasses.replace(PACKAGE, sources=(dataclasses.replace(SOURCE, sha256="cd" * 32),))},
        {"package": dataclasses.replace(PACKAGE, sources=(dataclasses.replace(SOURCE, file="y.tar.gz"),))},
        {"macros": B},
        {"toolchain": B},
        {"arch": "aarch64"},
        {"root": {"lib-devel": B, "base": B}},
        {"root": {"lib-devel": A}},
        {"root": {"lib-devel": A, "base": B, "new": A}},
        {"root": {"lib-devel": B, "base": A}},
        {"evr": "1-1^1"},
    ],
)
def test_every_part_changes_the_key(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


def test_refuses_what_is_no_digest() -> None:
    with pytest.raises(Refused, match="not a sha256 digest"):
        key(root={"lib-devel": ""})
    with pytest.raises(Refused, match="not a sha256 digest"):
        key(macros="v1")


def test_explains_nothing_where_nothing_differs() -> None:
    assert explain(recipe(), recipe()) == ()


def test_explains_each_difference_in_plain_words() -> None:
    other = dataclasses.replace(PACKAGE, content=B, sources=(dataclasses.replace(SOURCE, sha256="cd" * 32),))
    assert explain(recipe(), recipe(package=other, macros=B)) == (
        f"a macro that counts for every package changed: {A[:19]} -> {B[:19]}",
        "the source x.tar.gz changed: abababababab -> cdcdcdcdcdcd",
        "its spec or a file beside it changed",
    )


def test_tells_a_changed_macro_from_a_changed_spec() -> None:
    other = dataclasses.replace(PACKAGE, expanded=B)
    assert explain(recipe(), recipe(package=other)) == ("a macro that its spec uses changed",)
