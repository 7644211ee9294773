"""Macros that a distribution makes of its own specs: placeholders in its macro files, and versions of other specs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping

_LOADED = re.compile(r"/usr/lib/rpm/(macros|platform/.|lua/.)|/etc/rpm/macros")
# Azure Linux's cmake.spec fills `@@CMAKE_VERSION@@` into its macro file with sed when it is built. Unfilled,
# `%cmake@@CMAKE_MAJOR_VERSION@@ %cmake` would make %cmake a macro that calls itself.
_PLACEHOLDER = re.compile(rb"@@([A-Z][A-Z0-9_]*)@@")


def has_placeholders(text: bytes) -> bool:
    """Whether a macro file has placeholders: the spec beside it says what stands for them."""
    return _PLACEHOLDER.search(text) is not None


def filled(text: bytes, evr: str | None) -> bytes:
    """A macro file with the version of the spec beside it for `@@..._VERSION@@`, the first part of it for
    `@@..._MAJOR_VERSION@@`, and 0 for everything else, and where `evr` is not known."""
    version = _version_of(evr).encode() if evr else b"0"
    major = version.partition(b".")[0]

    def value(found: re.Match[bytes]) -> bytes:
        if found[1].endswith(b"MAJOR_VERSION"):
            return major
        return version if found[1].endswith(b"VERSION") else b"0"

    return _PLACEHOLDER.sub(value, text)


def beside(path: str, specs: Iterable[str]) -> tuple[str, ...]:
    """The specs in the folder of a file; the first of them fills it."""
    return tuple(sorted(spec for spec in specs if posixpath.dirname(spec) == posixpath.dirname(path)))


def version_macros(spec: str, evr: str, *, prefix: str, dist: str) -> Mapping[str, str]:
    """What other specs may say of this one: `<prefix>_<file name>_version` and `_release`, with `_` for `-`.

    As Azure Linux's toolkit writes them (toolkit/tools/versionsprocessor): the version with its epoch, the release
    without the dist tag.
    """
    version, _, release = evr.rpartition("-")
    stem = _stem(spec, prefix)
    return {f"{stem}_version": version, f"{stem}_release": release.replace(dist, "", 1)}


def mentioned(text: bytes, prefix: str) -> tuple[str, ...]:
    """The names of version macros that a spec's text holds, sorted: it is read after the specs that they speak of."""
    pattern = rb"(?<![A-Za-z0-9_])%s_[A-Za-z0-9_]+_(?:version|release)(?![A-Za-z0-9_])" % re.escape(prefix.encode())
    return tuple(sorted({found.decode() for found in re.findall(pattern, text)}))


def speaks_of(specs: Iterable[str], prefix: str) -> Mapping[str, str]:
    """Name of each version macro of a tree -> the spec that it speaks of."""
    return {f"{_stem(spec, prefix)}_{part}": spec for spec in specs for part in ("version", "release")}


def holds_unread(folders: Mapping[str, Iterable[str]], read: Collection[str]) -> bool:
    """Whether a package (its file names by folder) has macros that builds load and that no spec is read with: specs are
    read with the tree's macro files alone, whose names are `read`.

    What such macros mention, or what a spec says only where one of them is defined, does not show in the spec's
    expanded text. Source: rpm 4.18, macros.in and rpmrc.c, the default of MACROFILES.
    """
    return any(
        _LOADED.match(posixpath.join(folder, name)) and name not in read
        for folder, names in folders.items()
        if folder.startswith(("/usr/lib/rpm", "/etc/rpm"))
        for name in names
    )


def _stem(spec: str, prefix: str) -> str:
    return f"{prefix}_{posixpath.basename(spec).removesuffix('.spec').replace('-', '_')}"


def _version_of(evr: str) -> str:
    return evr.rpartition("-")[0].rpartition(":")[2]
