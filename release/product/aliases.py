"""The names of releases for people: `R-<yyyymmdd>.<n>`, found from what is there already, never from a clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from release.digests import checked
from release.records import Digest

_ALIAS = re.compile(r"R-(\d{8})\.([1-9]\d*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRef:
    """A release by its identity, the digest, with the name that people use."""

    digest: Digest
    alias: str


def mint_alias(*, tags: Mapping[str, str], digest: str, commit_time: datetime) -> str:
    """`R-<yyyymmdd>.<n>` for a release: the alias that it carries already, otherwise the next one of the commit's day.

    `tags` are the existing tags of the releases repository with their digests. The day is the commit's, in UTC, so
    a rebuild on another day gets the same name; numbers are never reused while their tags exist.
    """
    aliases = {tag: match for tag in tags if (match := _ALIAS.match(tag))}
    carried = [tag for tag in aliases if tags[tag] == checked(digest)]
    if carried:
        return min(carried, key=lambda tag: (aliases[tag][1], int(aliases[tag][2])))
    day = commit_time.astimezone(UTC).strftime("%Y%m%d")
    used = [int(match[2]) for match in aliases.values() if match[1] == day]
    return f"R-{day}.{max(used, default=0) + 1}"


def is_alias(text: str) -> bool:
    """Whether a tag is the alias of a release."""
    return bool(_ALIAS.match(text))
