"""The command that shows the graph: who needs a package, or what it needs, through what; as text, JSON or a picture."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_distribution import AsJson
from flows.cli_tools import Repository, place
from flows.console import guarded, print_json, say

if TYPE_CHECKING:
    from release.errors import Error
    from release.graph.graph import Graph
    from release.graph.reach import Reach

_WIDTH = 80
_SHOWN = 40


def graph(
    package: Annotated[str, typer.Argument(help="The name of a source package.")],
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="How many steps away (default: 1).")] = None,
    of: Annotated[bool, typer.Option("--of/--on", help="Who depends on it (default), or what it depends on.")] = True,
    at: Annotated[str, typer.Option("--at", help="The revision whose specs are read.")] = "HEAD",
    repository: Repository = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw it into this file; all steps without --depth.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every line, however many.")] = False,
    as_json: AsJson = False,
) -> None:
    """Who depends on a package, and through what. Reads the specs of a commit; needs no network and no engine."""

    def deed() -> None:
        from release.forecast.pictures import picture
        from release.forecast.words import unknown_package
        from tasks.foresee import read_graph

        made, commit, failed = asyncio.run(read_graph(place(repository), at))
        if package not in made.packages:
            raise _unreadable(package, failed) or unknown_package(package, made.packages)
        found = made.followers([package]) if of else made.needs(package)
        if svg is not None:
            svg.write_text(picture(made, package, found, backwards=of, depth=depth))
            say("drawn", str(svg))
        if as_json:
            print_json(_json(made, package, found, commit, of=of))
        elif svg is None:
            lines = list(_lines(made, package, found, depth or 1, of=of))
            hidden = 0 if everything else len(lines) - _SHOWN
            shown = [*lines[:_SHOWN], f"and {hidden:,} lines more (--all shows them)"] if hidden > 0 else lines
            sys.stdout.write("\n".join(shown) + "\n")

    sys.exit(guarded(deed, as_json=as_json))


def _unreadable(package: str, failed: Mapping[str, Error]) -> Error | None:
    """Why the spec that is called like a package cannot be read, if that is so."""
    return next((error for spec, error in failed.items() if Path(spec).name == f"{package}.spec"), None)


def _lines(made: Graph, package: str, found: Reach, depth: int, *, of: bool) -> Iterator[str]:
    """A tree: below each package those that were found through it, with the words."""
    from release.forecast.words import count

    near = sum(away == 1 for away in found.distance.values())
    one, many = ("has it in its", "have it in their") if of else ("is in its", "are in its")
    verb = one if near == 1 else many
    evr = made.packages[package].evr
    yield f"{package} {evr}: {count(near, 'package')} {verb} build root, {len(found.hops):,} in all"
    for knot in made.knots():
        if package in knot:
            others = [each for each in knot if each != package]
            words = f"it and {', '.join(others)} need each other" if others else "it needs itself"
            yield from textwrap.wrap(
                textwrap.shorten(words, 3 * _WIDTH, placeholder=" ..."),
                _WIDTH,
                initial_indent="  ",
                subsequent_indent="  ",
            )
    below: dict[str, list[str]] = {}
    for name, hop in found.hops.items():
        below.setdefault(hop.on if of else hop.package, []).append(name)
    yield from _below(package, below, found, depth, "")


def _below(package: str, below: dict[str, list[str]], found: Reach, depth: int, indent: str) -> Iterator[str]:
    from release.forecast.words import hop_words

    for name in sorted(below.get(package, ())) if depth else ():
        words = hop_words(found.hops[name])
        head = f"{indent}  {name:<{max(1, 26 - len(indent))}}  "
        yield from textwrap.wrap(
            words, _WIDTH, initial_indent=head, subsequent_indent=f"{indent}{' ' * 32}"[:40], break_on_hyphens=False
        )
        yield from _below(name, below, found, depth - 1, f"{indent}  ")


def _json(made: Graph, package: str, found: Reach, commit: str, *, of: bool) -> dict[str, object]:
    return {
        "commit": commit,
        "package": package,
        "direction": "dependents" if of else "needs",
        "knots": [list(knot) for knot in made.knots() if package in knot],
        "found": [
            {
                "package": name,
                "distance": found.distance[name],
                "needs": {"package": hop.package, "on": hop.on, "through": list(hop.through)},
            }
            for name, hop in found.hops.items()
        ],
    }
