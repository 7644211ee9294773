"""The command that says what a commit will build, in which order and why: from a release, or between two commits."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_distribution import AsJson
from flows.cli_tools import Commit, Repository, installation, place, workbench
from flows.console import guarded, print_json

if TYPE_CHECKING:
    from release.errors import Error
    from release.forecast.forecasts import Forecast


def plan(
    commit: Commit = None,
    since: Annotated[str | None, typer.Option("--from", help="Compare two commits: from this revision.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="To this revision (default: HEAD).")] = None,
    repository: Repository = None,
    why: Annotated[str | None, typer.Option("--why", metavar="PACKAGE", help="Explain one package.")] = None,
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print it as a pull request's comment.")] = False,
) -> None:
    """What a commit would build, in which order, and why. Builds nothing.

    With --from and --to two commits of a git repository are compared, without a network, a registry or a container
    engine; otherwise a commit is compared with what the first channel has. Exit code 3: a release of it is refused.
    """

    def deed() -> None:
        if since is None and until is None:
            _released(commit, why, as_json=as_json, as_markdown=as_markdown)
            return
        _check(commit, since)
        found, known = _foreseen(since or "", until or "HEAD", repository)
        _show(found, why, known, as_json=as_json, as_markdown=as_markdown)
        if found.refusals or found.halted:
            from release.errors import Refused

            sys.exit(Refused.exit_code)

    sys.exit(guarded(deed, as_json=as_json))


def _check(commit: str | None, since: str | None) -> None:
    from release.errors import Misconfigured

    if commit is not None:
        raise Misconfigured("--commit compares with a release, --from and --to with a commit", hint="give one of them")
    if since is None:
        raise Misconfigured("--to without --from", expected="two revisions", hint="for example --from HEAD~1 --to HEAD")


def _foreseen(since: str, until: str, repository: str | None) -> tuple[Forecast, frozenset[str]]:
    import gc

    from tasks.foresee import foresee
    from tasks.settings import read_settings

    gc.disable()  # this process ends in a second, and what it reads it keeps
    return asyncio.run(foresee(place(repository), since, until, jobs=read_settings().jobs))


def _show(found: Forecast, why: str | None, known: frozenset[str], *, as_json: bool, as_markdown: bool) -> None:
    if why is not None:
        _print_reason(found, why, known, as_json=as_json)
    elif as_json:
        print_json(found.to_json())
    elif as_markdown:
        from release.forecast.markdown import markdown

        sys.stdout.write(markdown(found))
    else:
        from release.forecast.words import text

        sys.stdout.write(f"{text(found)}\n")


def _print_reason(found: Forecast, package: str, known: frozenset[str], *, as_json: bool) -> None:
    from release.forecast import words

    if known and package not in known | {each.package for each in found.stopped}:
        raise words.unknown_package(package, known)
    _print(package, words.why(found, package), as_json=as_json)


def _print(package: str, lines: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"package": package, "lines": list(lines)})
    else:
        sys.stdout.write("\n".join(lines) + "\n")


def _released(commit: str | None, why: str | None, *, as_json: bool, as_markdown: bool) -> None:
    """Compared with the release that the first channel has; or, of a released commit, what its certificates say."""
    if why is not None and (lines := asyncio.run(_certified(commit, why))):
        _print(why, lines, as_json=as_json)
        return
    found, known, failures = asyncio.run(_expected(commit))
    _show(found, why, known, as_json=as_json, as_markdown=as_markdown)
    if errors := [*(each.error() for each in found.refusals), *failures]:
        raise errors[0]


async def _certified(commit: str | None, package: str) -> tuple[str, ...] | None:
    from tasks.explain import explain
    from tasks.fetch import fetch_head

    async with installation() as (tools, distro):
        return await explain(tools, distro, commit or await fetch_head(tools, distro.branch), package)


async def _expected(commit: str | None) -> tuple[Forecast, frozenset[str], tuple[Error, ...]]:
    from tasks.expect import expect

    async with workbench(commit) as (tools, bench, previous):
        return await expect(tools, bench, previous), frozenset(bench.graph.packages), bench.source.failures
