"""What a release says of one package, told in one screen of plain words; and how near its forecast came."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from release.forecast.accounts import account
from release.forecast.forecasts import Forecast
from release.source.certificates import Certificate, Certificates, Outcome
from release.source.keys import short

WIDTH, SCREEN = 80, 24
_REASONS, _RECIPE, _CONSUMED, _DIFFERS = 2, 2, 3, 2
_HEADLINES = {
    Outcome.UNCHANGED: "was not built: nothing that it is made from is another",
    Outcome.SKIPPED: "was not built, although packages below it were: its build observed no change of them",
    Outcome.KEPT: "was built again and came out the same: the published RPMs stay",
    Outcome.BUILT: "was built, and has new RPMs",
}


def told(
    package: str, now: Certificates, *, release: str, before: Certificates | None, forecast: Forecast | None = None
) -> tuple[str, ...]:
    """The certificate of a package in words: what became of it, why, on which way the change came, and the digests
    that were compared. `release` is the name of the release, `before` has the certificates of the one before it."""
    certificate = now.packages[package]
    lines = [*_wrapped(f"{package} {certificate.evr} {_HEADLINES[certificate.outcome]} ({release})."), ""]
    lines += [_cut(f"  {reason}") for reason in certificate.reasons[:_REASONS]]
    lines += _more(len(certificate.reasons) - _REASONS, "reasons")
    lines += _way(package, now)
    lines += ["", "Compared", *_recipe(certificate, before.packages.get(package) if before else None)]
    lines += _consumed(certificate.consumed, now.interfaces, before.interfaces if before else {})
    if certificate.differs:
        lines += ["", "What others can observe of its change"]
        lines += [_cut(f"  {each}") for each in certificate.differs[:_DIFFERS]]
        lines += _more(len(certificate.differs) - _DIFFERS, "differences")
    if forecast is not None and len(lines) <= SCREEN - 3:
        lines += ["", *_wrapped(f"Forecast and fact of this release: {account(forecast, now).text()}")]
    return tuple(lines)


def _way(package: str, now: Certificates) -> Iterator[str]:
    """Back through the packages whose change it observed, to one that was another by itself."""
    way, name = [package], package
    while following := [each for each in now.packages[name].via if each in now.packages and each not in way]:
        name = following[0]
        way.append(name)
    if len(way) == 1:
        return
    yield from ("", "The change came this way")
    way.reverse()
    for number, one in enumerate(way):
        if number == 1 and len(way) > 3:
            yield from _more(len(way) - 2, "between them")
        if number in (0, len(way) - 1) or len(way) == 3:
            reasons = now.packages[one].reasons
            yield _cut(f"  {one}: {reasons[0] if reasons else 'built'}")


def _recipe(certificate: Certificate, old: Certificate | None) -> Iterator[str]:
    """What it is made from besides other packages: what is another, or that nothing is."""
    new, known = certificate.recipe, old.recipe if old else None
    rows = [
        ("its spec and files", known.content if known else None, new.content),
        ("its spec with macros", known.expanded if known else None, new.expanded),
        ("macros for all", known.macros if known else None, new.macros),
        ("the toolchain set", known.toolchain if known else None, new.toolchain),
    ]
    changed = [(word, one, two) for word, one, two in rows if one != two]
    if not changed:
        yield "  its spec, files, macros and toolchain are as before"
    elif known is None:
        yield "  it was not built before"
    else:
        yield from (f"  {word:<26}{_pair(one, two)}" for word, one, two in changed[:_RECIPE])


def _consumed(names: Iterable[str], now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    """The interface digests of what was in its build root, those that are others first."""
    ordered = sorted(names, key=lambda name: (before.get(name) == now.get(name), name))
    for name in ordered[:_CONSUMED]:
        yield f"  {_cut(name, 25):<26}{_pair(before.get(name), now.get(name))}"
    yield from _more(len(ordered) - _CONSUMED, "binary packages that were in its build root")


def _pair(before: str | None, now: str | None) -> str:
    if before == now:
        return f"{_short(now)} as before"
    return f"{_short(before)} -> {_short(now)}"


def _short(digest: str | None) -> str:
    return short(digest).removeprefix("sha256:") if digest else "nothing"


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"  and {count:,} more {what}"


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _wrapped(words: str) -> Iterable[str]:
    return textwrap.wrap(words, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
