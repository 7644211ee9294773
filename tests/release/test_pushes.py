"""Which pushes start something, which are ignored and why, and the key that makes one commit one run."""

from __future__ import annotations

from typing import Any

import pytest

from release.source.forges import Kind
from release.source.pushes import Ignored, Push, Watched, idempotency_key, parse
from tests import webhook_samples as samples
from tests.webhook_samples import AFTER, BEFORE, NOTHING, REPOSITORY, encoded

WATCHED = Watched(repository=REPOSITORY, branches=("stable", "channels"))
DIALECTS = [
    (Kind.GITHUB, "push", samples.github),
    (Kind.GITLAB, "Push Hook", samples.gitlab),
    (Kind.GITEA, "push", samples.gitea),
    (Kind.PLAIN, "push", samples.plain),
]
every_dialect = pytest.mark.parametrize(("kind", "event", "sample"), DIALECTS)


def push_of(kind: Kind, event: str, sample: dict[str, Any]) -> Push:
    result = parse(kind, event, encoded(sample), WATCHED)
    assert isinstance(result, Push)
    return result


def reason_of(kind: Kind, event: str, sample: dict[str, Any]) -> str:
    result = parse(kind, event, encoded(sample), WATCHED)
    assert isinstance(result, Ignored)
    return result.reason


@every_dialect
def test_all_dialects_say_the_same_push(kind: Kind, event: str, sample: Any) -> None:
    assert push_of(kind, event, sample()) == Push(
        repository=REPOSITORY,
        branch="stable",
        before=BEFORE,
        after=AFTER,
        subject="zlib: Fix the overflow",
        author="Mira Okafor",
        forced=False,
    )


@every_dialect
def test_the_key_is_the_same_whoever_tells_of_the_commit(kind: Kind, event: str, sample: Any) -> None:
    assert idempotency_key(push_of(kind, event, sample())) == f"{REPOSITORY}@{AFTER}"


@every_dialect
def test_a_push_that_makes_the_branch_has_no_before(kind: Kind, event: str, sample: Any) -> None:
    assert push_of(kind, event, sample(before=NOTHING)).before is None


@every_dialect
def test_a_push_to_each_watched_branch_counts(kind: Kind, event: str, sample: Any) -> None:
    assert push_of(kind, event, sample("refs/heads/channels")).branch == "channels"


@every_dialect
@pytest.mark.parametrize("branch", ["main", "stable/next", "stable2", "Stable", "refs/heads/stable"])
def test_ignores_another_branch_and_names_both(kind: Kind, event: str, sample: Any, branch: str) -> None:
    reason = reason_of(kind, event, sample(f"refs/heads/{branch}"))
    assert reason == f"branch {branch} is not stable or channels"


@every_dialect
@pytest.mark.parametrize("ref", ["refs/tags/stable", "refs/notes/slipway", "stable", "refs/merge-requests/1/head"])
def test_ignores_a_ref_that_is_no_branch(kind: Kind, event: str, sample: Any, ref: str) -> None:
    assert reason_of(kind, event, sample(ref)) == f"{ref} is not a branch"


@every_dialect
def test_ignores_the_deletion_of_the_branch(kind: Kind, event: str, sample: Any) -> None:
    gone = {} if kind is Kind.PLAIN else {"commits": [], **({} if kind is Kind.GITLAB else {"head_commit": None})}
    assert reason_of(kind, event, sample(after=NOTHING, **gone)) == "branch stable was deleted"


def test_ignores_a_tag_that_gitlab_tells_with_its_own_event() -> None:
    assert reason_of(Kind.GITLAB, "Tag Push Hook", samples.gitlab_tag()) == "refs/tags/v1.0.0 is not a branch"


def test_ignores_githubs_ping_without_looking_into_it() -> None:
    result = parse(Kind.GITHUB, "ping", b'{"zen": "Encourage flow.", "hook_id": 1}', WATCHED)
    assert result == Ignored(reason="ping: the webhook is set up")


def test_ignores_another_repository_that_shares_the_secret() -> None:
    other = {"full_name": "skiff/website"}
    assert reason_of(Kind.GITHUB, "push", samples.github(repository=other)) == (
        f"repository skiff/website is not {REPOSITORY}"
    )


def test_takes_the_watched_spelling_of_the_repository_so_that_the_pollers_key_is_the_same() -> None:
    shouted = {"full_name": REPOSITORY.upper()}
    assert push_of(Kind.GITHUB, "push", samples.github(repository=shouted)).repository == REPOSITORY


def test_carries_what_the_forge_says_of_rewritten_history() -> None:
    assert push_of(Kind.GITHUB, "push", samples.github(forced=True)).forced
    assert push_of(Kind.PLAIN, "push", samples.plain(forced=True)).forced


def test_a_push_without_a_description_of_its_commit_is_still_a_push() -> None:
    push = push_of(Kind.GITLAB, "Push Hook", samples.gitlab(commits=[]))
    assert (push.subject, push.author, push.after) == ("", "", AFTER)


def test_the_subject_is_the_first_line_cut_and_harmless() -> None:
    message = "\n\n\x1b]0;owned\x07 " + "x" * 400 + "\nbody"
    push = push_of(Kind.PLAIN, "push", samples.plain(subject=message, author="Eve\nadmin"))
    assert push.subject.startswith("]0;owned  x")
    assert len(push.subject) == 200 and push.subject.endswith("…")
    assert push.author == "Eve admin"


@pytest.mark.parametrize("message", ["", "\n", "   \n\n  "])
def test_an_empty_message_gives_an_empty_subject(message: str) -> None:
    assert push_of(Kind.PLAIN, "push", samples.plain(subject=message)).subject == ""


def test_a_hostile_branch_name_reaches_the_reason_as_one_short_line() -> None:
    reason = reason_of(Kind.PLAIN, "push", samples.plain("refs/heads/" + "\u202e\x07<b>" * 100))
    assert len(reason) < 150
    assert reason.isprintable()
