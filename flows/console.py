"""How a door speaks: tables and JSON on standard output, progress and errors on standard error, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from release.errors import Error

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def print_json(value: Any) -> None:
    """One JSON document on standard output, readable by people and by jq."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def console(*, stderr: bool = False) -> Console:
    """A rich console; imported on use, because `--help` must not pay for it."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table that stays readable in 80 columns: long cells fold, nothing is cut."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table, markup=False)


def print_lines(title: str, lines: Iterable[str]) -> None:
    """Lines that somebody will copy: never folded, whatever the width."""
    sys.stdout.write("\n".join([title, *(f"  {line}" for line in lines), "", ""]))


def say(subject: str, state: str) -> None:
    """One line of progress: what, and what happened to it."""
    sys.stderr.write(f"  {subject:<12} {state}\n")
    sys.stderr.flush()


def guarded(deed: Callable[[], None], *, as_json: bool = False) -> int:
    """Run a command's deed; an `Error` becomes its message and exit code, Ctrl-C becomes 130. Returns the code."""
    try:
        deed()
    except Error as error:
        if as_json:
            print_json(error.to_json())
        else:
            sys.stderr.write(f"error: {error.diagnostics()}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: what was done stays done; the same command continues from there\n")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    return 0
