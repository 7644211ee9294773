"""Text becomes a value that knows the line of each of its parts: a strict YAML 1.2 core subset, and JSON."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import yaml

from release.errors import Misconfigured

Path = tuple[str | int, ...]

LIMIT_DEPTH = 64

# Plain scalars by the YAML 1.2 core schema (section 10.3.2): `no`, `on`, dates and 1:30 stay text.
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_JSON_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\n')


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A parsed value, and where each path in it stands (found only when a message asks for it)."""

    value: Any
    _lines: Callable[[], Mapping[Path, int]]

    def line(self, path: Path) -> int:
        """The line (from 1) of a path, or of the nearest thing around it: a missing key has no line of its own."""
        lines = self._lines()
        while path and path not in lines:
            path = path[:-1]
        return lines.get(path, 1)


def read_yaml(text: str, where: str) -> Marked:
    """One YAML document without tags, anchors, aliases or duplicate keys; `Misconfigured` with `where:line`."""
    try:
        value, lines = _build(_yaml_events(text, where), where)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Misconfigured("not YAML", where=f"{where}:{line}", got=error.problem) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Misconfigured("not YAML", where=f"{where}:{line}", got=error.reason) from error
    return Marked(value=value, _lines=lambda: lines)


def read_json(text: str, where: str) -> Marked:
    """One JSON document (RFC 8259) without duplicate keys; `Misconfigured` with `where:line`."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Misconfigured("not JSON", where=f"{where}:{error.lineno}", got=error.msg) from error
    except RecursionError:
        _too_deep(where)
    except ValueError as error:
        with suppress(ValueError):
            _build(_json_events(text), where)  # a duplicate key is found again, now with its lines
        raise Misconfigured("not JSON", where=where, got=error) from error
    return Marked(value=value, _lines=lambda: _build(_json_events(text), where)[1])


class _Event(NamedTuple):
    """One step through a document: `{`, `}`, `[`, `]` or a `value`, with its line; `text` is how a key is spelled."""

    kind: str
    line: int
    value: Any = None
    text: str = ""


def _build(events: Iterator[_Event], where: str) -> tuple[Any, dict[Path, int]]:
    """The value that the events describe, and the line of every path in it; duplicate keys are refused."""
    lines: dict[Path, int] = {}

    def read(event: _Event, path: Path) -> Any:
        lines.setdefault(path, event.line)
        if len(path) > LIMIT_DEPTH:
            _too_deep(f"{where}:{event.line}")
        if event.kind == "[":
            return [read(each, (*path, n)) for n, each in enumerate(iter(lambda: next(events), _Event("]", 0)))]
        return dict(pairs(path)) if event.kind == "{" else event.value

    def pairs(path: Path) -> Iterator[tuple[str, Any]]:
        while (event := next(events)).kind != "}":
            if event.kind != "value":
                raise Misconfigured("a key must be plain text", where=f"{where}:{event.line}", got="a list or mapping")
            key = (*path, event.text)
            if key in lines:
                raise Misconfigured(
                    f"duplicate key {event.text!r}",
                    where=f"{where}:{event.line}",
                    got=f"first given at line {lines[key]}",
                    expected="each key once",
                )
            lines[key] = event.line
            yield event.text, read(next(events), key)

    value = read(next(events), ())
    deque(events, maxlen=0)  # to the end: what follows the value must be well-formed too
    return value, lines


def _yaml_events(text: str, where: str) -> Iterator[_Event]:
    documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        forbidden = _forbidden(event)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if forbidden or documents > 1:
            raise Misconfigured(
                "this YAML is too clever",
                where=f"{where}:{line}",
                got=forbidden or "a second document",
                expected="one document without tags, anchors and aliases: write the value out",
            )
        match event:
            case yaml.ScalarEvent():
                yield _Event("value", line, _scalar(event), event.value)
            case yaml.MappingStartEvent():
                yield _Event("{", line)
            case yaml.SequenceStartEvent():
                yield _Event("[", line)
            case yaml.MappingEndEvent():
                yield _Event("}", 0)
            case yaml.SequenceEndEvent():
                yield _Event("]", 0)
    if not documents:
        raise Misconfigured("the file is empty", where=where, expected="a YAML document")


def _forbidden(event: yaml.Event) -> str | None:
    if isinstance(event, yaml.AliasEvent):
        return f"the alias *{event.anchor}"
    if isinstance(event, yaml.NodeEvent) and event.anchor:
        return f"the anchor &{event.anchor}"
    tag = getattr(event, "tag", None)
    return f"the tag {tag}" if tag else None


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # quoted or a block: always text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text) if len(text) < 20 else text  # longer than 64 bits is an identifier, not a number
    return float(text) if _FLOAT.match(text) else text


def _json_events(text: str) -> Iterator[_Event]:
    """Events of a text that is known to be JSON."""
    line = 1
    for word in _JSON_WORD.findall(text):
        if word == "\n":
            line += 1
        elif word in "{[":
            yield _Event(word, line)
        elif word in "}]":
            yield _Event(word, 0)
        elif word not in ",:":
            value = json.loads(word)
            yield _Event("value", line, value, value if isinstance(value, str) else word)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON (RFC 8259, section 6)")


def _too_deep(where: str) -> NoReturn:
    raise Misconfigured("nested too deeply", where=where, expected=f"at most {LIMIT_DEPTH} levels")
