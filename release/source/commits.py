"""How a commit on the stable branch ended: the note that git keeps on it, so that no commit is ever forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from release.errors import Refused
from release.product.aliases import ReleaseRef
from release.records import Digest, Recorded, from_bytes, to_bytes


class End(StrEnum):
    """The ways in which a commit ends. FAILED: the world or the build broke; REFUSED: a rule said no."""

    RELEASED = "released"
    SUPERSEDED = "superseded"
    NO_OP = "no-op"
    FAILED = "failed"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        """Whether nothing can follow. After a failure or a refusal somebody may mend the cause and run it again."""
        return self in (End.RELEASED, End.SUPERSEDED, End.NO_OP)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitNote(Recorded):
    """The terminal state of one commit.

    `release` is what it became (or, for a no-op, what says the same already); `superseded_by` the newer commit;
    `log` the digest of the failed log; `reason` one line for people. Nothing in it depends on a clock.
    """

    state: End
    reason: str = ""
    release: ReleaseRef | None = None
    superseded_by: str | None = None
    log: Digest | None = None

    def __post_init__(self) -> None:
        """A released commit names its release, a superseded one its successor, every other one its reason."""
        needed = {End.RELEASED: self.release, End.SUPERSEDED: self.superseded_by}.get(self.state, self.reason)
        if not needed:
            raise ValueError(f"what ended it: a {self.state} commit names its release, its successor or its reason")

    def to_bytes(self) -> bytes:
        """The note, in canonical JSON with a newline, as `git notes show` prints it."""
        return to_bytes(self) + b"\n"


def parse_note(raw: bytes, *, commit: str) -> CommitNote:
    """Read the note of `commit`; unknown keys survive, an unknown state is `Refused`."""
    return from_bytes(CommitNote, raw, what=f"the note of commit {commit}")


def ended(before: CommitNote | None, after: CommitNote, *, commit: str) -> CommitNote:
    """The note that stands when `after` is said about a commit that has `before` already.

    Saying the same again changes nothing. A final state stays: `Refused` when `after` contradicts it.
    """
    if before is None or not before.state.final:
        return after
    if (before.state, before.release, before.superseded_by) == (after.state, after.release, after.superseded_by):
        return before
    raise Refused(
        f"commit {commit[:12]} has ended already",
        got=f"{after.state}: {after.reason}".rstrip(": "),
        expected=f"{before.state}: {before.reason}".rstrip(": "),
    )
