"""Every error a person can meet: what happened, what was expected, and how to mend it.

Three families decide what happens next: a `Refused` is a rule that said no and is never retried; a `Broken` is
the world failing and may be retried; a `Misconfigured` waits for a person to edit something.
"""

from __future__ import annotations


class Error(Exception):
    """Base of every error of Slipway; one `except Error` stands at each door.

    `where` names the place (`SPECS/zlib/zlib.spec:12`, `http://... blobs`), `got` and `expected` say the
    difference, `hint` the mend. The exit code of the command line is `exit_code`.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        got: object | None = None,
        expected: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.got = None if got is None else str(got)
        self.expected = None if expected is None else str(expected)
        self.hint = hint

    def diagnostics(self) -> str:
        """The whole message for a terminal or a log: one headline, then the labelled facts that are known."""
        headline = f"{self.where}: {self.message}" if self.where else self.message
        facts = (("got", self.got), ("expected", self.expected), ("mend", self.hint))
        return "\n".join([headline, *(f"  {label}: {fact}" for label, fact in facts if fact is not None)])

    def to_json(self) -> dict[str, str | None]:
        """The same facts for `--json`: error (family), message, where, got, expected, hint."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "where": self.where,
            "got": self.got,
            "expected": self.expected,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        return self.diagnostics()


class Refused(Error):
    """A rule said no. Trying again gives the same answer. Exit code 3."""

    exit_code = 3


class Broken(Error):
    """The world failed: a registry is down, a disk is full, a tool crashed. May be retried. Exit code 4."""

    exit_code = 4


class Misconfigured(Error):
    """A person must edit a file or a setting first. Exit code 2."""

    exit_code = 2
