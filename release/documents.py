"""Files written by people become checked models here: strict YAML and JSON, every complaint with file and line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from release.errors import Misconfigured
from release.marked import Marked, Path, read_json, read_yaml

M = TypeVar("M", bound=BaseModel)

# No file that a person writes comes near these; a bomb does.
LIMIT_JSON = 8 << 20
LIMIT_YAML = 1 << 20  # PyYAML reads about 0.5 MB/s
_SHOWN = 60
_SEPARATOR = "\n       "


def load_yaml(text: str, model: type[M], *, where: str, limit: int = LIMIT_YAML) -> M:
    """One YAML document as `model`. `where` is the file's name for messages.

    `Misconfigured` with `file:line` for a syntax error, a tag, an anchor or alias, a duplicate or unknown key, a
    wrong type, a missing key, or a file of more than `limit` characters. A model whose configuration says
    `extra="allow"` (recorded files) keeps unknown keys; every other refuses them, whatever it says.
    """
    _check_size(text, limit, where)
    return _validated(read_yaml(text, where), model, where)


def load_json(text: str, model: type[M], *, where: str, limit: int = LIMIT_JSON) -> M:
    """One JSON document as `model`; the same promises as `load_yaml`."""
    _check_size(text, limit, where)
    return _validated(read_json(text, where), model, where)


def close_match(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The one of `words` that a typing error most likely meant, or None; `cutoff` is difflib's ratio of likeness."""
    by_lower = {each.lower(): each for each in sorted(words, reverse=True)}  # of two that differ by case, the capital
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[close[0]] if close else None


def _check_size(text: str, limit: int, where: str) -> None:
    if len(text) > limit:
        raise Misconfigured(
            "the file is too large", where=where, got=f"{len(text)} characters", expected=f"at most {limit}"
        )


def _validated(document: Marked, model: type[M], where: str) -> M:
    recorded = model.model_config.get("extra") == "allow"
    try:
        # The JSON mode of strict validation: no "3" for 3, but a list is a tuple and a text names an enum member.
        return model.model_validate_json(
            json.dumps(document.value), strict=True, extra="allow" if recorded else "forbid"
        )
    except ValidationError as error:
        problems = [_problem(each, model, where, document) for each in _causes(error)]
        raise _combined(problems, where) from error


def _causes(error: ValidationError) -> list[ErrorDetails]:
    """Every problem, without "too short" for a list that only lacks the items that are problems themselves."""
    found = error.errors(include_url=False)
    around = {each["loc"][:length] for each in found for length in range(len(each["loc"]))}
    return [each for each in found if each["type"] != "too_short" or each["loc"] not in around]


def _combined(problems: list[Misconfigured], where: str) -> Misconfigured:
    """One problem is its own error; several are listed in one, so that a person mends them in one go."""
    if len(problems) == 1:
        return problems[0]
    texts = [each.diagnostics().replace("\n", _SEPARATOR) for each in problems]
    return Misconfigured(f"{len(problems)} problems", where=where, got=_SEPARATOR.join(texts))


def _problem(error: ErrorDetails, model: type[BaseModel], where: str, document: Marked) -> Misconfigured:
    path = error["loc"]
    place = f"{where}:{document.line(path)}"
    keys = sorted(_keys(model, path[:-1]))
    if error["type"] == "extra_forbidden":
        close = close_match(str(path[-1]), keys)
        return Misconfigured(
            f"unknown key {_dotted(path)}",
            where=place,
            expected=f"one of: {', '.join(keys)}" if keys else None,
            hint=f"did you mean {close!r}?" if close else None,
        )
    if error["type"] == "missing":
        return Misconfigured(f"missing key {_dotted(path)}", where=place, expected=f"{path[-1]}: ...")
    got = json.dumps(error["input"], ensure_ascii=False, default=str)
    return Misconfigured(
        f"wrong value of {_dotted(path)}" if path else "wrong document",
        where=place,
        got=got if len(got) <= _SHOWN else f"{got[:_SHOWN]}...",
        expected=error["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
        hint="write it in quotes" if error["type"] == "string_type" and _is_number(error["input"]) else None,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _dotted(path: Path) -> str:
    words = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return repr(words.lstrip("."))


def _keys(annotation: Any, path: Path) -> set[str]:
    """The keys that the model found by following `path` through type annotations understands."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not path:
            return set(fields)
        return _keys(fields[str(path[0])], path[1:]) if path[0] in fields else set()
    found: set[str] = set()
    for each in get_args(annotation):  # the members of a union, the values of a tuple, list or mapping
        found |= _keys(each, path) | (_keys(each, path[1:]) if path else set())
    return found
