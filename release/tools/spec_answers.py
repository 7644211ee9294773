"""What the sealed reader of specs answered: facts, rpm's refusals with file and line, and what ended it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from release.errors import Broken, Refused
from release.tools.sealed import Ended
from release.tools.stage import MACROS, TREE

_KILLED = 128 + 9
_LINE = re.compile(r"(?:line |\.spec:)(\d+)")
_STAGED = re.compile(rf"{TREE}/(?:[0-9a-f]{{32}}|{MACROS})/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Facts (JSON) or a refusal by spec, and what is true of the macros: the digest of those that count for every
    package, and rpm's words on the macro files that have mistakes."""

    specs: Mapping[str, str | Refused]
    common_macros: str
    wrong_macros: Mapping[str, str]


def read_answers(ended: Ended, specs: Sequence[str]) -> Answers:
    """Answers in the order of `specs`. Where reading one of them killed the reader, those after it have none.

    `Refused` when a macro file does not load, `Broken` when the reader could not do its work.
    """
    lines = ended.log.splitlines()
    tail = b"\n       ".join(line for line in lines[-10:] if not line.startswith(b"{")).decode("utf-8", "replace")
    answers: dict[str, str | Refused] = {}
    common = ""
    wrong: dict[str, str] = {}
    for line in (each for each in lines if each.startswith(b"{")):
        answer = json.loads(line)
        if "common" in answer:
            common = answer["common"]
            wrong = {path: _STAGED.sub("", text) for path, text in answer["wrong"].items()}
        elif "spec" not in answer:
            told = _STAGED.sub("", f"{answer['error']}\n       {tail}".strip())
            raise Refused("the macros of the tree do not load", got=told, where="distro.yaml: macro_files")
        else:
            answers[answer["spec"]] = answer.get("facts") or _refusal(answer["spec"], answer["error"])
    missing = [spec for spec in specs if spec not in answers]
    if common and ended.code == _KILLED and missing:  # the others are read by the next reader
        killed = _refusal(missing[0], "reading it ended its reader, too: it was killed")
        return Answers(specs={**answers, missing[0]: killed}, common_macros=common, wrong_macros=wrong)
    if ended.code or missing or not common:
        raise Broken(
            "the spec parser did not end its work",
            where=missing[0] if missing else None,
            got=f"exit code {ended.code}; {tail or 'no message'}",
            hint="the place where specs are read needs python3 and rpm's Python bindings",
        )
    return Answers(specs=answers, common_macros=common, wrong_macros=wrong)


def macros_refusal(path: str, text: str) -> Refused:
    """What is told of a macro file that has mistakes, where they stop nobody."""
    line = re.search(rf"{re.escape(path)}: line (\d+)", text)
    return Refused(
        "rpm cannot read all of this macro file",
        where=f"{path}:{line[1]}" if line else path,
        got=text.replace("\n", "\n       "),
        expected="macros that rpm can load; the others are used without them",
    )


def _refusal(spec: str, text: str) -> Refused:
    """rpm's message, with the line where it names one."""
    told = _STAGED.sub("", text).removesuffix("can't parse specfile").strip().splitlines()
    message = "\n".join(dict.fromkeys("".join(each if each.isprintable() else "?" for each in line) for line in told))
    line = _LINE.search(message)
    return Refused(
        "rpm cannot read this spec",
        where=f"{spec}:{line[1]}" if line else spec,
        got=message.replace("\n", "\n       "),
        expected="a spec that is read in seconds, out of its own folder, without network, writing or waiting",
        hint=f"see what rpm sees: rpmspec -P {spec}",
    )
