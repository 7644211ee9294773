"""The `slipway` command: every door of the command line, each a thin call of a deed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flows import cli_build, cli_distribution, cli_graph, cli_plan, cli_release
from flows.cli_distribution import AsJson
from flows.console import guarded, print_json, print_table, say

app = typer.Typer(
    name="slipway",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=(
        "A release pipeline for RPM distributions: a commit on the stable branch becomes a signed release that "
        "anyone can verify, and the same bits move through channels by commits in git.\n\n"
        "Exit codes: 0 done, 1 failed, 2 something must be edited first, 3 a rule refused, 4 the world failed "
        "(try again), 130 interrupted."
    ),
)


@app.command()
def up() -> None:
    """Start the embedded stack: registry, Sigstore, container engine, Prefect, runner, web door.

    What runs already is left alone, so running it twice is safe. `slipway settings` shows what can be replaced.
    """

    def deed() -> None:
        from tasks.settings import read_settings
        from tasks.stack import up as start

        settings = read_settings()
        start(settings, say)
        say("page", settings.web_public)

    sys.exit(guarded(deed))


@app.command()
def down(
    remove: Annotated[bool, typer.Option("--remove", help="Also remove the whole state folder.")] = False,
) -> None:
    """Stop the parts that `slipway up` started. Releases stay in the state folder unless --remove is given."""

    def deed() -> None:
        from tasks.settings import read_settings
        from tasks.stack import down as stop
        from tasks.stack import remove_state

        settings = read_settings()
        stop(settings, say)
        if remove:
            remove_state(settings)
            say("state", f"removed {settings.state}")

    sys.exit(guarded(deed))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Examine machine and stack; name each missing thing with its mend. Exit code 2 when something is missing."""

    def deed() -> None:
        from dataclasses import asdict

        from release.errors import Misconfigured
        from tasks.doctor import examine
        from tasks.settings import read_settings

        findings = examine(read_settings())
        if as_json:
            print_json([asdict(finding) for finding in findings])
        else:
            rows = [("ok" if each.well else "MISSING", each.subject, each.found) for each in findings]
            print_table("slipway doctor", ["", "what", "found"], rows)
        ill = [each for each in findings if not each.well]
        if ill and not as_json:
            mends = "\n".join(f"  {each.subject}: {each.mend}" for each in ill)
            raise Misconfigured(f"{len(ill)} things are missing\n{mends}")
        if ill:
            sys.exit(Misconfigured.exit_code)

    sys.exit(guarded(deed, as_json=as_json))


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Print every setting in force and the environment variable that sets it."""

    def deed() -> None:
        from tasks.settings import read_settings

        rows = list(read_settings().rows())
        if as_json:
            print_json({variable: value for variable, value, _ in rows})
        else:
            print_table(
                "slipway settings",
                ["variable", "value", "meaning"],
                [(name, str(value), text) for name, value, text in rows],
            )

    sys.exit(guarded(deed, as_json=as_json))


app.command()(cli_distribution.init)
app.command(name="demo")(cli_distribution.run_demo)
app.command()(cli_distribution.status)
app.command()(cli_plan.plan)
app.command()(cli_graph.graph)
app.command()(cli_build.build)
app.command()(cli_release.promote)
app.command()(cli_release.rollback)
app.command()(cli_release.verify)


def main() -> None:
    """Entry point of the `slipway` command."""
    app()


if __name__ == "__main__":
    main()
