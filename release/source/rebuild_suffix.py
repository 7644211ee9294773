"""The suffix that makes a rebuilt package newer: the spec's own release, a caret, and the number of the rebuild.

rpm sorts a caret after the end of a text and before everything else (rpm 4.18, rpmio/rpmvercmp.c), so that
`2.skiff1` < `2.skiff1^1` < `2.skiff1^10` < `2.skiff1.1` < `3.skiff1`: hosts move to a rebuild, and a bump by hand
moves them on. Everything here takes a release or a whole `[epoch:]version-release`; only its end matters.
"""

from __future__ import annotations

import re

from release.errors import Refused

_SUFFIX = re.compile(r"(?P<own>.+)\^(?P<count>0|[1-9][0-9]*)\Z", re.DOTALL)


def suffixed(own: str, count: int) -> str:
    """The release (or evr) of the spec for its rebuild number `count`; 0 is the first build, before any rebuild.

    A first build keeps the release as it is. Only one that already ends in a caret and a number gets `^0`, because
    it would read as a rebuild of something else: `unsuffixed(suffixed(own, count)) == (own, count)` for all.
    """
    if count < 0:
        raise Refused("not the number of a rebuild", got=count, expected="0 or more")
    return f"{own}^{count}" if count or _SUFFIX.match(own) else own


def unsuffixed(built: str) -> tuple[str, int]:
    """The spec's own release (or evr), and how many rebuilds of it came before: `1-2.skiff1^3` -> (`1-2.skiff1`, 3)."""
    found = _SUFFIX.match(built)
    return (found["own"], int(found["count"])) if found else (built, 0)


def next_rebuild(own: str, published: str) -> str:
    """The release (or evr) of the next build of a spec that says `own`, after `published`.

    The next number when `published` is of the same own release, otherwise a first build: a person has bumped it.
    """
    before, count = unsuffixed(published)
    if published == own:  # published by a hand that did not know of the ^0
        before, count = own, 0
    return suffixed(own, count + 1 if before == own else 0)
