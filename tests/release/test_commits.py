"""Every commit ends in one recorded state, and the record is not lost or contradicted."""

from __future__ import annotations

import json

import pytest

from release.errors import Refused
from release.source.commits import CommitNote, End, ended, parse_note
from tests.release.promotion_world import digest, ref

SHA = "c" * 40
NOTES = {
    End.RELEASED: CommitNote(state=End.RELEASED, release=ref(1)),
    End.SUPERSEDED: CommitNote(state=End.SUPERSEDED, superseded_by="d" * 40),
    End.NO_OP: CommitNote(state=End.NO_OP, reason="only documentation changed", release=ref(1)),
    End.FAILED: CommitNote(state=End.FAILED, reason="zlib does not build", log=digest("log")),
    End.REFUSED: CommitNote(state=End.REFUSED, reason="BuildRequires that nothing provides"),
}


@pytest.mark.parametrize("note", NOTES.values(), ids=list(NOTES))
def test_comes_back_equal(note: CommitNote) -> None:
    assert parse_note(note.to_bytes(), commit=SHA) == note


def test_is_json_that_git_shows_well() -> None:
    raw = NOTES[End.RELEASED].to_bytes()
    assert raw.endswith(b"\n")
    assert json.loads(raw) == {
        "state": "released",
        "reason": "",
        "release": {"digest": ref(1).digest, "alias": "R-20261122.1"},
    }


def test_equal_notes_are_equal_bytes() -> None:
    again = CommitNote(state=End.FAILED, log=digest("log"), reason="zlib does not build")
    assert again.to_bytes() == NOTES[End.FAILED].to_bytes()


def test_unknown_keys_survive() -> None:
    raw = b'{"reason":"no change","state":"no-op","took":{"seconds":2}}\n'
    assert parse_note(raw, commit=SHA).to_bytes() == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"{}",
        b'{"state":"fine","reason":"x"}',
        b'{"state":"released"}',
        b'{"state":"failed","reason":""}',
    ],
)
def test_refuses_what_is_no_state(raw: bytes) -> None:
    with pytest.raises(Refused, match=f"note of commit {SHA}"):
        parse_note(raw, commit=SHA)


@pytest.mark.parametrize("state", End)
def test_a_state_without_its_cause_is_none(state: End) -> None:
    with pytest.raises(ValueError, match="names its release"):
        CommitNote(state=state)


@pytest.mark.parametrize("state", End)
def test_the_first_word_stands(state: End) -> None:
    assert ended(None, NOTES[state], commit=SHA) is NOTES[state]


@pytest.mark.parametrize("state", [End.FAILED, End.REFUSED])
def test_a_mended_commit_can_end_well(state: End) -> None:
    assert ended(NOTES[state], NOTES[End.RELEASED], commit=SHA) is NOTES[End.RELEASED]


@pytest.mark.parametrize("state", [End.RELEASED, End.SUPERSEDED, End.NO_OP])
@pytest.mark.parametrize("later", End)
def test_a_final_state_stays(state: End, later: End) -> None:
    if later is state:
        assert ended(NOTES[state], NOTES[later], commit=SHA) is NOTES[state]
        return
    with pytest.raises(Refused, match="has ended already") as caught:
        ended(NOTES[state], NOTES[later], commit=SHA)
    assert state in str(caught.value.expected)


def test_saying_it_again_in_other_words_changes_nothing() -> None:
    again = CommitNote(state=End.RELEASED, release=ref(1), reason="found on the second run")
    assert ended(NOTES[End.RELEASED], again, commit=SHA) is NOTES[End.RELEASED]


def test_one_commit_never_becomes_two_releases() -> None:
    with pytest.raises(Refused, match="has ended already"):
        ended(NOTES[End.RELEASED], CommitNote(state=End.RELEASED, release=ref(2)), commit=SHA)
