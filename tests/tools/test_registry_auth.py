"""Logins and tokens: enough to get in everywhere we may, and never a byte of them to anybody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from release import oci
from release.digests import digest_of
from release.errors import Broken, Misconfigured, Refused
from release.tools.registry import Registry
from release.tools.registry_auth import Access, Authorizer, Login
from release.tools.registry_credentials import DockerCredentials
from release.tools.registry_http import Patience
from tests.tools.registry_simulator import RegistrySimulator

HASTY = Patience(attempts=2, base=0.001)
USER = ("shipwright", "s3cret:with:colons")
DIGEST = digest_of(b"content")


class Logins:
    """A credential store that knows some hosts and remembers which it was asked about."""

    def __init__(self) -> None:
        self.known: dict[str, Login] = {}
        self.asked: set[str] = set()

    async def login(self, host: str) -> Login | None:
        self.asked.add(host)
        return self.known.get(host)


def logins(*simulators: RegistrySimulator, secret: str = USER[1]) -> Logins:
    store = Logins()
    store.known = {each.host: Login(user=USER[0], secret=secret) for each in simulators}
    return store


def client(simulator: RegistrySimulator, store: Logins | None) -> Registry:
    return Registry(url=simulator.url, credentials=store, patience=HASTY)


@pytest.mark.parametrize("basic", [False, True])
async def test_a_login_lets_us_push_and_pull(basic: bool) -> None:
    with RegistrySimulator(login=USER, basic=basic) as simulator:
        async with client(simulator, logins(simulator)) as registry:
            await registry.ping()
            await registry.push_blob("a/b", b"content")
            assert await registry.pull_blob("a/b", DIGEST, limit_bytes=10) == b"content"


async def test_one_token_serves_a_whole_publication() -> None:
    """The trap of several clients: they ask for `pull` first and then cannot push with that token."""
    with RegistrySimulator(login=USER) as simulator:
        async with client(simulator, logins(simulator)) as registry:
            await registry.push_blobs("a/b", [f"{n}".encode() for n in range(50)])
            await registry.push_document("a/b", oci.manifest(layers=()), tag="t")
            await registry.pull_document("a/b", "t")
        assert simulator.count("GET /token") == 1
        assert "pull%2Cpush" in next(str(each) for each in simulator.seen if "/token" in each.path)


async def test_each_repository_gets_its_own_token() -> None:
    with RegistrySimulator(login=USER) as simulator:
        async with client(simulator, logins(simulator)) as registry:
            await registry.push_blob("a/one", b"content")
            await registry.push_blob("a/two", b"content")
        assert set(simulator.tokens.values()) == {"repository:a/one:pull,push", "repository:a/two:pull,push"}


async def test_a_reader_that_becomes_a_writer_asks_again() -> None:
    with RegistrySimulator(login=USER) as simulator:
        async with client(simulator, logins(simulator)) as registry:
            assert not await registry.has_blob("a/b", DIGEST)
            await registry.push_blob("a/b", b"content")
        assert list(simulator.tokens.values()) == ["repository:a/b:pull", "repository:a/b:pull,push"]


async def test_a_token_that_dies_underway_is_replaced() -> None:
    with RegistrySimulator(login=USER) as simulator:
        async with client(simulator, logins(simulator)) as registry:
            await registry.push_blob("a/b", b"content")
            simulator.tokens.clear()
            await registry.push_blob("a/b", b"more")
            assert await registry.has_blob("a/b", digest_of(b"more"))
        assert simulator.count("GET /token") == 2


async def test_a_token_is_renewed_before_it_ends() -> None:
    now = [0.0]
    fetched: list[str] = []

    async def fetch(url: httpx.URL, _: str | None) -> bytes:
        fetched.append(str(url))
        return json.dumps({"access_token": f"t{len(fetched)}", "expires_in": 100}).encode()

    authorizer = authorizer_of("https://r.example", fetch, now=lambda: now[0])
    authorizer.learn(challenge('Bearer realm="https://auth.example/token",service="s"'), None, None)
    access = Access(repository="a/b")
    for moment, expected in ((0, "t1"), (79, "t1"), (81, "t2"), (160, "t2"), (162, "t3")):
        now[0] = moment
        assert await authorizer.header(access) == f"Bearer {expected}"
    assert fetched[0] == "https://auth.example/token?service=s&scope=repository%3Aa%2Fb%3Apull"


async def test_anonymous_readers_get_in_where_they_may_and_cannot_write() -> None:
    with RegistrySimulator(login=USER, anonymous_pull=True) as simulator:
        simulator.blobs["a/b", DIGEST] = b"content"
        async with client(simulator, None) as registry:
            assert await registry.pull_blob("a/b", DIGEST, limit_bytes=10) == b"content"
            with pytest.raises(Refused, match="refused the request"):
                await registry.push_blob("a/b", b"mine")


@pytest.mark.parametrize("basic", [False, True])
async def test_a_wrong_password_is_one_clear_refusal(basic: bool) -> None:
    with RegistrySimulator(login=USER, basic=basic) as simulator:
        async with client(simulator, logins(simulator, secret="wrong-password")) as registry:
            with pytest.raises(Refused, match="refused the request") as refusal:
                await registry.push_blob("a/b", b"content")
    assert "docker login" in (refusal.value.hint or "")
    assert "wrong-password" not in str(refusal.value)


async def test_a_forbidden_repository_is_one_clear_refusal() -> None:
    with RegistrySimulator() as simulator:
        simulator.misbehave("POST", status=403)
        async with client(simulator, None) as registry:
            with pytest.raises(Refused, match="403"):
                await registry.push_blob("a/b", b"content")
        assert simulator.count("POST") == 1


async def test_a_redirect_to_another_host_carries_no_authorization() -> None:
    with RegistrySimulator(login=USER) as ours, RegistrySimulator() as storage:
        storage.blobs["a/b", DIGEST] = ours.blobs["a/b", DIGEST] = b"content"
        ours.misbehave("GET .*/blobs/", redirect=storage.url, times=9)
        async with client(ours, logins(ours, storage)) as registry:
            await registry.has_blob("a/b", DIGEST)  # now there is a token to lose
            assert await registry.pull_blob("a/b", DIGEST, limit_bytes=10) == b"content"
        assert ours.seen[-1].headers["authorization"].startswith("Bearer ")
        assert [each.headers["authorization"] for each in storage.seen] == [None]


async def test_an_upload_location_on_another_host_gets_no_authorization() -> None:
    with RegistrySimulator(login=USER) as ours, RegistrySimulator() as storage:
        storage.uploads.add("s")
        where = f"{storage.url}/v2/a/b/blobs/uploads/s?_state=a%2Bb%3D%3D"
        ours.misbehave("POST", times=9, headers={"Location": where})
        async with client(ours, logins(ours)) as registry:
            await registry.push_blob("a/b", b"content")
        assert storage.blobs["a/b", DIGEST] == b"content"
        assert [each.headers["authorization"] for each in storage.seen] == [None]


async def test_the_login_of_one_registry_never_reaches_another() -> None:
    with RegistrySimulator(login=USER) as ours, RegistrySimulator(login=("x", "y")) as theirs:
        store = logins(ours)
        async with client(ours, store) as first, client(theirs, store) as second:
            await first.push_blob("a/b", b"content")
            with pytest.raises(Refused):
                await second.push_blob("a/b", b"content")
        assert {each.headers["authorization"] for each in theirs.seen} == {None}
        assert store.asked == {ours.host, theirs.host}


async def test_a_circle_of_redirects_ends() -> None:
    with RegistrySimulator() as simulator:
        simulator.misbehave("GET", redirect=simulator.url, times=99)
        async with client(simulator, None) as registry:
            with pytest.raises(Broken, match="redirects in a circle"):
                await registry.pull_blob("a/b", DIGEST, limit_bytes=10)


async def test_a_password_is_not_sent_to_an_open_token_service() -> None:
    authorizer = authorizer_of("https://r.example", never)
    authorizer.learn(challenge('Bearer realm="http://auth.example/token"'), None, None)
    with pytest.raises(Refused, match="open connection"):
        await authorizer.header(Access(repository="a/b"))


async def test_a_realm_that_is_no_url_is_a_clear_error() -> None:
    authorizer = authorizer_of("https://r.example", never)
    authorizer.learn(challenge('Bearer realm="https://host:port/"'), None, None)
    with pytest.raises(Broken, match="malformed URL"):
        await authorizer.header(None)


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"token": "x", "expires_in": "soon"}'])
async def test_a_token_service_without_a_token_is_an_error(answer: bytes) -> None:
    async def fetch(_: httpx.URL, __: str | None) -> bytes:
        return answer

    authorizer = authorizer_of("http://r.example", fetch)
    authorizer.learn(challenge('Bearer realm="http://auth.example/token"'), None, None)
    with pytest.raises(Broken, match="sent no token"):
        await authorizer.header(None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Bearer realm="http://a/t",service="s"'], "Bearer t"),
        (['Basic realm="x"', 'Bearer realm="http://a/t"'], "Bearer t"),
        (['Basic realm="x", Bearer realm="http://a/t",scope="repository:a:pull,push"'], "Bearer t"),
        (["bearer realm=http://a/t"], "Bearer t"),
        (["BASIC realm=x"], "Basic dTpw"),
        (["Negotiate"], None),
        ([], None),
    ],
)
async def test_challenges_of_every_spelling(values: list[str], expected: str | None) -> None:
    async def fetch(url: httpx.URL, _: str | None) -> bytes:
        assert url.host == "a"
        return b'{"token": "t"}'

    store = Logins()
    store.known["r.example"] = Login(user="u", secret="p")
    authorizer = Authorizer(registry=httpx.URL("http://r.example"), credentials=store, fetch=fetch)
    assert authorizer.learn(challenge(*values), None, None) is (expected is not None)
    assert await authorizer.header(None) == expected


def test_a_secret_does_not_print() -> None:
    assert "s3cret" not in repr(Login(user=USER[0], secret=USER[1]))


async def test_logins_come_from_dockers_file(tmp_path: Path) -> None:
    basic = base64.b64encode(":".join(USER).encode()).decode()
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"r.example": {"auth": basic}, "empty.example": {}}}))
    credentials = DockerCredentials(path)
    assert await credentials.login("r.example") == Login(user=USER[0], secret=USER[1])
    assert await credentials.login("empty.example") is None
    assert await credentials.login("other.example:5000") is None


async def test_logins_come_from_a_credential_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread host; [ "$host" = r.example ] || exit 1\necho \'{"Username": "u", "Secret": "p"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"credsStore": "test"}))
    credentials = DockerCredentials(path)
    assert await credentials.login("r.example") == Login(user="u", secret="p")
    assert await credentials.login("other.example") is None


async def test_no_file_means_anonymous(tmp_path: Path) -> None:
    assert await DockerCredentials(tmp_path / "none.json").login("r.example") is None


async def test_only_the_given_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to itself oras adds the home folder's file, and which one wins depends on the hash seed."""
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {"r.example": {"auth": "dTpw"}}}))
    monkeypatch.setenv("HOME", str(home))
    path = tmp_path / "config.json"
    path.write_text("{}")
    assert await DockerCredentials(path).login("r.example") is None


@pytest.mark.parametrize("text", ["not json", "[]", '{"auths": {"r.example": {"auth": "%%%"}}}', '{"auths": []}'])
async def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(Misconfigured, match="cannot be read") as failure:
        await DockerCredentials(path).login("r.example")
    assert str(path) in str(failure.value)


async def never(_: httpx.URL, __: str | None) -> bytes:
    raise AssertionError("the token service was asked")


def authorizer_of(
    url: str,
    fetch: Callable[[httpx.URL, str | None], Awaitable[bytes]],
    now: Callable[[], float] = lambda: 0.0,
) -> Authorizer:
    return Authorizer(registry=httpx.URL(url), credentials=None, fetch=fetch, now=now)


def challenge(*values: str) -> httpx.Headers:
    return httpx.Headers([("www-authenticate", value) for value in values])
