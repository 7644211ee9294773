"""Manifests, indexes, tags and referrers of one registry: exact bytes in, exact bytes out."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from release import oci
from release.digests import checked
from release.errors import Broken, Refused
from release.tools.registry_auth import Access
from release.tools.registry_http import Call, Reply, Wire
from release.tools.registry_referrers import FallbackIndexes, referrer
from release.tools.registry_transfer import upload

# distribution-spec 1.1, Pushing Manifests: registries should take 4 MiB; docker-registry takes no byte more.
DOCUMENT_BYTES = 4 << 20
_EMPTY = oci.blob(oci.EMPTY_CONTENT, oci.EMPTY)
# docker-registry (2.8) rewrites the link of a blob that is pushed once more, and refuses a document that names the blob
# in that very moment. Whoever pushed the blob before the document, as one must, need only ask again.
_UNSETTLED = "MANIFEST_BLOB_UNKNOWN"
SETTLE_ATTEMPTS = 4
SETTLE_SECONDS = 0.05
# distribution-spec 1.1, Pulling manifests
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")


class Documents:
    """Moves documents over a wire. A document is never serialized again: its bytes are its identity."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._with_empty_blob: set[str] = set()
        self._providing = asyncio.Lock()
        self._fallback = FallbackIndexes(pull=self.pull, push=self._put)

    async def push(self, repository: str, document: oci.Document, tag: str | None) -> None:
        """PUT by digest or under a tag; a document with a subject is listed among its subject's referrers."""
        reply = await self._put(repository, document, tag or document.digest)
        subject = document.json().get("subject")
        if subject and reply.headers.get("oci-subject") != subject["digest"]:
            await self._fallback.add(repository, subject["digest"], referrer(document))

    async def pull(self, repository: str, reference: str) -> oci.Document | None:
        """The document that a tag or a digest names, None when there is none."""
        call = Call(
            method="GET",
            path=_path(repository, reference),
            access=Access(repository=repository),
            headers={"accept": f"{oci.INDEX}, {oci.MANIFEST}"},
            expect=(200, 404),
        )
        reply = await self._wire.send(call, limit=DOCUMENT_BYTES)
        return _document(reply, reference) if reply.status == 200 else None

    async def resolve(self, repository: str, tag: str) -> str | None:
        """The digest that a tag names now."""
        call = Call(
            method="HEAD",
            path=_path(repository, tag),
            access=Access(repository=repository),
            headers={"accept": f"{oci.INDEX}, {oci.MANIFEST}"},
            expect=(200, 404),
        )
        reply = await self._wire.send(call)
        if reply.status == 404:
            return None
        if digest := reply.headers.get("docker-content-digest"):
            return checked(digest)
        document = await self.pull(repository, tag)  # the header is optional (distribution-spec 1.1)
        return document.digest if document else None

    async def tags(self, repository: str) -> tuple[str, ...]:
        """Every tag; empty for a repository that does not exist."""
        pages = await self._pages(repository, f"/v2/{repository}/tags/list?n=1000")
        return tuple(str(tag) for page in pages or () for tag in page.get("tags") or ())

    async def referrers(self, repository: str, digest: str) -> tuple[oci.Descriptor, ...]:
        """Descriptors of all that name the digest as subject."""
        pages = await self._pages(repository, f"/v2/{repository}/referrers/{checked(digest)}")
        if pages is None:  # 404: this registry has no such API
            return await self._fallback.read(repository, digest)
        return tuple(oci.Descriptor.from_json(each) for page in pages for each in page.get("manifests") or ())

    async def _put(self, repository: str, document: oci.Document, reference: str) -> Reply:
        if len(document.raw) > DOCUMENT_BYTES:
            raise Refused(
                "a document is too large for a registry",
                where=f"{repository}@{document.digest}",
                got=f"{len(document.raw)} bytes",
                expected=f"at most {DOCUMENT_BYTES} bytes",
                hint="split it: an index over several manifests",
            )
        await self._provide_empty_blob(repository, document)
        call = Call(
            method="PUT",
            path=_path(repository, reference),
            access=Access(repository=repository, push=True),
            headers={"content-type": document.media_type},
            body=lambda: document.raw,
            expect=(201,),
        )
        reply = await self._settled(call)
        stored = reply.headers.get("docker-content-digest", document.digest)
        if stored != document.digest:
            raise Broken("the registry stored another document", where=call.path, got=stored, expected=document.digest)
        return reply

    async def _settled(self, call: Call) -> Reply:
        """Send a document, again where the registry does not see a blob of it for a moment."""
        for _ in range(SETTLE_ATTEMPTS - 1):
            try:
                return await self._wire.send(call)
            except Refused as no:
                if _UNSETTLED not in (no.got or ""):
                    raise
                await asyncio.sleep(SETTLE_SECONDS)
        return await self._wire.send(call)

    async def _provide_empty_blob(self, repository: str, document: oci.Document) -> None:
        """Artifacts have `{}` as their config, and registries refuse documents whose blobs they do not have."""
        if _EMPTY.digest.encode() not in document.raw:
            return
        async with self._providing:  # one at a time: see _UNSETTLED
            if repository not in self._with_empty_blob:
                await upload(self._wire, repository, oci.EMPTY_CONTENT, digest=_EMPTY.digest, size=_EMPTY.size)
                self._with_empty_blob.add(repository)

    async def _pages(self, repository: str, path: str) -> list[Mapping[str, Any]] | None:
        """The pages of a list, along the registry's `Link` headers; None when the first one is 404."""
        pages: list[Mapping[str, Any]] = []
        access, following = Access(repository=repository), path
        while following:
            call = Call(method="GET", path=following, access=access, expect=(200, 404))
            reply = await self._wire.send(call, limit=DOCUMENT_BYTES)
            if reply.status == 404:
                return None
            pages.append(_json_object(reply))
            following = _next(reply)
        return pages


def _path(repository: str, reference: str) -> str:
    if ":" in reference:
        checked(reference)
    elif not _TAG.match(reference):
        raise Refused("not a tag", got=repr(reference)[:150], expected=_TAG.pattern)
    return f"/v2/{repository}/manifests/{reference}"


def _document(reply: Reply, reference: str) -> oci.Document:
    """The answer as a document whose digest and type are what was asked for and what it says of itself.

    A document that claims one type in the header and another in its body can mean two things to two readers
    (CVE-2021-41190), so it means nothing to us.
    """
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip()
    document = oci.Document(media_type=media_type, raw=reply.content)
    promised = reference if ":" in reference else reply.headers.get("docker-content-digest", document.digest)
    if document.digest != promised:
        raise Broken("the registry sent another document", where=str(reply.url), got=document.digest, expected=promised)
    if (said := document.json().get("mediaType", media_type)) != media_type:
        raise Refused("a document has two types", where=str(reply.url), got=f"{media_type} and {said}")
    return document


def _json_object(reply: Reply) -> Mapping[str, Any]:
    try:
        value = json.loads(reply.content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Broken("the registry did not answer with a list", where=str(reply.url), got=repr(reply.content[:80]))
    return value


def _next(reply: Reply) -> str:
    """The URL of `Link: <...>; rel="next"` (RFC 8288), empty on the last page."""
    link = httpx.Response(200, headers=reply.headers).links.get("next", {})
    return str(reply.url.join(link["url"])) if "url" in link else ""
