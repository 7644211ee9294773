"""Bodies that are no push: each is refused with the place, what it holds and what was expected there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from release.errors import Refused
from release.source.forges import EVENT_HEADER, Kind, clean, read_event
from tests import webhook_samples as samples
from tests.webhook_samples import encoded

PUSH = {Kind.GITHUB: "push", Kind.GITLAB: "Push Hook", Kind.GITEA: "push", Kind.PLAIN: "push"}
SAMPLE = {
    Kind.GITHUB: samples.github,
    Kind.GITLAB: samples.gitlab,
    Kind.GITEA: samples.gitea,
    Kind.PLAIN: samples.plain,
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_an_event_header_and_reads_its_own_push(kind: Kind) -> None:
    event = read_event(kind, PUSH[kind], encoded(SAMPLE[kind]()))
    assert EVENT_HEADER[kind].startswith("x-")
    assert (event.full_name(), event.after) == (samples.REPOSITORY, samples.AFTER)
    newest = event.newest()
    assert newest and newest.message.startswith("zlib: Fix the overflow") and newest.author.name == "Mira Okafor"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("event", [None, "", "issues", "PUSH", "push\n", "Push Hook ", "x" * 5000])
def test_refuses_an_unknown_or_missing_event(kind: Kind, event: str | None) -> None:
    with pytest.raises(Refused, match="unknown") as caught:
        read_event(kind, event, encoded(SAMPLE[kind]()))
    assert len(caught.value.got or "") <= 100
    assert PUSH[kind] in (caught.value.expected or "")
    assert caught.value.where == EVENT_HEADER[kind]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("body", [b"", b"payload=%7B%7D", b"[]", b"null", b"{", b"\xff\xfe", b'"push"', b"[" * 100_000])
def test_refuses_a_body_that_is_no_json_object(kind: Kind, body: bytes) -> None:
    with pytest.raises(Refused, match=f"not a {kind} push event"):
        read_event(kind, PUSH[kind], body)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("field", ["ref", "before", "after"])
def test_names_the_field_that_is_missing(kind: Kind, field: str) -> None:
    event = {name: value for name, value in SAMPLE[kind]().items() if name != field}
    with pytest.raises(Refused) as caught:
        read_event(kind, PUSH[kind], encoded(event))
    assert caught.value.where == field
    assert "required" in (caught.value.expected or "").lower()


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("after", "HEAD"),
        ("after", samples.AFTER.upper()),
        ("after", samples.AFTER + "\n"),
        ("after", samples.AFTER[:39]),
        ("after", "--upload-pack=touch /tmp/x"),
        ("before", 7),
        ("ref", ""),
        ("ref", "r" * 1025),
        ("ref", None),
    ],
)
def test_names_the_field_that_is_wrong_and_shows_it_cut(kind: Kind, field: str, value: Any) -> None:
    with pytest.raises(Refused) as caught:
        read_event(kind, PUSH[kind], encoded(SAMPLE[kind](**{field: value})))
    assert caught.value.where == field
    assert len(caught.value.got or "") <= 100


def test_refuses_a_repository_of_another_shape() -> None:
    with pytest.raises(Refused) as caught:
        read_event(Kind.GITHUB, "push", encoded(samples.github(repository={"name": "distribution"})))
    assert caught.value.where == "repository.full_name"
    with pytest.raises(Refused) as caught:
        read_event(Kind.GITLAB, "Push Hook", encoded(samples.gitlab(project={"path_with_namespace": ["a"]})))
    assert caught.value.where == "project.path_with_namespace"


def test_refuses_a_gitlab_body_of_another_kind_whatever_its_header_says() -> None:
    with pytest.raises(Refused) as caught:
        read_event(Kind.GITLAB, "Push Hook", encoded(samples.gitlab(object_kind="issue")))
    assert caught.value.where == "object_kind"


def test_refuses_an_unknown_field_in_our_own_format_but_not_in_a_forges() -> None:
    with pytest.raises(Refused) as caught:
        read_event(Kind.PLAIN, "push", encoded(samples.plain(sha="abc")))
    assert caught.value.where == "sha"
    assert read_event(Kind.GITHUB, "push", encoded(samples.github(brand_new_field={"x": 1})))


def test_refuses_a_commit_message_of_more_than_a_mebibyte() -> None:
    with pytest.raises(Refused) as caught:
        read_event(Kind.PLAIN, "push", encoded(samples.plain(subject="x" * (1 << 20) + "x")))
    assert caught.value.where == "subject"


def test_reads_commits_named_by_sha256() -> None:
    event = read_event(Kind.PLAIN, "push", encoded(samples.plain(before="1" * 64, after="2" * 64)))
    assert event.after == "2" * 64


def test_finds_the_newest_commit_by_its_name_not_by_its_place() -> None:
    commits = [samples.commit(), samples.commit(samples.BEFORE, "older, listed last")]
    event = read_event(Kind.GITLAB, "Push Hook", encoded(samples.gitlab(commits=commits)))
    newest = event.newest()
    assert newest and newest.id == samples.AFTER
    assert read_event(Kind.GITLAB, "Push Hook", encoded(samples.gitlab(commits=None))).newest() is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\r\nlines\t", "two lines"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("abc\u202edcba", "abc dcba"),
        ("nul\x00and\u2028separator", "nul and separator"),
        (json.loads(r'"half a pair \ud800"'), "half a pair"),
        ("ünïcödé 🚢", "ünïcödé 🚢"),
        ("x" * 21, "x" * 19 + "…"),
    ],
)
def test_cleans_a_strangers_text_to_one_harmless_line(text: str, line: str) -> None:
    assert clean(text, 20) == line
