"""Git through GitPython, sealed: a built environment, nobody's configuration, a time limit, errors that are ours."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from release.errors import Broken, Misconfigured
from release.tools.process import BASE_ENVIRONMENT, TAIL_LINES

try:
    import git
except ImportError as error:  # GitPython runs `git version` when it is imported
    raise Misconfigured("git is not installed", hint="slipway doctor names the missing packages") from error

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        **BASE_ENVIRONMENT,
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",  # a replace ref would show other content than the commit names
    }
)


class SealedGit(git.Git):
    """GitPython's runner hands our whole environment on; this one hands on nothing but what it was given."""

    def execute(  # type: ignore[override]  # GitPython has one overload for each return type
        self, command: Sequence[str], istream: Any = None, *, env: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        """Run `command` as GitPython does, below `env -i`. Values show in the process list: never a secret in them."""
        given = {**ENVIRONMENT, **self.environment(), **(env or {})}
        words = ["env", "-i", *(f"{name}={value}" for name, value in given.items()), *command]
        return super().execute(words, istream, **options)


class SealedRepo(git.Repo):
    """A GitPython repository whose every command is sealed."""

    GitCommandWrapperType = SealedGit


def folder_of(path: Path) -> Path:
    """The git folder of the repository at `path`; `Misconfigured` when there is none."""
    try:
        with SealedRepo(path) as repository:
            return Path(repository.git_dir)
    except git.exc.GitError as error:
        raise Misconfigured(
            "no git repository here", where=str(path), got=type(error).__name__, hint=f"git init --bare {path}"
        ) from error


def public(text: str) -> str:
    """A text without the user and password of the URLs in it."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFolder:
    """A repository's folder on this machine. `where` names the repository in messages, `seconds` limits each command.

    `environment` adds variables for reaching a remote (`GIT_SSH_COMMAND`, `GIT_ASKPASS`): paths, never secrets.
    """

    path: Path
    where: str
    seconds: float = 120.0
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def call(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        allowed: Sequence[int] = (0,),
    ) -> tuple[int, bytes, str]:
        """Exit code, standard output and standard error of one git command; `Broken` on a code not `allowed`."""
        command = ["git", f"--git-dir={self.path}", "-c", "gc.auto=0", *arguments]
        with tempfile.TemporaryFile() as file:
            file.write(stdin or b"")
            file.seek(0)
            code, out, err = SealedGit(self.path).execute(
                command,
                file,
                env={**self.environment, **(environment or {})},
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=self.seconds,
            )
        if code not in allowed:
            raise self._failed(arguments, code, err or out.decode("utf-8", "replace"))
        return code, out, err

    def output(
        self, *arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None
    ) -> bytes:
        """Standard output of a command that must succeed."""
        return self.call(*arguments, stdin=stdin, environment=environment)[1]

    def line(self, *arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> str:
        """The one line that a command which must succeed prints."""
        return self.output(*arguments, stdin=stdin, environment=environment).decode().strip()

    def records(self, *arguments: str) -> tuple[str, ...]:
        """The NUL-terminated records that a command prints. Bytes that are no UTF-8, which a file name may hold, become
        `\\xff`: one such name must not hide all others."""
        return tuple(self.output(*arguments).decode("utf-8", "backslashreplace").split("\0")[:-1])

    def _failed(self, arguments: Sequence[str], code: int, written: str) -> Broken:
        tail = public("\n       ".join(written.strip().splitlines()[-TAIL_LINES:]))
        command = public(shlex.join(["git", f"--git-dir={self.path}", *arguments]))
        return Broken(
            f"git {arguments[0]} failed with exit code {code}",
            where=self.where,
            got=tail or "no output",
            hint=f"run it by hand: {command}",
        )
