"""Events at the door: genuine ones start one run, all others are told why not, and nothing is read in vain."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest

from flows import web_receiver
from flows.web import create_app
from flows.web_receiver import MAX_BODY
from release.errors import Broken, Misconfigured
from signing.webhooks import WebhookSecrets
from tests import webhook_samples as samples
from tests.flows.web_doubles import House
from tests.webhook_samples import AFTER, NOW, REPOSITORY, SECRET, encoded

JSON = {"Content-Type": "application/json"}
KEY = f"{REPOSITORY}@{AFTER}"


@pytest.fixture
def house() -> House:
    return House()


async def post(house: House, body: bytes, headers: dict[str, str], **changes: Any) -> httpx.Response:
    async with house.door(**changes) as client:
        return await client.post("/events", content=body, headers={**JSON, **headers})


def genuine(kind: str) -> tuple[bytes, dict[str, str]]:
    body = encoded(getattr(samples, kind)())
    makers = {
        "github": samples.github_headers,
        "gitea": samples.gitea_headers,
        "gitlab": lambda _: samples.gitlab_headers(),
        "plain": samples.plain_headers,
    }
    return body, makers[kind](body)


@pytest.mark.parametrize("kind", ["github", "gitea", "gitlab", "plain"])
async def test_a_genuine_push_starts_a_run(house: House, kind: str) -> None:
    answer = await post(house, *genuine(kind))
    assert answer.status_code == 202
    assert answer.json() == {"flow_run": "run-1", "idempotency_key": KEY}
    assert [push.subject for push in house.pushes] == ["zlib: Fix the overflow"]


async def test_the_same_commit_told_by_everyone_and_again_starts_one_run(house: House) -> None:
    answers = [await post(house, *genuine(kind)) for kind in ("github", "gitea", "gitlab", "plain", "github")]
    assert {answer.json()["flow_run"] for answer in answers} == {"run-1"}
    assert list(house.runs) == [KEY]


async def test_a_signed_gitlab_event_starts_a_run(house: House) -> None:
    body = encoded(samples.gitlab())
    secrets = WebhookSecrets(gitlab=samples.SIGNING_TOKEN)
    assert (await post(house, body, samples.gitlab_signed_headers(body), secrets=secrets)).status_code == 202


async def test_a_push_to_another_branch_is_ignored_with_the_reason(house: House) -> None:
    body = encoded(samples.github("refs/heads/main"))
    answer = await post(house, body, samples.github_headers(body))
    assert (answer.status_code, answer.json()) == (200, {"ignored": "branch main is not stable"})
    assert house.asked == []


async def test_a_ping_is_answered(house: House) -> None:
    body = b'{"zen": "Design for failure."}'
    answer = await post(house, body, samples.github_headers(body, event="ping"))
    assert answer.json() == {"ignored": "ping: the webhook is set up"}


@pytest.mark.parametrize("kind", ["github", "gitea", "plain"])
async def test_a_forged_event_is_refused_before_it_is_parsed(house: House, kind: str) -> None:
    headers = genuine(kind)[1]
    answer = await post(house, b"{not even JSON", headers)
    assert answer.status_code == 401
    assert answer.json()["message"] == "the signature does not match"
    assert answer.json()["mend"]
    assert house.asked == []


async def test_an_unsigned_event_is_refused_with_what_was_expected(house: House) -> None:
    answer = await post(house, encoded(samples.github()), {"X-GitHub-Event": "push"})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "message", "where", "got", "expected", "mend"}
    assert "x-hub-signature-256" in answer.json()["expected"]


async def test_an_event_that_two_kinds_claim_is_refused(house: House) -> None:
    body, headers = genuine("github")
    answer = await post(house, body, {**headers, **samples.plain_headers(body)})
    assert answer.status_code == 401
    assert "two kinds" in answer.json()["message"]


async def test_a_replayed_event_is_refused(house: House) -> None:
    body, headers = genuine("plain")
    house.now = NOW + timedelta(minutes=6)
    answer = await post(house, body, headers)
    assert (answer.status_code, house.asked) == (401, [])
    assert "replay" in answer.json()["message"]


async def test_a_door_without_secrets_refuses_everyone(house: House) -> None:
    for kind in ("github", "gitea", "gitlab", "plain"):
        assert (await post(house, *genuine(kind), secrets=WebhookSecrets())).status_code == 401


@pytest.mark.parametrize("event", ["issues", "workflow_run", "", "push push"])
async def test_an_unknown_event_is_refused(house: House, event: str) -> None:
    body = encoded(samples.github())
    answer = await post(house, body, samples.github_headers(body, event=event))
    assert answer.status_code == 400
    assert answer.json()["expected"] == "push"
    assert house.asked == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"ref": 1}', b"{"])
async def test_a_signed_body_that_is_no_push_is_refused(house: House, body: bytes) -> None:
    answer = await post(house, body, samples.github_headers(body))
    assert answer.status_code == 400
    assert answer.json()["message"] == "not a github push event"


@pytest.mark.parametrize("given", ["application/x-www-form-urlencoded", "text/json", "", "application/jsonx"])
async def test_another_content_type_is_refused_with_the_mend(house: House, given: str) -> None:
    body, headers = genuine("github")
    answer = await post(house, body, {**headers, "Content-Type": given})
    assert answer.status_code == 415
    assert "webhook settings" in answer.json()["mend"]


async def test_a_content_type_may_name_its_charset(house: House) -> None:
    body, headers = genuine("github")
    answer = await post(house, body, {**headers, "Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 202


async def test_a_declared_length_over_the_cap_is_refused_before_a_byte_is_read(house: House) -> None:
    pulled = await raw_request(house, [(b"content-length", str(MAX_BODY + 1).encode())])
    assert pulled == (413, 0)


@pytest.mark.parametrize("declared", [[], [(b"content-length", b"10")], [(b"content-length", b"-1")]])
async def test_an_endless_body_is_given_up_at_the_cap(house: House, declared: list[tuple[bytes, bytes]]) -> None:
    status, pulled = await raw_request(house, declared)
    assert status == 413
    assert pulled == MAX_BODY // CHUNK + 1


CHUNK = 1 << 16


async def raw_request(house: House, extra: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Status, and how many chunks of an endless body the app took."""
    pulled, statuses = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal pulled
        pulled += 1
        return {"type": "http.request", "body": b"x" * CHUNK, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *extra],
        "client": None,
    }
    await create_app(house.services())(scope, receive, send)  # type: ignore[arg-type]
    return statuses[0], pulled


async def test_a_body_of_exactly_the_cap_is_read(house: House) -> None:
    body = encoded(samples.plain())
    body += b" " * (MAX_BODY - len(body))
    assert (await post(house, body, samples.plain_headers(body))).status_code == 202


async def test_asks_for_another_delivery_when_the_run_cannot_be_started(house: House) -> None:
    house.fails = Broken("Prefect does not answer", where="http://127.0.0.1:5803/api", got="connection refused")
    answer = await post(house, *genuine("github"))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert answer.json()["got"] == "connection refused"
    house.fails = None
    assert (await post(house, *genuine("github"))).status_code == 202


async def test_does_not_let_the_forge_wait_for_an_orchestrator_that_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_receiver, "START_SECONDS", 0.05)
    house.slow = 30
    answer = await post(house, *genuine("github"))
    assert answer.status_code == 503
    assert answer.json()["where"] == KEY


async def test_what_a_person_must_mend_is_not_blamed_on_the_sender(house: House) -> None:
    house.fails = Misconfigured("no deployment is registered", hint="slipway up")
    answer = await post(house, *genuine("github"))
    assert (answer.status_code, answer.json()["mend"]) == (500, "slipway up")


async def test_an_unforeseen_error_tells_strangers_nothing(house: House) -> None:
    house.fails = RuntimeError(f"token {SECRET} was wrong")
    answer = await post(house, *genuine("github"))
    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_events_are_posted_only(house: House, method: str) -> None:
    async with house.door() as client:
        answer = await client.request(method, "/events")
    assert answer.status_code == 405
    assert answer.json()["where"] == f"{method} /events"
    assert answer.headers["Allow"] == "POST"


async def test_logs_each_event_in_one_line_and_no_secret(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="slipway.web")
    body = encoded(samples.plain("refs/heads/x\nroot logged in"))
    for kind in ("github", "gitlab"):
        await post(house, *genuine(kind))
    await post(house, body, samples.plain_headers(body))
    await post(house, body, samples.gitlab_headers(token="a wrong token"))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert KEY in lines[0] and "run-1" in lines[0]
    assert all(line.isprintable() for line in lines)
    assert SECRET not in json.dumps(lines) and "a wrong token" not in json.dumps(lines)
