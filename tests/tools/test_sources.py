"""Sources by their pinned hash: the order of origins, what counts, and what is said when nobody has the bytes."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from release.errors import Broken, Error, Refused
from release.source.specs import Source
from release.tools.registry import Registry
from release.tools.sources import LOCAL, Lookaside, Origin, SourceResolver, check_local
from release.tools.store import Store

SPEC = "SPECS/zlib/zlib.spec"
CONTENT = b"a tarball of some upstream\n" * 4096


def pinned(content: bytes = CONTENT, *, url: str | None = None, file: str = "zlib-1.0.tar.gz") -> Source:
    return Source(file=file, url=url, sha256=hashlib.sha256(content).hexdigest(), local=False)


class Shelf:
    """An origin that has what it is given, and remembers whom it was asked for."""

    def __init__(self, name: str, content: bytes | Error) -> None:
        self.name = name
        self.asked: list[str] = []
        self._content = content

    async def fetch(self, source: Source, target: Path) -> None:
        self.asked.append(source.file)
        if isinstance(self._content, Error):
            raise self._content
        await asyncio.to_thread(target.write_bytes, self._content)


class Resolving:
    """A resolver over fresh folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")

    def over(self, *origins: Origin) -> SourceResolver:
        return SourceResolver(store=self.store, origins=origins, scratch=self.folder / "scratch")


@pytest.fixture
def resolving(tmp_path: Path) -> Resolving:
    return Resolving(tmp_path)


async def test_takes_the_first_origin_that_has_the_pinned_bytes(resolving: Resolving) -> None:
    nobody, first, second = Shelf("nobody", Broken("no")), Shelf("first", CONTENT), Shelf("second", CONTENT)
    source = pinned()
    found = (await resolving.over(nobody, first, second).resolve([source], spec=SPEC))[0]
    assert (found.file, found.digest, found.size, found.origin) == (source.file, source.digest, len(CONTENT), "first")
    assert resolving.store.read(found.digest) == CONTENT
    assert (nobody.asked, second.asked) == ([source.file], [])


async def test_asks_nobody_for_what_the_store_has(resolving: Resolving) -> None:
    resolving.store.put_bytes(CONTENT)
    shelf = Shelf("shelf", CONTENT)
    found = await resolving.over(shelf).resolve([pinned()], spec=SPEC)
    assert (found[0].origin, shelf.asked) == (LOCAL, [])


async def test_goes_on_after_an_origin_with_other_bytes(resolving: Resolving) -> None:
    liar, honest = Shelf("liar", b"malware"), Shelf("honest", CONTENT)
    found = await resolving.over(liar, honest).resolve([pinned()], spec=SPEC)
    assert found[0].origin == "honest"
    assert not resolving.store.has(f"sha256:{hashlib.sha256(b'malware').hexdigest()}")


async def test_refuses_a_source_whose_only_bytes_are_others(resolving: Resolving) -> None:
    origins = (Shelf("the registry", Broken("not there")), Shelf("its URL", b"malware"))
    with pytest.raises(Refused) as caught:
        await resolving.over(*origins).resolve([pinned()], spec=SPEC)
    error = caught.value
    assert error.where == SPEC
    assert "zlib-1.0.tar.gz" in error.message
    assert error.expected == pinned().digest
    assert f"its URL: other bytes (sha256:{hashlib.sha256(b'malware').hexdigest()})" in (error.got or "")
    assert "the registry: not there" in (error.got or "")
    assert "SPECS/zlib/zlib.signatures.json" in (error.hint or "")


async def test_one_error_says_who_was_asked_and_what_each_said(resolving: Resolving) -> None:
    origins = (Shelf("the registry", Broken("not there")), Shelf("its URL", Broken("it failed", got="404")))
    with pytest.raises(Broken) as caught:
        await resolving.over(*origins).resolve([pinned()], spec=SPEC)
    assert caught.value.where == SPEC
    assert caught.value.got == "the registry: not there\n       its URL: it failed (404)"


async def test_leaves_nothing_behind(resolving: Resolving) -> None:
    with pytest.raises(Refused):
        await resolving.over(Shelf("liar", b"malware")).resolve([pinned()], spec=SPEC)
    assert list((resolving.folder / "scratch").iterdir()) == []


async def test_answers_in_the_order_of_the_question(resolving: Resolving) -> None:
    contents = {f"{number}.tar.gz": str(number).encode() for number in range(20)}

    class Library:
        name = "library"

        async def fetch(self, source: Source, target: Path) -> None:
            await asyncio.to_thread(target.write_bytes, contents[source.file])

    sources = [pinned(content, file=file) for file, content in contents.items()]
    found = await resolving.over(Library()).resolve(sources, spec=SPEC)
    assert [each.file for each in found] == list(contents)


def test_refuses_a_file_beside_the_spec_that_is_not_the_pinned_one(tmp_path: Path) -> None:
    (tmp_path / "zlib.conf").write_bytes(CONTENT)
    right = Source(file="zlib.conf", url=None, sha256=hashlib.sha256(CONTENT).hexdigest(), local=True)
    unpinned = Source(file="fix.patch", url=None, sha256=None, local=True)
    check_local(tmp_path, [right, unpinned, pinned()], spec=SPEC)
    (tmp_path / "zlib.conf").write_bytes(b"edited")
    with pytest.raises(Refused) as caught:
        check_local(tmp_path, [right], spec=SPEC)
    assert (caught.value.where, caught.value.expected) == (SPEC, right.digest)


@pytest.mark.integration
async def test_takes_a_source_from_the_registry(resolving: Resolving, registry_url: str) -> None:
    async with Registry(url=registry_url) as registry:
        await registry.push_blob("sources/kept", CONTENT)
        kept = await resolving.over(Lookaside(registry, "sources/kept")).resolve([pinned()], spec=SPEC)
        assert (kept[0].origin, kept[0].size) == ("the registry", len(CONTENT))
        with pytest.raises(Broken, match="no build has used it yet"):
            await resolving.over(Lookaside(registry, "sources/kept")).resolve([pinned(b"another")], spec=SPEC)
