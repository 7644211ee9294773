"""How each forge words a push: the events of four dialects as checked models with one common face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from release.errors import Refused


class Kind(StrEnum):
    """Who speaks: a forge (Forgejo speaks as Gitea), or our own post-receive hook (`plain`)."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    PLAIN = "plain"


EVENT_HEADER: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.GITHUB: "x-github-event",
        Kind.GITLAB: "x-gitlab-event",
        Kind.GITEA: "x-gitea-event",
        Kind.PLAIN: "x-slipway-event",
    }
)
SHOWN = 100
# Control characters would forge lines of a log; direction-changing ones (Trojan Source, CVE-2021-42574) a page.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")

Sha = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Name = Annotated[str, Field(min_length=1, max_length=1024)]
Words = Annotated[str, Field(max_length=1 << 20)]  # a wordy commit message is no attack; the body has its own cap


class Author(BaseModel):
    """Who wrote a commit."""

    name: Words = ""


class Commit(BaseModel):
    """A pushed commit, as far as a forge describes it."""

    id: Sha
    message: Words = ""
    author: Author = Author()


class Event(BaseModel):
    """What all dialects share: the ref, and the commits it named before and after (all zeros: none).

    Forges add fields as they like, so an unknown field is no error.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    ref: Name
    before: Sha
    after: Sha
    forced: bool = False  # only GitHub and our own hook say it
    commits: tuple[Commit, ...] | None = None

    def full_name(self) -> str:
        """The repository as `owner/name`."""
        raise NotImplementedError

    def newest(self) -> Commit | None:
        """The commit that `after` names, where the event describes it."""
        return next((each for each in self.commits or () if each.id == self.after), None)


class _Repository(BaseModel):
    full_name: Name


class GitHub(Event):
    """GitHub, "Webhook events and payloads", push. Gitea and Forgejo copy it (modules/structs/hook.go)."""

    repository: _Repository
    head_commit: Commit | None = None

    def full_name(self) -> str:
        """`repository.full_name`."""
        return self.repository.full_name

    def newest(self) -> Commit | None:
        """`head_commit`; null when the ref was deleted."""
        return self.head_commit


class _Project(BaseModel):
    path_with_namespace: Name


class GitLab(Event):
    """GitLab, "Webhook events", push and tag events; of many commits only the newest 20 are listed."""

    object_kind: Literal["push", "tag_push"]
    project: _Project

    def full_name(self) -> str:
        """`project.path_with_namespace`."""
        return self.project.path_with_namespace


class Plain(Event):
    """Our post-receive hook. The format is ours, so an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    repository: Name
    subject: Words = ""
    author: Words = ""

    def full_name(self) -> str:
        """`repository`."""
        return self.repository

    def newest(self) -> Commit | None:
        """What the hook's `git log -1` said."""
        return Commit(id=self.after, message=self.subject, author=Author(name=self.author))


_DIALECTS: Mapping[tuple[Kind, str], type[Event]] = MappingProxyType(
    {
        (Kind.GITHUB, "push"): GitHub,
        (Kind.GITLAB, "Push Hook"): GitLab,
        (Kind.GITLAB, "Tag Push Hook"): GitLab,
        (Kind.GITEA, "push"): GitHub,
        (Kind.PLAIN, "push"): Plain,
    }
)


def read_event(kind: Kind, event: str | None, body: bytes) -> Event:
    """The event in a body whose signature was checked. `event` is the value of the header `EVENT_HEADER[kind]`.

    `Refused` for a missing or unknown event, and for a body that is none: where, got, expected.
    """
    dialect = _DIALECTS.get((kind, event or ""))
    if dialect is None:
        raise Refused(
            f"unknown {kind} event",
            where=EVENT_HEADER[kind],
            got=clean(event, SHOWN) if event else "missing",
            expected=" or ".join(name for each, name in _DIALECTS if each is kind),
            hint="subscribe the webhook to push events only",
        )
    try:
        return dialect.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(
            f"not a {kind} push event",
            where=place or None,
            got=clean(repr(first["input"]), SHOWN) if place else f"{len(body)} bytes",
            expected=first["msg"],
        ) from error


def clean(text: str, length: int) -> str:
    """One harmless line of a stranger's text: no control or direction-changing characters, cut with an ellipsis."""
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= length else f"{line[: length - 1]}…"
