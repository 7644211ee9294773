"""Values that know their lines: YAML and JSON of one content say the same, whatever it is."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from release.errors import Misconfigured
from release.marked import read_json, read_yaml

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
TEXT = """\
# a comment
name: x

items:
  - one: 1
    two: [a,
          b]
  -
    one: 2
last: |
  many
  lines
end: e
"""
LINES = {
    ("name",): 2,
    ("items",): 4,
    ("items", 0): 5,
    ("items", 0, "one"): 5,
    ("items", 0, "two"): 6,
    ("items", 0, "two", 1): 7,
    ("items", 1): 9,
    ("items", 1, "one"): 9,
    ("last",): 10,
    ("end",): 13,
}


@pytest.mark.parametrize(("path", "line"), LINES.items())
def test_knows_the_line_of_everything_in_yaml(path: tuple[str | int, ...], line: int) -> None:
    assert read_yaml(TEXT, "a").line(path) == line


def test_knows_the_nearest_line_of_what_is_not_there() -> None:
    read = read_yaml(TEXT, "a")
    assert read.line(("items", 0, "three")) == 5
    assert read.line(("items", 0, "two", 7)) == 6
    assert read.line(("nothing", "at", "all")) == 2  # where the document begins


def test_knows_the_line_of_everything_in_json() -> None:
    read = read_json('{\n "a": [\n  1,\n  {"b":\n   2}\n ],\n "c": "d\\ne"\n}', "a")
    paths: list[tuple[str | int, ...]] = [("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("c",)]
    assert [read.line(path) for path in paths] == [2, 3, 4, 4, 7]


@given(VALUES)
def test_json_comes_back_as_it_went_and_each_part_has_a_line_of_its_own(value: object) -> None:
    text = json.dumps(value, indent=0, ensure_ascii=False)
    read = read_json(text, "a")
    assert read.value == value
    lines = text.split("\n")  # splitlines() knows more line ends than JSON does

    def check(part: object, path: tuple[str | int, ...]) -> None:
        line = lines[read.line(path) - 1]
        if path and isinstance(path[-1], str):
            assert line.startswith(json.dumps(path[-1], ensure_ascii=False))
        elif not isinstance(part, dict | list):
            assert line.rstrip(",") == json.dumps(part, ensure_ascii=False)
        parts = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, each in parts:
            check(each, (*path, key))

    check(value, ())


PLAIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
WRITTEN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=4),
)


class _Plainly(yaml.SafeDumper):
    """PyYAML's own writer without aliases, which it uses for parts that are one object."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@given(WRITTEN, st.booleans())
def test_yaml_as_other_programs_write_it_comes_back(value: object, flow: bool) -> None:
    text = yaml.dump({"value": value}, Dumper=_Plainly, default_flow_style=flow)
    assert read_yaml(text, "a").value == {"value": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1 # comment", {"a": 1}),
        ("{a: 1, b: [x, 'y', \"z\"]}", {"a": 1, "b": ["x", "y", "z"]}),
        ("a: >\n  folded\n  text\n", {"a": "folded text\n"}),
        ("a:\n", {"a": None}),
        ("1: x\ntrue: y\n", {"1": "x", "true": "y"}),
        ("a: 12345678901234567890123", {"a": "12345678901234567890123"}),
        ("a: .5\nb: 5.\nc: -1e-3", {"a": 0.5, "b": 5.0, "c": -0.001}),
        ("a: 1.2.3\nb: -x\nc: 1-2", {"a": "1.2.3", "b": "-x", "c": "1-2"}),
    ],
)
def test_reads_yaml_of_every_style(text: str, value: object) -> None:
    assert read_yaml(text, "a").value == value


def test_refuses_a_duplicate_key_deep_inside() -> None:
    with pytest.raises(Misconfigured, match=r"a:3: duplicate key 'b'"):
        read_yaml("x:\n  - {b: 1,\n     b: 2}\n", "a")
    with pytest.raises(Misconfigured, match=r"a:3: duplicate key 'b'"):
        read_json('{"x": [\n {"b": 1,\n "b": 2}]}', "a")
