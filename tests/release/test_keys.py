"""The build key changes with everything that can change an RPM, with nothing else, and can say why."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from release.digests import digest_of
from release.errors import Refused
from release.product.builds import Build, Rpm
from release.source.keys import KeyInputs, build_key, explain, interface_digest, key_inputs
from release.source.specs import Source
from tests.release.test_graph import package

A, B = digest_of(b"a"), digest_of(b"b")
SOURCE = Source(file="x.tar.gz", url="https://x.example/x.tar.gz", sha256="ab" * 32, local=False)
PACKAGE = dataclasses.replace(package("x"), sources=(SOURCE,))
ARGUMENTS: dict[str, Any] = {
    "package": PACKAGE, "macros_digest": A, "toolchain_digest": A, "arch": "x86_64", "inputs": {"lib": A, "base": B},
}  # fmt: skip


def key(**changed: Any) -> str:
    return build_key(**{**ARGUMENTS, **changed})


def test_equal_inputs_make_an_equal_key() -> None:
    assert key() == key(inputs={"base": B, "lib": A})


def test_does_not_look_at_what_the_tree_id_covers_or_at_where_a_source_comes_from() -> None:
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
        {"package": dataclasses.replace(PACKAGE, content="other")},
        {"package": dataclasses.replace(PACKAGE, spec="SPECS/x/y.spec")},
        {"package": dataclasses.replace(PACKAGE, sources=())},
        {"package": dataclasses.replace(PACKAGE, sources=(dataclasses.replace(SOURCE, sha256="cd" * 32),))},
        {"package": dataclasses.replace(PACKAGE, sources=(dataclasses.replace(SOURCE, file="y.tar.gz"),))},
        {"macros_digest": B},
        {"toolchain_digest": B},
        {"arch": "aarch64"},
        {"inputs": {"lib": B, "base": B}},
        {"inputs": {"lib": A}},
        {"inputs": {"lib": A, "base": B, "new": A}},
        {"inputs": {"lib": B, "base": A}},
    ],
)
def test_every_part_changes_the_key(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


def test_refuses_what_is_no_digest() -> None:
    with pytest.raises(Refused, match="not a sha256 digest"):
        key(inputs={"lib": ""})
    with pytest.raises(Refused, match="not a sha256 digest"):
        key(macros_digest="v1")


def test_inputs_survive_the_round_trip_through_json() -> None:
    made = key_inputs(**ARGUMENTS)
    read = KeyInputs.from_json(json.loads(json.dumps(made.to_json())))
    assert read == made
    assert read.digest == key()


@pytest.mark.parametrize("broken", [{}, {"inputs": []}, {"macros": "x"}, {"sources": None}])
def test_refuses_recorded_inputs_of_another_shape(broken: dict[str, Any]) -> None:
    value = {**key_inputs(**ARGUMENTS).to_json(), **broken} if broken else {}
    with pytest.raises(Refused):
        KeyInputs.from_json(value)


def test_explains_nothing_where_nothing_differs() -> None:
    assert explain(key_inputs(**ARGUMENTS), key_inputs(**ARGUMENTS)) == ()


def test_explains_each_difference_in_plain_words() -> None:
    other = dataclasses.replace(PACKAGE, content="f" * 40, sources=(dataclasses.replace(SOURCE, sha256="cd" * 32),))
    changed = {**ARGUMENTS, "package": other, "macros_digest": B, "inputs": {"lib": B, "new": A}}
    assert explain(key_inputs(**ARGUMENTS), key_inputs(**changed)) == (
        "the spec folder changed: tree-x -> ffffffffffff",
        f"the macro set changed: {A[:19]} -> {B[:19]}",
        "the source x.tar.gz changed: abababababab -> cdcdcdcdcdcd",
        f"the interface of base is gone: {B[:19]}",
        f"the interface of lib changed: {A[:19]} -> {B[:19]}",
        f"the interface of new is new: {A[:19]}",
    )


def rpm(file: str, header: str) -> Rpm:
    return Rpm(file=file, digest=digest_of(file.encode()), size=1, header_digest=header)


def build(*rpms: Rpm) -> Build:
    return Build(package="x", evr="1-1", arch="x86_64", key=A, rpms=rpms)


def test_the_interface_is_the_headers_of_the_binary_rpms() -> None:
    one, two, source = rpm("x.rpm", "11"), rpm("x-devel.rpm", "22"), rpm("x.src.rpm", "33")
    digest = interface_digest(build(one, two, source))
    assert interface_digest(build(two, one)) == digest
    assert interface_digest(build(one, rpm("x-devel.rpm", "23"))) != digest
    assert interface_digest(build(one)) != digest
    signed_again = dataclasses.replace(one, digest=digest_of(b"another signature"), size=2)
    assert interface_digest(build(signed_again, two)) == digest
