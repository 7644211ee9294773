"""How the specs of a tree are called, however many of them share a Name."""

from __future__ import annotations

import dataclasses

import pytest

from release.errors import Refused
from release.graph.identities import identified
from release.source.specs import Package
from tests.release.test_graph import package


def spec(name: str, path: str, evr: str = "1-1") -> Package:
    return dataclasses.replace(package(name), spec=path, folder=path.rpartition("/")[0], evr=evr)


def names(*packages: Package) -> dict[str, str]:
    """Identity -> path of the spec, in the order of the mapping."""
    found = identified(packages)
    assert all(identity == each.name for identity, each in found.items())
    return {identity: each.spec for identity, each in found.items()}


def test_a_spec_is_called_by_its_name_whatever_its_file_is_called() -> None:
    assert names(spec("b", "SPECS/x/y.spec"), spec("a", "SPECS/a/a.spec")) == {
        "a": "SPECS/a/a.spec", "b": "SPECS/x/y.spec",
    }  # fmt: skip


def test_specs_with_one_name_are_called_by_their_files() -> None:
    tree = [spec("go", "S/go/go.spec", "3-1"), spec("go", "S/go/go-1.spec"), spec("go", "S/go/go-2.spec", "2-1")]
    assert names(*tree) == {
        "go": "S/go/go.spec", "go-1": "S/go/go-1.spec", "go-2": "S/go/go-2.spec",
    }  # fmt: skip


def test_a_name_of_its_own_is_never_taken_by_a_file() -> None:
    assert names(spec("go", "S/go/go.spec"), spec("go", "S/go/go-2.spec", "2-1"), spec("go-2", "S/go-2/go-2.spec")) == {
        "S-go-go-2": "S/go/go-2.spec", "go": "S/go/go.spec", "go-2": "S/go-2/go-2.spec",
    }  # fmt: skip


def test_equal_file_names_are_told_apart_by_their_folders() -> None:
    one, two = spec("a", "SPECS/a/a.spec", "2-1"), spec("a", "SPECS-EXTENDED/a/a.spec")
    assert names(one, two) == names(two, one) == {"SPECS-EXTENDED-a-a": two.spec, "a": one.spec}


def test_refuses_two_specs_of_one_name_and_version() -> None:
    with pytest.raises(Refused) as caught:
        identified([spec("a", "SPECS/a/a.spec"), spec("b", "SPECS/b/b.spec"), spec("a", "SPECS/other/a.spec")])
    assert caught.value.message == "two specs make the source package a 1-1"
    assert (caught.value.where, caught.value.got) == ("SPECS/other/a.spec", "SPECS/a/a.spec makes it too")
