"""A forecast as the comment of a pull request: Markdown, of bounded size, in which no word of the change is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from release.forecast.forecasts import Forecast
from release.forecast.words import count, headline, hop_words, stopped_words, time_words

MARKER = "<!-- slipway forecast -->"
LIMIT = 60_000  # of 65,536 characters that GitHub takes
_SHOWN = 30
_PATHS = 15


def markdown(forecast: Forecast) -> str:
    """The comment. Its first line is `MARKER`, by which the workflow finds the comment that it keeps up to date."""
    body = "\n".join([MARKER, *_lines(forecast)])
    if len(body) <= LIMIT:
        return f"{body}\n"
    return f"{body[: body.rindex(chr(10), 0, LIMIT)]}\n\n(cut here: `slipway plan --json` has all)\n"


def _lines(forecast: Forecast) -> Iterator[str]:
    yield f"### Slipway: {headline(forecast)}"
    before = _code(forecast.before[:12]) if forecast.before else "nothing released before"
    yield f"Compared: {before} to {_code(forecast.after[:12])}."
    if forecast.rewritten:
        found = forecast.rewritten
        yield (
            f"\n**The branch was rewritten**: compared with {_code(found.merge_base[:12])}, the newest commit of both; "
            f"{count(len(found.dropped), 'commit')} dropped: {_codes(each[:12] for each in found.dropped)}."
        )
    for refusal in forecast.refusals:
        yield from ("\n**Refused**", "```text", _fenced(refusal.error().diagnostics()), "```")
    if forecast.halted:
        broken = [each for each in forecast.halted if not each.path]
        waiting = [each.package for each in forecast.halted if each.path]
        yield "\n**Stopped**\n"
        yield from (f"- {_code(stopped_words(each))}" for each in broken[:_SHOWN])
        if waiting:
            yield f"- who needs them: {_codes(waiting)}"
    yield from _packages(forecast)
    yield from _notes(forecast)


def _packages(forecast: Forecast) -> Iterator[str]:
    if forecast.certain:
        yield from ("\n| | will be built | why |", "|--:|---|---|")
        for each in forecast.certain[:_SHOWN]:
            yield f"| {each.level + 1} | {_code(each.package)} | {_code('; '.join(each.reasons))} |"
        if len(forecast.certain) > _SHOWN:
            yield f"| | and {len(forecast.certain) - _SHOWN:,} more | |"
    if forecast.possible:
        near = [each.package for each in forecast.possible if len(each.path) == 1]
        yield (
            f"\n<details><summary>{count(len(forecast.possible), 'package')} may be built, each only if what its build "
            f"observes changes</summary>\n"
        )
        yield f"Next to it ({len(near):,}): {_codes(near)}\n"
        for possible in forecast.possible[:_PATHS]:
            hops = "; ".join(f"{hop.package} needs {hop.on}: {hop_words(hop)}" for hop in possible.path)
            yield f"- {_code(possible.package)}: {_code(hops)}"
        if len(forecast.possible) > _PATHS:
            yield f"- and {len(forecast.possible) - _PATHS:,} more"
        yield "\n</details>"


def _notes(forecast: Forecast) -> Iterator[str]:
    yield ""
    if forecast.removed:
        yield f"- removed: {_codes(forecast.removed)}"
    for image in forecast.images[:_SHOWN]:
        verb = "follows" if image.certain else "may follow"
        yield f"- image {_code(image.image)} {verb}: {_code(image.reason)}"
    yield from (f"- provided by nothing: {_code(each)}" for each in forecast.unresolved[:_SHOWN])
    yield from (f"- made twice: {_code(each)}" for each in forecast.findings[:_SHOWN])
    if standing := [each.package for each in forecast.stopped if each.standing]:
        yield f"- unreadable before, too: {_codes(standing)}"
    if forecast.certain:
        yield f"- time: {time_words(forecast.certain_time, forecast.possible_time)}"


def _codes(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _SHOWN:,} more" if len(every) > _SHOWN else ""
    return ", ".join(map(_code, every[:_SHOWN])) + more


def _code(word: str) -> str:
    """As code, in which nothing is markup, a mention or a link; the signs that end code or a table's cell go."""
    return f"`{re.sub(r'[`|]|[^ -~]', '?', word)[:400] or '?'}`"


def _fenced(words: str) -> str:
    return re.sub(r"[`]|[^ -~\n]", "?", words)[:10_000]
