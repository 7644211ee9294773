"""The whole door: every answer carries the headers, every error has one shape, nothing is served by accident."""

from __future__ import annotations

import pytest

from flows.web import create_app
from flows.web_answers import SECURITY_HEADERS, status_of
from release.errors import Broken, Misconfigured, Refused
from signing.webhooks import WebhookSecrets
from tests.flows.web_doubles import House

PATHS = [
    "/",
    "/status.json",
    "/healthz",
    "/key",
    "/trust/trusted_root.json",
    "/static/page.css",
    "/repo/edge/x",
    "/nowhere",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_carries_the_security_headers(path: str, method: str) -> None:
    async with House().door() as client:
        answer = await client.request(method, path)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/static/", "/static/nothing.js", "/static/..%2fweb.py", "/events/", "/repo"]
)
async def test_what_is_not_there_is_told_in_our_words(path: str) -> None:
    async with House().door() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error", "message", "where", "got", "expected", "mend"}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_has_no_interactive_documentation_that_loads_assets_from_elsewhere(path: str) -> None:
    async with House().door() as client:
        assert (await client.get(path)).status_code == 404


async def test_is_healthy_whatever_its_services_do() -> None:
    house = House()
    house.fails = Broken("everything is down")
    async with house.door() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert house.asked == []


async def test_serves_its_own_assets_to_be_checked_again_each_time() -> None:
    async with House().door() as client:
        for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("mark.svg", "image/svg+xml")):
            answer = await client.get(f"/static/{name}")
            assert answer.headers["Content-Type"].startswith(kind)
            again = await client.get(f"/static/{name}", headers={"If-None-Match": answer.headers["ETag"]})
            assert again.status_code == 304


def test_each_family_of_errors_has_its_status() -> None:
    assert [status_of(family("x")) for family in (Refused, Misconfigured, Broken)] == [400, 500, 503]


def test_services_print_no_secret() -> None:
    services = House().services(secrets=WebhookSecrets(github="hunter2"))
    assert "hunter2" not in repr(services)
    assert "hunter2" not in repr(create_app(services).__dict__)
