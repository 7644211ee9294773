"""A published build stands if and only if a build now would observe what that one did."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.digests import digest_of
from release.errors import Refused
from release.source.certificates import (
    Certificate,
    Certificates,
    Comparison,
    Outcome,
    compare,
    next_evr,
    outcome,
    parse_certificates,
)
from tests.release.test_keys import PACKAGE, A, B, recipe

BUILD, OTHER = digest_of(b"build"), digest_of(b"another build")
TABLE = {"lib-devel": A, "lib": A, "tool": A}
CERTIFICATE = Certificate(
    outcome=Outcome.BUILT, evr="1-2.t1", build=BUILD, recipe=recipe(), consumed=("lib", "lib-devel"), unseen=("tool",)
)


def compared(certificate: Certificate | None = CERTIFICATE, **root: str | None) -> Comparison:
    """Against a root that is the recorded one but for `root` (None takes a package out)."""
    now = {name: digest for name, digest in {**TABLE, **root}.items() if digest is not None}
    return compare(certificate, TABLE, recipe=recipe(), root=now)


def test_nothing_changed_means_that_what_is_published_stands() -> None:
    assert not compared()


def test_a_change_of_what_it_consumed_means_a_build_and_says_of_what() -> None:
    found = compared(**{"lib-devel": B})
    assert found.reasons == ("its build observes a change of lib-devel",)
    assert found.via == ("lib-devel",)


def test_a_change_of_what_was_never_in_its_build_root_means_nothing() -> None:
    assert not compared(tool=B)


def test_a_package_that_may_come_in_or_is_gone_means_a_build() -> None:
    assert compared(**{"new-devel": A}).reasons == ("its build may now see new-devel",)
    assert compared(**{"lib-devel": None}).reasons == ("its build sees no longer lib-devel",)
    assert compared(tool=None), "what was not seen may have been an alternative: the choice is another one now"


def test_a_package_that_was_not_there_and_may_be_chosen_now_means_a_build() -> None:
    now = {**TABLE, "tool": B}
    found = compare(CERTIFICATE, TABLE, recipe=recipe(), root=now, choices={"tool", "lib", "stranger"})
    assert found.reasons == ("its build may now see tool",) and found.via == ("tool",)


def test_a_changed_recipe_means_a_build() -> None:
    other = recipe(package=dataclasses.replace(PACKAGE, content=B))
    found = compare(CERTIFICATE, TABLE, recipe=other, root=TABLE)
    assert found.reasons == ("its spec or a file beside it changed",)


def test_unknown_never_passes() -> None:
    assert compared(None)
    assert compare(CERTIFICATE, {}, recipe=recipe(), root=TABLE), "the table does not know what it consumed"


@given(st.dictionaries(st.sampled_from(["lib", "lib-devel", "tool", "new"]), st.sampled_from([A, B])))
def test_stands_exactly_when_the_names_and_the_consumed_digests_are_the_same(root: dict[str, str]) -> None:
    stands = root.keys() == TABLE.keys() and all(root[name] == TABLE[name] for name in CERTIFICATE.consumed)
    assert bool(compare(CERTIFICATE, TABLE, recipe=recipe(), root=root)) is not stands


# --- the number at the end of the release


@pytest.mark.parametrize(
    ("published", "spec", "why", "evr"),
    [
        ("1-2.t1", "1-2.t1", ("x",), "1-2.t1^1"),
        ("1-2.t1^9", "1-2.t1", ("x",), "1-2.t1^10"),
        ("1-2.t1^3", "1-2.t1", (), "1-2.t1^3"),
        ("1-2.t1^3", "1-3.t1", ("x",), "1-3.t1"),
        ("1-2.t1^3", "2-1.t1", ("x",), "2-1.t1"),
        ("1:1-2.t1", "1-2.t1", ("x",), "1-2.t1"),
    ],
)
def test_counts_the_builds_of_an_evr_that_no_person_raised(
    published: str, spec: str, why: tuple[str, ...], evr: str
) -> None:
    certificate = dataclasses.replace(CERTIFICATE, evr=published)
    assert next_evr(spec, certificate, Comparison(reasons=why)) == evr


def test_a_first_build_has_no_number() -> None:
    assert next_evr("1-1", None, Comparison(reasons=("new",))) == "1-1"


# --- what became of it


@pytest.mark.parametrize(
    ("why", "build", "touched", "expected"),
    [
        ((), BUILD, False, Outcome.UNCHANGED),
        ((), BUILD, True, Outcome.SKIPPED),
        (("x",), BUILD, True, Outcome.KEPT),
        (("x",), OTHER, False, Outcome.BUILT),
    ],
)
def test_the_outcome_follows_from_what_was_compared_and_not_from_who_built_it(
    why: tuple[str, ...], build: str, touched: bool, expected: Outcome
) -> None:
    assert outcome(CERTIFICATE, Comparison(reasons=why), build=build, touched=touched) is expected


def test_what_is_new_is_built() -> None:
    assert outcome(None, Comparison(reasons=("new",)), build=BUILD, touched=False) is Outcome.BUILT


# --- the record


def test_survives_the_round_trip_with_what_a_later_version_added() -> None:
    made = Certificates(packages={"x": CERTIFICATE}, interfaces=TABLE)
    read = parse_certificates(made.to_bytes())
    assert read == made and read.to_bytes() == made.to_bytes()
    later = made.to_bytes().replace(b'"packages"', b'"later":1,"packages"')
    assert b'"later":1' in parse_certificates(later).to_bytes()


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"packages":{"x":{}}}', b'{"interfaces":{"a":"no digest"}}'])
def test_refuses_what_are_no_certificates(broken: bytes) -> None:
    with pytest.raises(Refused, match="not the certificates"):
        parse_certificates(broken)


def test_those_of_the_first_version_count_as_none() -> None:
    old: Any = parse_certificates(b'{"zlib":{"key":"sha256:00","reason":"first release"}}')
    assert not old.packages and not old.interfaces
