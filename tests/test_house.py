"""The house itself: floors, sizes, types and style are part of the tests, so the test command is the whole gate."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("flows", "tasks", "signing", "release")
FILE_LINES = 300
FUNCTION_LINES = 60
BIN = Path(sys.executable).parent


def sources() -> list[Path]:
    return sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=["lint", "format", "types", "imports"],
)
def test_the_gate_is_green(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_and_functions_stay_small() -> None:
    long = [
        f"{path}: {count} lines" for path in sources() if (count := len(path.read_text().splitlines())) > FILE_LINES
    ]
    for path in sources():
        for node in functions(path):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                long.append(f"{path}:{node.lineno} {node.name}: {length} lines")
    assert not long, "\n".join(long)


def test_only_one_file_reads_the_environment() -> None:
    readers = [str(path.relative_to(ROOT)) for path in sources() if "os.environ" in path.read_text()]
    # system.py runs before anything is installed and hands the environment on to apt
    assert readers == ["release/tools/system.py", "tasks/settings.py"]


def test_every_file_opens_with_a_sentence_that_says_what_the_room_is_for() -> None:
    silent = [str(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_public_names_of_release_and_signing_are_documented() -> None:
    silent = []
    for path in sources():
        if path.relative_to(ROOT).parts[0] not in ("release", "signing"):
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                documented = ast.get_docstring(node) is not None
                if not node.name.startswith("_") and not documented:
                    silent.append(f"{path}:{node.lineno} {node.name}")
    assert not silent, "\n".join(silent)


def test_nothing_prints_below_the_doors() -> None:
    printing = [
        f"{path}:{node.lineno}"
        for path in sources()
        if path.relative_to(ROOT).parts[0] != "flows" and path.name not in ("system.py", "__main__.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "exit")
    ]
    assert not printing
