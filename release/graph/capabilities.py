"""The language of rpm dependencies: capabilities with versions, rich dependencies, and when one satisfies another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import zip_longest

from release.errors import Refused

# How rpm cuts a version into pieces; everything else only separates (rpm 4.18, rpmio/rpmvercmp.c).
_SEGMENT = re.compile(r"~|\^|[0-9]+|[a-zA-Z]+")
_EVR = re.compile(r"(?:(?P<epoch>[0-9]+):)?(?P<version>[^-]*)(?:-(?P<release>.+))?\Z")
_SENSES = ("<", "<=", "=", ">=", ">")


class Operator(StrEnum):
    """The words of a rich dependency (rpm.org, "Boolean dependencies")."""

    AND = "and"
    OR = "or"
    IF = "if"
    UNLESS = "unless"
    WITH = "with"
    WITHOUT = "without"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A name, or a name with a range of versions: `sense` is empty or one of < <= = >= >, `evr` as rpm writes it."""

    name: str
    sense: str = ""
    evr: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.sense} {self.evr}" if self.sense else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rich:
    """A rich dependency. `operands` are two or more for and, or, with; for `if` and `unless` they are the wanted
    one, the condition and perhaps the `else`; for `without` the wanted one and the excluded one."""

    operator: Operator
    operands: tuple[Dependency, ...]


Dependency = Capability | Rich


@lru_cache(maxsize=1 << 16)
def parse(text: str) -> Dependency:
    """A dependency as rpm prints it (`zlib-devel >= 1.2`, `(a or b)`); `Refused` when it is malformed."""
    words = text.split()
    if len(words) == 1 and text[0] != "(" and text[-1] != ")" and words[0] not in _SENSES:
        return Capability(name=words[0])  # nearly every one of a tree's tens of thousands
    words = _words(text)
    read, rest = _dependency(words, text)
    if rest:
        raise _malformed(text, f"{rest[0]!r} after its end")
    return read


@lru_cache(maxsize=1 << 16)
def compare_versions(one: str, two: str) -> int:
    """-1, 0 or 1: rpm's order of two version or release texts (rpm 4.18, rpmvercmp())."""
    for x, y in zip_longest(_SEGMENT.findall(one), _SEGMENT.findall(two), fillvalue=""):
        if x == y:
            continue
        if "~" in (x, y):  # a tilde sorts before everything, even the end
            return -1 if x == "~" else 1
        if "^" in (x, y):  # a caret sorts after the end and before everything else
            return (1 if y == "" else -1) if x == "^" else (-1 if x == "" else 1)
        if x.isdigit() != y.isdigit():  # a number is newer than a word, and anything newer than the end
            return 1 if x.isdigit() else -1
        if _rank(x) != _rank(y):
            return -1 if _rank(x) < _rank(y) else 1
    return 0


def compare_evrs(one: str, two: str) -> int:
    """-1, 0 or 1: rpm's order of two `[epoch:]version[-release]` texts; a release on one side only is ignored.

    Source: rpm 4.18, lib/rpmds.c, rpmdsCompareEVR(): a missing epoch is 0.
    """
    if one == two:
        return 0
    (epoch_one, version_one, release_one), (epoch_two, version_two, release_two) = _split(one), _split(two)
    epochs = (epoch_one > epoch_two) - (epoch_one < epoch_two)
    order = epochs or compare_versions(version_one, version_two)
    if order or not (release_one and release_two):
        return order
    return compare_versions(release_one, release_two)


def satisfies(provided: Capability, wanted: Capability) -> bool:
    """Whether the two ranges overlap. A side without a version overlaps with everything of its name, and `= 1`,
    which names no release, with `< 1-2` and `> 1-2`.

    Source: rpm 4.18, rpmdsCompare() and rpmverOverlap().
    """
    if provided.name != wanted.name:
        return False
    if not (provided.sense and wanted.sense):
        return True
    order = compare_evrs(provided.evr, wanted.evr)
    if order < 0:
        return ">" in provided.sense or "<" in wanted.sense
    if order > 0:
        return "<" in provided.sense or ">" in wanted.sense
    if any(sign in provided.sense and sign in wanted.sense for sign in "<=>"):
        return True
    sides = ((provided, wanted), (wanted, provided))
    return any("=" in one.sense and _release(other.evr) and not _release(one.evr) for one, other in sides)


def capabilities_in(dependency: Dependency) -> tuple[Capability, ...]:
    """Every plain capability that a dependency names, in the order it is written."""
    if isinstance(dependency, Capability):
        return (dependency,)
    return tuple(each for operand in dependency.operands for each in capabilities_in(operand))


def _rank(segment: str) -> tuple[int, str]:
    """Numbers by their size, of any length and without leading zeros; words by their letters."""
    digits = segment.lstrip("0")
    return (len(digits), digits) if segment.isdigit() else (0, segment)


@lru_cache(maxsize=1 << 14)
def _split(evr: str) -> tuple[int, str, str]:
    found = _EVR.match(evr)
    if found is None:
        raise Refused("not an rpm version", got=repr(evr), expected="[epoch:]version[-release]")
    return int(found["epoch"] or 0), found["version"], found["release"] or ""


def _release(evr: str) -> str:
    return _split(evr)[2]


def _words(text: str) -> list[str]:
    """The words of a dependency; the parentheses that group are words, those inside a name are not."""
    words = []
    for word in text.split():
        while word.startswith("("):
            words.append("(")
            word = word[1:]
        closing = max(0, word.count(")") - word.count("("))
        words += [word[: len(word) - closing]] if len(word) > closing else []
        words += [")"] * closing
    return words


def _dependency(words: list[str], text: str) -> tuple[Dependency, list[str]]:
    if not words or words[0] in (")", *_SENSES):
        raise _malformed(text, f"{words[0]!r}" if words else "nothing")
    if words[0] != "(":
        if len(words) > 2 and words[1] in _SENSES:
            return Capability(name=words[0], sense=words[1], evr=words[2]), words[3:]
        return Capability(name=words[0]), words[1:]
    return _rich(words[1:], text)


def _rich(words: list[str], text: str) -> tuple[Dependency, list[str]]:
    """What follows an opening parenthesis, up to and with its closing one."""
    first, words = _dependency(words, text)
    operands, operators = [first], []
    while words and words[0] != ")":
        operators.append(words[0])
        operand, words = _dependency(words[1:], text)
        operands.append(operand)
    if not words:
        raise _malformed(text, "no closing parenthesis")
    if not operators:
        return first, words[1:]
    if operators[1:] == ["else"] and operators[0] in (Operator.IF, Operator.UNLESS):
        operators = operators[:1]
    elif len(set(operators)) > 1 or operators[0] not in tuple(Operator):
        raise _malformed(text, f"the operators {' '.join(operators)}")
    operator = Operator(operators[0])
    if len(operands) > 2 and operator is Operator.WITHOUT:
        raise _malformed(text, "without, twice")
    return Rich(operator=operator, operands=tuple(operands)), words[1:]


def _malformed(text: str, got: str) -> Refused:
    return Refused(
        f"malformed dependency {text!r}",
        got=got,
        expected="name, name < version, or (a and b), (a or b), (a with b), (a without b), (a if b else c)",
    )
