"""A push as the pipeline knows it: made from a forge's event, or ignored for a reason."""

from __future__ import annotations

from dataclasses import dataclass

from release.source.forges import SHOWN, Event, Kind, clean, read_event

SUBJECT_LENGTH = 200
_BRANCHES = "refs/heads/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The repository (`owner/name`, as the poller spells it) and the branches whose pushes start something."""

    repository: str
    branches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One push to a watched branch.

    `before` is None when the push made the branch. `subject` and `author` describe the newest commit where the
    forge does: one line, cut, free of control characters, but otherwise a stranger's words. `forced` is True when
    the forge says that history was rewritten; GitLab and Gitea do not say, so False proves nothing.
    """

    repository: str
    branch: str
    before: str | None
    after: str
    subject: str
    author: str
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An event that is genuine and means nothing to us, and why."""

    reason: str


def idempotency_key(push: Push) -> str:
    """`<repository>@<sha>`: the receiver and the poller use the same key, so one commit starts one run."""
    return f"{push.repository}@{push.after}"


def parse(kind: Kind, event: str | None, body: bytes, watched: Watched) -> Push | Ignored:
    """The push in an event whose signature was checked. `event` is the value of the header `EVENT_HEADER[kind]`.

    `Refused` for an unknown event and for a body that is none. Tags, deletions, pings, other branches and other
    repositories are `Ignored`.
    """
    if kind is Kind.GITHUB and event == "ping":
        return Ignored(reason="ping: the webhook is set up")
    return _push(read_event(kind, event, body), watched)


def _push(event: Event, watched: Watched) -> Push | Ignored:
    repository, branch = event.full_name(), event.ref.removeprefix(_BRANCHES)
    # GitHub and GitLab ignore case in names; a webhook of a whole organization sends every repository's pushes.
    if repository.casefold() != watched.repository.casefold():
        return Ignored(reason=f"repository {clean(repository, SHOWN)} is not {watched.repository}")
    if branch == event.ref:
        return Ignored(reason=f"{clean(event.ref, SHOWN)} is not a branch")
    if branch not in watched.branches:
        return Ignored(reason=f"branch {clean(branch, SHOWN)} is not {' or '.join(watched.branches)}")
    if _is_nothing(event.after):
        return Ignored(reason=f"branch {branch} was deleted")
    newest = event.newest()
    return Push(
        repository=watched.repository,  # in the poller's spelling, so that both make the same key
        branch=branch,
        before=None if _is_nothing(event.before) else event.before,
        after=event.after,
        subject=clean(newest.message.strip().partition("\n")[0], SUBJECT_LENGTH) if newest else "",
        author=clean(newest.author.name, SHOWN) if newest else "",
        forced=event.forced,
    )


def _is_nothing(sha: str) -> bool:
    return not sha.strip("0")
