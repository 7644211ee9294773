"""Referrers in registries without the API: an index under the tag `sha256-<hex>` that clients keep themselves.

Source: OCI distribution-spec 1.1, "Referrers Tag Schema": read it, add to it, write it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from release import oci
from release.errors import Broken

WRITES = 5
Pull = Callable[[str, str], Awaitable[oci.Document | None]]
Push = Callable[[str, oci.Document, str], Awaitable[object]]


class FallbackIndexes:
    """The fallback indexes of one registry. `pull(repository, tag)` and `push(repository, index, tag)` move them."""

    def __init__(self, *, pull: Pull, push: Push) -> None:
        self._pull = pull
        self._push = push
        self._writing: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, repository: str, subject: str) -> tuple[oci.Descriptor, ...]:
        """Descriptors of everything that refers to a subject digest."""
        index = await self._pull(repository, fallback_tag(subject))
        return index.manifests if index else ()

    async def add(self, repository: str, subject: str, new: oci.Descriptor) -> None:
        """List a referrer, beside those that are listed.

        One writer at a time in this process. Another process that wrote between our reading and our writing is
        noticed by reading again: whoever finds its own entry missing adds it once more.
        """
        async with self._writing[repository, subject]:
            for _ in range(WRITES):
                listed = await self.read(repository, subject)
                if new.digest in {each.digest for each in listed}:
                    return
                await self._push(repository, oci.index(manifests=[*listed, new]), fallback_tag(subject))
        raise Broken(
            "the list of referrers keeps changing under us",
            where=f"{repository}:{fallback_tag(subject)}",
            hint="another publisher writes about the same subject; run it again",
        )


def fallback_tag(digest: str) -> str:
    """The tag of a subject's fallback index."""
    return digest.replace(":", "-")


def referrer(document: oci.Document) -> oci.Descriptor:
    """The descriptor under which a document is listed: with its artifact type and its annotations."""
    return replace(document.descriptor, annotations=document.annotations)
