"""A forecast in words: one screen of a terminal, whatever its size, and the answer to "why this package?"."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from release.errors import Misconfigured
from release.forecast.estimates import Estimate
from release.forecast.forecasts import Forecast, Stopped
from release.graph.hops import Hop

WIDTH = 80
_CERTAIN = 5
_STEPS = 5
_LISTED = 4
_NAME = 24


def text(forecast: Forecast, *, width: int = WIDTH) -> str:
    """What is printed: at most 24 lines in the usual case, however many packages it is about."""
    return "\n".join(_lines(forecast, width))


def headline(forecast: Forecast) -> str:
    """The whole in one sentence."""
    if forecast.is_empty:
        return "nothing that a release is made of changes: nothing will be built"
    parts = [
        f"{count(len(forecast.certain), 'package')} will be built",
        f"{len(forecast.possible):,} may be",
        f"{forecast.unaffected:,} stay as they are",
    ]
    if forecast.removed:
        parts.append(f"{len(forecast.removed):,} removed")
    if forecast.halted:
        parts.append(f"{len(forecast.halted):,} STOPPED")
    return ", ".join(parts)


def count(number: int, word: str) -> str:
    """`1 package`, `1,540 packages`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def time_words(certain: Estimate | None, possible: Estimate | None) -> str:
    """The estimate in plain words, with what it rests on."""
    if certain is None and possible is None:
        return "not known: no past builds"
    at_least = _duration(certain.elapsed) if certain else "0 s"
    if possible is None or (certain is not None and possible.elapsed == certain.elapsed):
        words, whole = f"about {at_least}", certain or possible
    else:
        words, whole = f"about {at_least}, at most {_duration(possible.elapsed)}", possible
    if whole is None:
        return words
    unknown = f"; {count(whole.unknown, 'package')} without a past build" if whole.unknown else ""
    return f"{words} ({count(whole.jobs, 'job')}{unknown})"


def hop_words(hop: Hop) -> str:
    """One step of a path in plain words."""
    first, *others = hop.through
    return f"BuildRequires {first}" + "".join(f", which requires {each}" for each in others)


def why(forecast: Forecast, package: str, *, width: int = WIDTH) -> tuple[str, ...]:
    """What will happen to a package, and the way on which the change comes to it. `Misconfigured` when the forecast
    does not speak of it at all."""
    for stopped in forecast.stopped:
        if stopped.package == package:
            return (f"{package} will not be built.", "", *_wrapped(stopped.reason, width), *_path(stopped.path, width))
    for certain in forecast.certain:
        if certain.package == package:
            return (f"{package} will be built.", "", *_points(certain.reasons, width))
    for possible in forecast.possible:
        if possible.package == package:
            origin = possible.path[0].on
            reasons = next(each.reasons for each in forecast.certain if each.package == origin)
            return (
                f"{package} may be built: only if what its build observes changes.", "",
                f"  {origin} will be built", *_points(reasons, width, "    "), *_path(possible.path, width), "",
                *_wrapped("Where a build on this way comes out as others saw it before, the way ends there.", width),
            )  # fmt: skip
    if package in forecast.removed:
        return (f"{package} is removed: its spec is not in {forecast.after[:12]} any more.",)
    return (f"{package} will not be built.", "", *_unaffected(forecast, width))


def unknown_package(package: str, known: Iterable[str]) -> Misconfigured:
    """The error for a name that is in neither tree."""
    from release.documents import close_match  # with it comes what validates documents: 0.1 s that few need

    close = close_match(package, known)
    return Misconfigured(
        f"no source package {package!r} in the tree",
        expected="the Name of a spec",
        hint=f"did you mean {close!r}?" if close else "it is mostly the name of the spec file, without .spec",
    )


def _lines(forecast: Forecast, width: int) -> Iterator[str]:
    span = f"{forecast.before[:12]} -> " if forecast.before else ""
    yield from _wrapped(f"plan {span}{forecast.after[:12]}: {headline(forecast)}", width)
    yield from _rewritten(forecast, width)
    for refusal in forecast.refusals:
        yield ""
        yield from _clipped(f"REFUSED: {refusal.error().diagnostics()}".splitlines(), 8, width)
    if forecast.certain:
        yield from ("", "will be built, in this order")
        yield from _certain(forecast, width)
    if forecast.possible:
        yield from ("", "may be built, each only if what its build observes changes")
        for away, words, lines in ((1, "next to it", 2), (2, "two away", 2), (None, "further", 1)):
            found = [each.package for each in forecast.possible if _is_away(len(each.path), away)]
            yield from _names(words, found, width, lines=lines)
    if forecast.halted:
        yield from ("", "stopped")
        broken = [stopped_words(each) for each in forecast.halted if not each.path]
        yield from _points(broken[:_LISTED], width)
        if len(broken) > _LISTED:
            yield f"  and {len(broken) - _LISTED:,} more (--json has all)"
        yield from _names("need it", [each.package for each in forecast.halted if each.path], width)
    if forecast.removed:
        yield from ("", *_names("removed", list(forecast.removed), width))
    yield from _rest(forecast, width)


def _certain(forecast: Forecast, width: int) -> Iterator[str]:
    shown = forecast.certain[:_CERTAIN]
    wide = min(_NAME, max(len(each.package) for each in shown))
    for each in shown:
        yield _cut(f"  {each.level + 1:>2} {each.package:<{wide}}  {'; '.join(each.reasons)}", width)
    if len(forecast.certain) > len(shown):
        yield f"     and {len(forecast.certain) - len(shown):,} more (--json has all)"


def stopped_words(stopped: Stopped) -> str:
    """What is stopped, and why; a reason mostly begins with the spec itself."""
    return stopped.reason if stopped.reason.startswith(stopped.package) else f"{stopped.package}: {stopped.reason}"


def _rest(forecast: Forecast, width: int) -> Iterator[str]:
    if forecast.images:
        yield ""
        for sure, word in ((True, "images that follow"), (False, "images that may")):
            images = [f"{each.image} ({each.reason})" for each in forecast.images if each.certain is sure]
            more = f" (and {len(images) - 1} more, --json has all)" if len(images) > 1 else ""
            if images:
                yield _cut(f"{word:<19}{images[0]}", width - len(more)) + more
    standing = [stopped_words(each) for each in forecast.stopped if each.standing]
    for word, lines in (
        ("not provided", forecast.unresolved),
        ("made twice", forecast.findings),
        ("unreadable before", standing),
    ):
        if lines:
            more = f" (and {len(lines) - 1:,} more, --json has all)" if len(lines) > 1 else ""
            yield _cut(f"{word:<19}{lines[0]}", width - len(more)) + more
    if forecast.knots:
        knots = [f"{each[0]} and {len(each) - 1} more" if len(each) > 1 else f"{each[0]} itself"
                 for each in forecast.knots]  # fmt: skip
        yield _cut(f"{'need each other':<19}{', '.join(knots)} (built in two passes)", width)
    if forecast.certain:
        words = time_words(forecast.certain_time, forecast.possible_time)
        yield from textwrap.wrap(f"{'time':<19}{words}", width, subsequent_indent=" " * 19)


def _rewritten(forecast: Forecast, width: int) -> Iterator[str]:
    found = forecast.rewritten
    if found:
        dropped = ", ".join(each[:12] for each in found.dropped[:_LISTED])
        more = f" and {len(found.dropped) - _LISTED} more" if len(found.dropped) > _LISTED else ""
        yield from _wrapped(
            f"the branch was rewritten: {forecast.after[:12]} does not contain {found.asked[:12]}. Compared with "
            f"{found.merge_base[:12]}, the newest commit of both. Dropped: {dropped}{more}",
            width,
        )


def _is_away(distance: int, away: int | None) -> bool:
    return distance > 2 if away is None else distance == away


def _names(words: str, names: Sequence[str], width: int, *, lines: int = 1) -> Iterator[str]:
    """As many names as fit into a few lines, and how many there are besides."""
    if not names:
        return
    label = f"  {f'{words} ({len(names):,})':<19}"
    room = (width - len(label)) * lines
    shown = list(names)
    while len(shown) > 1 and sum(len(each) + 2 for each in shown) + 30 > room:
        shown = shown[: max(1, len(shown) * 9 // 10)] if len(shown) > 20 else shown[:-1]
    more = f" and {len(names) - len(shown):,} more (--json has all)" if len(shown) < len(names) else ""
    yield from textwrap.wrap(
        ", ".join(shown) + more, width, initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False
    )


def _points(lines: Iterable[str], width: int, indent: str = "  ") -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(
            line, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
        )


def _path(path: Sequence[Hop], width: int) -> Iterator[str]:
    for number, hop in enumerate(path):
        if len(path) > _STEPS and number == _STEPS // 2:
            yield f"  and {len(path) - _STEPS} steps between (--json has all)"
        if len(path) > _STEPS and _STEPS // 2 <= number < len(path) - (_STEPS - _STEPS // 2):
            continue
        yield f"  {hop.package} has {hop.on} in its build root"
        yield from _points([hop_words(hop)], width, "    ")


def _unaffected(forecast: Forecast, width: int) -> Iterator[str]:
    if not (forecast.certain or forecast.removed):
        return _wrapped("Nothing that any package is made of changes.", width)
    names = ", ".join(each.package for each in forecast.certain[:_LISTED])
    more = f" and {len(forecast.certain) - _LISTED} more" if len(forecast.certain) > _LISTED else ""
    return _wrapped(
        f"Its own spec, sources and macros are as they were, and its build root holds no package that follows from "
        f"{names or ', '.join(forecast.removed[:_LISTED])}{more}.",
        width,
    )


def _wrapped(line: str, width: int) -> Iterator[str]:
    return iter(textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False))


def _clipped(lines: Sequence[str], most: int, width: int) -> Iterator[str]:
    yield from (_cut(line, width) for line in lines[:most])
    if len(lines) > most:
        yield f"  and {len(lines) - most} lines more (--json has all)"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
