"""One OCI registry: blobs and documents pushed and pulled by content, tags, referrers; whatever is read is verified.

Source: OCI distribution-spec 1.1. Everything here may be called concurrently, and repeated after a failure.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Container, Iterable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx

from release import oci
from release.digests import checked, digest_of
from release.errors import Misconfigured, Refused
from release.tools import registry_transfer
from release.tools.registry_auth import Access, CredentialStore
from release.tools.registry_documents import Documents
from release.tools.registry_http import Call, Patience, Wire
from release.tools.store import digest_of_file, disk_errors

Item = TypeVar("Item")
Result = TypeVar("Result")
CONCURRENCY = 32
BLOB = "application/octet-stream"
# distribution-spec 1.1, Pulling manifests
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\Z")
_log = logging.getLogger(__name__)


class Registry:
    """A client of the registry at `url` (`http[s]://host[:port]`), used as an async context manager.

    Errors: `Broken` when it is down or ill, lacks what was asked for or sends other bytes than it should; `Refused`
    when it wants another login, forbids or rejects; each after a bounded number of tries where trying can help.
    """

    def __init__(
        self,
        *,
        url: str,
        credentials: CredentialStore | None = None,
        concurrency: int = CONCURRENCY,
        patience: Patience | None = None,
        on_warning: Callable[[str], None] = _log.warning,
    ) -> None:
        self.url = url.rstrip("/")
        self._concurrency = concurrency
        self._wire = Wire(
            url=_registry_url(self.url),
            credentials=credentials,
            concurrency=concurrency,
            patience=patience or Patience(),
            on_warning=on_warning,
        )
        self._documents = Documents(self._wire)

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.aclose()

    async def ping(self) -> None:
        """Return when the registry answers and lets us in."""
        await self._wire.send(Call(method="GET", path="/v2/"))

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository holds a blob."""
        return await self.blob_size(repository, digest) is not None

    async def blob_size(self, repository: str, digest: str) -> int | None:
        """The size in bytes of a blob that a repository holds, None when it holds none."""
        path = f"/v2/{_named(repository)}/blobs/{checked(digest)}"
        call = Call(method="HEAD", path=path, access=Access(repository=repository), expect=(200, 404))
        reply = await self._wire.send(call)
        return int(reply.headers["content-length"]) if reply.status == 200 else None

    async def push_blob(
        self, repository: str, content: bytes | Path, *, known: Container[str] = (), digest: str | None = None
    ) -> oci.Descriptor:
        """Push bytes or a file; digest and size as a descriptor. A digest in `known` costs no request.

        `digest` spares hashing a file whose digest the caller knows; the registry checks what arrives against it.
        """
        _named(repository)
        blob = await asyncio.to_thread(_measured, content, digest)
        if blob.digest not in known:
            await registry_transfer.upload(self._wire, repository, content, digest=blob.digest, size=blob.size)
        return blob

    async def push_blobs(
        self, repository: str, contents: Iterable[bytes | Path], *, known: Container[str] = ()
    ) -> tuple[oci.Descriptor, ...]:
        """Push many at once; their descriptors in the same order. The first error ends the others."""
        return await gather(
            contents, lambda each: self.push_blob(repository, each, known=known), concurrency=self._concurrency
        )

    async def pull_blob(self, repository: str, digest: str, *, limit_bytes: int) -> bytes:
        """A blob that fits into memory; `Refused` when it is larger than `limit_bytes`."""
        return await registry_transfer.read(self._wire, _named(repository), checked(digest), limit=limit_bytes)

    async def pull_blob_to(self, repository: str, digest: str, size: int, path: Path) -> None:
        """A blob into a file, which appears complete and verified or not at all; its folder is made."""
        await registry_transfer.download(self._wire, _named(repository), checked(digest), size, path)

    async def push_document(self, repository: str, document: oci.Document, *, tag: str | None = None) -> oci.Descriptor:
        """Push a manifest or an index by digest, or under a tag; its descriptor.

        A document with a subject is listed among the subject's referrers, whatever the registry knows of them.
        The empty blob that artifacts have as config is pushed on the way.
        """
        await self._documents.push(_named(repository), document, tag)
        return document.descriptor

    async def pull_document(self, repository: str, reference: str) -> oci.Document | None:
        """The manifest or index of a tag or a digest, None when there is none."""
        return await self._documents.pull(_named(repository), reference)

    async def resolve(self, repository: str, tag: str) -> str | None:
        """The digest that a tag names now, None when it names nothing."""
        return await self._documents.resolve(_named(repository), tag)

    async def tags(self, repository: str) -> tuple[str, ...]:
        """Every tag of a repository, as the registry orders them; empty for a repository that does not exist."""
        return await self._documents.tags(_named(repository))

    async def referrers(self, repository: str, digest: str) -> tuple[oci.Descriptor, ...]:
        """All that name a digest as their subject, of every artifact type."""
        return await self._documents.referrers(_named(repository), digest)


async def gather(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], *, concurrency: int
) -> tuple[Result, ...]:
    """Results of `work` on each item, in order, `concurrency` at once; items are taken as they are needed.

    The first error is raised as it is, after the others were cancelled.
    """
    results: dict[int, Result] = {}
    waiting = enumerate(items)

    async def worker() -> None:
        for position, item in waiting:
            results[position] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return tuple(results[position] for position in range(len(results)))


def _measured(content: bytes | Path, digest: str | None) -> oci.Descriptor:
    if isinstance(content, bytes):
        return oci.Descriptor(media_type=BLOB, digest=digest or digest_of(content), size=len(content))
    with disk_errors(content):
        return oci.Descriptor(media_type=BLOB, digest=digest or digest_of_file(content), size=content.stat().st_size)


def _named(repository: str) -> str:
    if not _REPOSITORY.match(repository):
        raise Refused("not a repository name", got=repr(repository)[:100], expected="lower case, like skiff/rpms")
    return repository


def _registry_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.path != "/" or parsed.userinfo:
        raise Misconfigured("not the URL of a registry", got=url, expected="http://host:port or https://host")
    return parsed
