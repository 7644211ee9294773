"""What is written down comes back equal, and what a newer version wrote is not lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release import oci
from release.errors import Refused
from release.instants import Instant
from release.records import Descriptor, Digest, Recorded, from_bytes, to_bytes, to_json


class Colour(StrEnum):
    """A closed set."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Recorded):
    """Something inside."""

    count: int
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Recorded):
    """Something with everything."""

    name: str
    parts: tuple[Part, ...] = ()
    at: Instant | None = None
    digest: Digest | None = None
    layer: Descriptor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    """Something that keeps no unknown keys."""

    name: str


WHOLE = Whole(
    name="w",
    parts=(Part(count=1), Part(count=2, colour=Colour.BLUE)),
    at=datetime(2026, 1, 1, tzinfo=UTC),
    digest="sha256:" + "0" * 64,
    layer=oci.blob(b"x", "text/plain", title="x.txt"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


def test_comes_back_equal() -> None:
    assert from_bytes(Whole, to_bytes(WHOLE), what="a whole") == WHOLE


def test_leaves_out_what_is_not_there() -> None:
    assert to_json(Whole(name="w")) == {"name": "w", "parts": []}


def test_writes_plain_json_only() -> None:
    written = to_json(WHOLE)
    assert json.loads(json.dumps(written)) == written
    assert type(written["parts"][1]["colour"]) is str
    assert written["at"] == "2026-01-01T00:00:00Z"
    assert written["layer"]["mediaType"] == "text/plain"


@settings(deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=4), st.dictionaries(st.text(), json_values, max_size=4))
def test_unknown_keys_survive_at_every_depth(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    value = to_json(WHOLE)
    newer = {**outer, **value, "parts": [{**inner, **value["parts"][0]}]}
    read = from_bytes(Whole, json.dumps(newer).encode(), what="a whole")
    assert to_json(read) == newer
    assert read.name == "w"


def test_a_key_named_extra_is_a_key_like_any_other() -> None:
    read = from_bytes(Whole, b'{"name": "w", "extra": 1}', what="a whole")
    assert to_json(read) == {"name": "w", "parts": [], "extra": 1}


def test_equal_facts_are_equal_and_hashable() -> None:
    part = WHOLE.parts[1]
    assert {from_bytes(Part, to_bytes(part), what="a part"), part} == {part}


def test_the_rest_cannot_be_changed() -> None:
    read = from_bytes(Whole, b'{"name": "w", "newer": 1}', what="a whole")
    with pytest.raises(TypeError):
        read.extra["newer"] = 2  # type: ignore[index]  # that it is refused is the test


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"{}", "name"),
        (b'{"name": 3}', "name"),
        (b'{"name": "w", "parts": [{"count": "1"}]}', "parts.0.count"),
        (b'{"name": "w", "parts": [{"count": 1, "colour": "green"}]}', "parts.0.colour"),
        (b'{"name": "w", "parts": ["one"]}', "parts.0"),
        (b'{"name": "w", "digest": "sha256:abc"}', "digest"),
        (b'{"name": "w", "at": "today"}', "at"),
    ],
)
def test_refuses_wrong_data_and_says_where(raw: bytes, place: str) -> None:
    with pytest.raises(Refused, match="not a whole") as caught:
        from_bytes(Whole, raw, what="a whole")
    assert caught.value.where == place
    assert caught.value.expected


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b"null", b'{"name": "w"'])
def test_refuses_what_is_no_json_object(raw: bytes) -> None:
    with pytest.raises(Refused, match="not a whole"):
        from_bytes(Whole, raw, what="a whole")


def test_a_malformed_descriptor_is_refused() -> None:
    with pytest.raises(Refused):
        from_bytes(Whole, b'{"name": "w", "layer": {"digest": "sha256:x"}}', what="a whole")


def test_what_is_not_recorded_keeps_no_unknown_key() -> None:
    with pytest.raises(Refused):
        from_bytes(Strict, b'{"name": "w", "nmae": "x"}', what="strict")
