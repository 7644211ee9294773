"""The rpm dependency language, judged by rpm itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.errors import Refused
from release.graph.capabilities import (
    Capability,
    Operator,
    Rich,
    capabilities_in,
    compare_evrs,
    compare_versions,
    parse,
    satisfies,
)

# The cases of rpm's own suite (tests/rpmvercmp.at) in kind, and what distributions write.
VERSIONS = [
    "1.0", "2.0", "2.0.1", "2.0.1a", "5.5p1", "5.5p2", "5.5p10", "10xyz", "10.1xyz", "xyz10", "xyz.4", "8", "xyz.1",
    "10a2", "10b2", "5.6.0", "6.5.0", "1.0~rc1", "1.0~rc1~git123", "1.0~rc2", "1.0^", "1.0^git1", "1.0^git1~pre",
    "1.0^A", "1.0A",
    "1.0^20160101", "1.0.1^git1", "1.0~rc1^git1", "2.01", "2.1", "2_0", "2+0", "1.05", "1.5", "1.0010", "1.9",
    "a+", "a_", "+a", "_a", "1..0", "1.0.", "~", "^", "~~", "1.fc4", "1.FC5", "3.azl3", "00", "0", "001a",
]  # fmt: skip


def judged_by_rpm(pairs: list[tuple[str, str]]) -> list[int]:
    """What rpm.vercmp of the installed rpm says about each pair of versions (it takes no empty ones)."""
    table = ",".join("{[==[" + one + "]==],[==[" + two + "]==]}" for one, two in pairs)
    script = "%{lua: for _, p in ipairs({" + table + "}) do print(rpm.vercmp(p[1], p[2]) .. ' ') end}"
    answer = subprocess.run(["rpm", "--eval", script], capture_output=True, text=True, check=True)
    return [int(word) for word in answer.stdout.split()]


def test_orders_versions_as_rpm_does() -> None:
    pairs = [(one, two) for one in VERSIONS for two in VERSIONS]
    judgement = judged_by_rpm(pairs)
    assert len(judgement) == len(pairs)
    assert {1, 0, -1} == set(judgement)
    assert [compare_versions(*pair) for pair in pairs] == judgement


def test_a_longer_version_is_newer_than_nothing_and_a_tilde_is_older() -> None:
    assert [compare_versions(text, "") for text in ("1", "a", "^", "~", ".")] == [1, 1, 1, -1, 0]


def test_orders_numbers_of_any_length() -> None:
    assert compare_versions("9" * 5000, "1" + "0" * 5000) == -1
    assert compare_versions("9" * 5000, "0" + "9" * 5000) == 0


def test_orders_generated_versions_as_rpm_does() -> None:
    seen: list[tuple[str, str]] = []

    @given(st.lists(st.tuples(*[st.text("019ab.~^_", min_size=1, max_size=6)] * 2), min_size=1, max_size=60))
    def collect(pairs: list[tuple[str, str]]) -> None:
        seen.extend(pairs)

    collect()
    pairs = list(dict.fromkeys(seen))[:1500]
    assert [compare_versions(*pair) for pair in pairs] == judged_by_rpm(pairs)


@pytest.mark.parametrize(
    ("one", "two", "order"),
    [
        ("1:1.0-1", "2.0-1", 1),
        ("0:1.0-1", "1.0-1", 0),
        ("1.0-1", "1.0", 0),
        ("1.0-1", "1.0-2", -1),
        ("1.0-1.azl3", "1.0-1", 1),
        ("1.0-10", "1.0-9", 1),
    ],
)
def test_orders_epochs_then_versions_then_releases(one: str, two: str, order: int) -> None:
    assert compare_evrs(one, two) == order
    assert compare_evrs(two, one) == -order


@pytest.mark.parametrize(
    ("provided", "wanted", "answer"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", "a >= 5", True),
        ("a = 1-1", "a", True),
        ("a = 1.2-1", "a >= 1.2", True),
        ("a = 1.2-1", "a > 1.2", False),
        ("a = 1.2-1", "a = 1.2-1", True),
        ("a = 1.2-1", "a = 1.2-2", False),
        ("a = 1.2-1", "a < 1.3", True),
        ("a = 1:1.2-1", "a < 1.3", False),
        ("a >= 2", "a < 1", False),
        ("a >= 2", "a <= 2", True),
        ("a > 2", "a < 2", False),
        ("a < 2", "a < 1", True),
        ("a < 2", "a = 2", False),
        ("pkgconfig(zlib) = 1.3", "pkgconfig(zlib) >= 1.2", True),
        ("libx(x86-64) = 1-1", "libx = 1-1", False),
    ],
)
def test_a_provide_satisfies_a_require_when_their_ranges_overlap(provided: str, wanted: str, answer: bool) -> None:
    one, two = parse(provided), parse(wanted)
    assert isinstance(one, Capability)
    assert isinstance(two, Capability)
    assert satisfies(one, two) is answer


def cap(text: str) -> Capability:
    name, sense, evr = [*text.split(), "", ""][:3]
    return Capability(name=name, sense=sense, evr=evr)


@pytest.mark.parametrize(
    ("text", "operator", "operands"),
    [
        ("(a or b)", Operator.OR, ["a", "b"]),
        ("(a and b and c)", Operator.AND, ["a", "b", "c"]),
        ("(a >= 1 with a < 2)", Operator.WITH, ["a >= 1", "a < 2"]),
        ("(a without b)", Operator.WITHOUT, ["a", "b"]),
        ("(a if b)", Operator.IF, ["a", "b"]),
        ("(a if b else c)", Operator.IF, ["a", "b", "c"]),
        ("(a unless b else c = 2)", Operator.UNLESS, ["a", "b", "c = 2"]),
        ("(pkgconfig(x) >= 1 or perl(A::B))", Operator.OR, ["pkgconfig(x) >= 1", "perl(A::B)"]),
        ("(libc.so.6()(64bit) or x)", Operator.OR, ["libc.so.6()(64bit)", "x"]),
    ],
)
def test_reads_rich_dependencies(text: str, operator: Operator, operands: list[str]) -> None:
    assert parse(text) == Rich(operator=operator, operands=tuple(map(cap, operands)))


def test_reads_nested_rich_dependencies() -> None:
    read = parse("((a or b) and (c if (d and e(x))))")
    assert [str(each) for each in capabilities_in(read)] == ["a", "b", "c", "d", "e(x)"]
    assert isinstance(read, Rich)
    assert read.operands[0] == parse("(a or b)")


def test_writes_a_capability_as_it_was_read() -> None:
    for text in ("libc.so.6(GLIBC_2.34)(64bit)", "a(x86-64) = 1:2-3", "/usr/bin/env", "a <= 2"):
        assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "(a or b", "a b", "(a or)", "a >= 1)", ">= 1", "(a or b and c)", "(a if b else c else d)", "(a xor b)", "()"],
)
def test_refuses_malformed_dependencies(text: str) -> None:
    with pytest.raises(Refused, match="malformed dependency"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(a or b)",
        "((a and b) or (c with d))",
        "(a if b else (c or d))",
        "(f(x) if g >= 2)",
        "(a or b and c)",
        "(a xor b)",
    ],
)
def test_agrees_with_rpm_on_what_is_a_rich_dependency(text: str, tmp_path: Path) -> None:
    spec = f"Name: a\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nRequires: {text}\n%description\n"
    path = tmp_path / "a.spec"
    path.write_text(spec)
    asked = subprocess.run(["rpmspec", "-q", "--requires", path], capture_output=True, text=True, check=False)
    try:
        parse(text)
        accepted = True
    except Refused:
        accepted = False
    assert accepted is (asked.returncode == 0), asked.stderr
