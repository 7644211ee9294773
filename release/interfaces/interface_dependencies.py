"""Dependencies of a binary RPM as they count: without what changes with every build and says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from release.source.rebuild_suffix import unsuffixed

# Capabilities of rpm itself, and of one build: whoever has this rpm can read the package; build ids, and the sonames
# that rpm makes of the names of debug files, change with the release.
_NEVER = re.compile(r"rpmlib\(|debuginfo\(build-id\)|elf\(buildid\)|\S+\.debug(\(\S*\))*\Z")
# `libc.so.6(GLIBC_2.34)(64bit)`: the soname, the version of the symbols it needs, the word size.
_SYMBOL_VERSION = re.compile(r"(?P<soname>\S+\.so[^\s()]*)\([^\s()]*\)(?P<bits>\(64bit\))?\Z")


def observable(texts: Iterable[str], releases: Iterable[str]) -> list[str]:
    """As an interface digest counts them; sorted. `releases` are the package's own release and its source's.

    A dependency on our own version counts without the release (`zlib = 1.3` for `zlib = 1.3-2.skiff1`): a security
    fix bumps the release and changes nothing else that a build can see. The risk: a spec that compares its
    dependency's *release* (`BuildRequires: zlib = 1.3-2`) and is not rebuilt; its next build reports what is missing.
    """
    return _changed(texts, releases, lambda _release: "")


def shippable(texts: Iterable[str], releases: Iterable[str]) -> list[str]:
    """As a product digest counts them; sorted: our own release without the suffix of a rebuild."""
    return _changed(texts, releases, lambda release: f"-{unsuffixed(release)[0]}")


def without_symbol_versions(requires: Iterable[str]) -> list[str]:
    """What a package pulls into a build root: `libc.so.6()(64bit)` whatever versions of its symbols are needed.

    One package provides all versions of a soname, so that a fix which calls a newer function of libc pulls in no
    other package; what really was in the build root is recorded by the build itself.
    """
    reduced = (
        _SYMBOL_VERSION.sub(lambda found: f"{found['soname']}(){found['bits'] or ''}", each) for each in requires
    )
    return sorted(set(reduced))


def own_releases(release: str, source: str) -> tuple[str, ...]:
    """The release of the package, and that of its source RPM (`perl-5.38-2.skiff1.src.rpm`), which differs where a
    spec gives a subpackage a version of its own."""
    of_source = re.sub(r"\.(no)?src\.rpm\Z", "", source).rpartition("-")[2]
    return tuple(dict.fromkeys(each for each in (release, of_source) if each))


def _changed(texts: Iterable[str], releases: Iterable[str], becomes: Callable[[str], str]) -> list[str]:
    counted = {each for each in texts if not _NEVER.match(each)}
    for release in releases:
        own = re.compile(rf"(?P<before>[<>=] [^\s()-]+)-{re.escape(release)}(?=[\s)]|\Z)")
        counted = {_replaced(each, own, becomes(release)) for each in counted}
    return sorted(counted)


def _replaced(text: str, own: re.Pattern[str], release: str) -> str:
    return own.sub(lambda found: found["before"] + release, text)
