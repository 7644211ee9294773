"""Files that people write: what is read, and what each mistake in them says."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel

from release.documents import close_match, load_json, load_yaml
from release.errors import Misconfigured


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    size: int
    colour: Colour = Colour.RED


class Outer(BaseModel):
    title: str
    parts: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    best: Inner | None = None
    loud: bool = False
    renamed: int = Field(default=0, alias="RenamedKey")


class Recorded(BaseModel):
    model_config = ConfigDict(extra="allow")
    serial: int


class Anything(RootModel[Any]):
    """Any value at all, to see what the readers read."""


def refused(text: str, model: type[BaseModel] = Outer, *, as_json: bool = False) -> Misconfigured:
    load = load_json if as_json else load_yaml
    with pytest.raises(Misconfigured) as caught:
        load(text, model, where="a.yaml")
    return caught.value


def test_reads_every_kind_of_value() -> None:
    text = (
        "title: x\nparts: [{size: 3, colour: blue}]\nby_name:\n  a: {size: -1}\nbest: null\nloud: true\nRenamedKey: 4\n"
    )
    read = load_yaml(text, Outer, where="a.yaml")
    assert read.parts == (Inner(size=3, colour=Colour.BLUE),)
    assert (read.title, read.by_name["a"].size, read.best, read.loud, read.renamed) == ("x", -1, None, True, 4)


def test_reads_the_same_from_json() -> None:
    text = '{"title": "x", "parts": [{"size": 3, "colour": "blue"}], "loud": true}'
    assert load_json(text, Outer, where="a.json") == load_yaml(text, Outer, where="a.yaml")


@pytest.mark.parametrize("word", ["no", "on", "yes", "2026-01-02", "1:30", "0x1f", "1_000", "7e", '"3"', "'true'"])
def test_leaves_words_that_yaml_1_1_would_change_as_text(word: str) -> None:
    read = load_yaml(f"title: {word}", Outer, where="a.yaml")
    assert read.title == word.strip("\"'")


@pytest.mark.parametrize(("word", "value"), [("7", 7), ("-7", -7), ("1.5", 1.5), ("~", None), ("1e3", 1000.0)])
def test_reads_core_schema_scalars(word: str, value: object) -> None:
    assert load_yaml(f"- {word}", Anything, where="a.yaml").root == [value]


def test_names_the_line_of_an_unknown_key_and_the_likely_one() -> None:
    error = refused("title: x\nparts:\n  - size: 1\n  - size: 2\n    color: red\n")
    assert error.where == "a.yaml:5"
    assert error.message == "unknown key 'parts[1].color'"
    assert error.expected == "one of: colour, size"
    assert error.hint == "did you mean 'colour'?"


def test_names_the_supported_keys_inside_a_mapping_and_an_optional() -> None:
    assert refused("title: x\nby_name:\n  a:\n    size: 1\n    sice: 1\n").expected == "one of: colour, size"
    assert refused("title: x\nbest:\n  size: 1\n  sice: 1\n").hint == "did you mean 'size'?"


def test_suggests_nothing_for_a_key_that_resembles_none() -> None:
    error = refused("title: x\nzzzzzz: 1\n")
    assert error.hint is None
    assert error.expected == "one of: RenamedKey, best, by_name, loud, parts, title"


def test_finds_lines_in_json_too() -> None:
    error = refused('{"title": "a\\"{b",\n "parts": [\n  {"size": 1},\n  {"sise": 1}\n ]}', as_json=True)
    assert "a.yaml:4: missing key 'parts[1].size'" in str(error)
    assert "a.yaml:4: unknown key 'parts[1].sise'" in str(error)


def test_shows_got_and_expected_of_a_wrong_type() -> None:
    error = refused("title: x\nparts:\n  - size: big\n")
    assert (error.where, error.got, error.expected) == ("a.yaml:3", '"big"', "a valid integer")
    assert error.message == "wrong value of 'parts[0].size'"


def test_takes_no_number_for_text_and_says_to_quote_it() -> None:
    error = refused("title: 3.0\n")
    assert (error.got, error.expected, error.hint) == ("3.0", "a valid string", "write it in quotes")


def test_takes_no_text_for_a_number_or_a_boolean() -> None:
    assert refused("title: x\nparts: [{size: '3'}]").got == '"3"'
    assert refused("title: x\nloud: yes").expected == "a valid boolean"


def test_lists_the_members_of_a_closed_set() -> None:
    assert refused("title: x\nbest: {size: 1, colour: green}").expected == "'red' or 'blue'"


def test_points_a_missing_key_at_the_mapping_that_lacks_it() -> None:
    error = refused("title: x\nbest:\n  colour: red\n")
    assert (error.where, error.message) == ("a.yaml:2", "missing key 'best.size'")


def test_lists_all_problems_of_a_file_at_once() -> None:
    error = refused("titel: x\nparts:\n  - size: a\n  - size: b\n")
    assert error.message == "4 problems"
    assert [f"a.yaml:{line}:" in str(error) for line in (1, 3, 4)] == [True, True, True]


def test_does_not_call_a_list_too_short_for_its_wrong_items() -> None:
    class Listed(BaseModel):
        names: tuple[int, ...] = Field(min_length=1)

    assert refused("names: [a]", Listed).message == "wrong value of 'names[0]'"
    assert refused("names: []", Listed).message == "wrong value of 'names'"


@pytest.mark.parametrize("as_json", [False, True])
def test_refuses_a_duplicate_key_and_names_both_lines(as_json: bool) -> None:
    error = refused('{"title": "x",\n "best": {"size": 1,\n "size": 2}}', as_json=as_json)
    assert (error.where, error.message, error.got) == ("a.yaml:3", "duplicate key 'size'", "first given at line 2")


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("title: &a x\n", "the anchor &a"),
        ("title: *a\n", "the alias *a"),
        ("title: !!python/object/apply:os.system [true]\n", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("title: !include x\n", "the tag !include"),
        ("title: x\n---\ntitle: y\n", "a second document"),
    ],
)
def test_refuses_yaml_that_does_more_than_hold_values(text: str, got: str) -> None:
    error = refused(text)
    assert error.got == got
    assert error.where in ("a.yaml:1", "a.yaml:2")


def test_refuses_a_bomb_of_aliases_at_once() -> None:
    text = "a: &a [x]\n" + "".join(f"{n}: &{n} [*a, *a, *a, *a]\n" for n in "bcdefghijklmnop")
    began = time.monotonic()
    assert refused(text).got == "the anchor &a"
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("depth", [70, 20_000])
def test_refuses_deep_nesting(depth: int, as_json: bool) -> None:
    if as_json and depth < 1000:
        assert load_json("[" * depth + "]" * depth, Anything, where="a.json").root
    else:
        assert refused("[" * depth + "]" * depth, Anything, as_json=as_json).message == "nested too deeply"


def test_allows_sixty_four_levels_and_no_more() -> None:
    assert load_yaml("[" * 65 + "]" * 65, Anything, where="a.yaml").root
    assert refused("[" * 66 + "]" * 66, Anything).where == "a.yaml:1"


def test_shows_only_the_beginning_of_a_long_value() -> None:
    assert refused(f"title: x\nloud: {'y' * 100}\n").got == f'"{"y" * 59}...'
    assert refused(f"title: x\nloud: {'y' * 58}\n").got == f'"{"y" * 58}"'


@pytest.mark.parametrize("load", [load_json, load_yaml])
def test_refuses_a_file_above_the_size_limit(load: Any) -> None:
    with pytest.raises(Misconfigured, match="too large"):
        load('"' + "x" * 100 + '"', Anything, where="a", limit=50)
    assert load('"' + "x" * 48 + '"', Anything, where="a", limit=50).root == "x" * 48


@pytest.mark.parametrize(
    ("text", "line"), [("title: x\n  bad: [\n", 2), ("title: 'x\n", 2), ("a: b\nc: \0", 2), ("\ttitle: x", 1)]
)
def test_says_where_yaml_is_broken(text: str, line: int) -> None:
    error = refused(text)
    assert (error.message, error.where) == ("not YAML", f"a.yaml:{line}")


@pytest.mark.parametrize(
    ("text", "where"),
    [('{"title":\n x}', "a.yaml:2"), ("", "a.yaml:1"), ('{"a": NaN}', "a.yaml"), ("9" * 5000, "a.yaml")],
)
def test_says_where_json_is_broken(text: str, where: str) -> None:
    error = refused(text, Anything, as_json=True)
    assert (error.message, error.where) == ("not JSON", where)


def test_refuses_an_empty_file_and_one_that_holds_no_mapping() -> None:
    assert refused("# nothing\n").message == "the file is empty"
    assert refused("- a\n").message == "wrong document"
    assert refused("? [a]\n: b\n").message == "a key must be plain text"


def test_keeps_unknown_keys_of_a_recorded_document() -> None:
    read = load_json('{"serial": 3, "new": {"a": 1}}', Recorded, where="r.json")
    assert read.model_dump() == {"serial": 3, "new": {"a": 1}}
    assert refused('{"serial": "3"}', Recorded, as_json=True).expected == "a valid integer"


def test_finds_the_close_match_regardless_of_case() -> None:
    assert close_match("packagelist", ["PackageLists", "Packages"]) == "PackageLists"
    assert close_match("q", ["PackageLists"]) is None


@given(st.text())
def test_any_text_is_read_or_refused_but_never_crashes(text: str) -> None:
    for load in (load_json, load_yaml):
        try:
            load(text, Outer, where="a")
        except Misconfigured as error:
            assert error.where


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(VALUES)
def test_json_is_read_as_the_standard_library_reads_it(value: object) -> None:
    assert load_json(json.dumps(value, indent=1), Anything, where="a").root == value
