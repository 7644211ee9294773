"""How a Debian package is said in RPM's words: its control fields, versions, relations, and paths after the usr merge.

Source: Debian Policy 4.6 (5.1 control syntax, 5.6.12 versions, 7.1 relations), rpm-version(7), rpm's dependencies
manual. Both order versions alike for what Debian ships: `~` sorts before the end, separators only separate.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from release.errors import Refused

_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(:[a-z0-9]+)?(\s*\((?P<sign><<|<=|=|>=|>>)\s*(?P<version>[^\s()]+)\))?"
)
_SIGNS = {"<<": "<", "<=": "<=", "=": "=", ">=": ">=", ">>": ">"}
_VERSION = re.compile(r"((?P<epoch>\d+):)?(?P<version>[0-9A-Za-z][0-9A-Za-z.+~-]*?)(-(?P<release>[0-9A-Za-z.+~]+))?")
_MERGED = re.compile(r"(bin|sbin|lib|lib64)(?=/|\Z)")
_ARCHES = {"amd64": "x86_64", "arm64": "aarch64", "all": "noarch"}


class Kind(StrEnum):
    """What a packed path is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """One path of a package, relative to the root and after the usr merge, with its permission bits and owner."""

    path: str
    kind: Kind
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A binary package's control file in RPM's words. `provides` and `requires` are ready for a spec.

    `version` has no dash; `release` is None for a native package. `source` is Debian's source package.
    """

    name: str
    source: str
    epoch: str | None
    version: str
    release: str | None
    arch: str
    url: str | None
    summary: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]


def parse_control(text: str, where: str) -> Control:
    """Read a control file; `Refused` when a field is missing or cannot be said in RPM's words."""
    fields = _fields(text)
    try:
        epoch, version, release = _split_version(fields["Version"])
        return Control(
            name=fields["Package"],
            source=fields.get("Source", fields["Package"]).split()[0],
            epoch=epoch,
            version=version,
            release=release,
            arch=_ARCHES[fields["Architecture"]],
            url=fields.get("Homepage"),
            summary=fields["Description"].splitlines()[0],
            provides=relations(fields.get("Provides", "")),
            requires=tuple(
                dict.fromkeys(relations(fields.get("Pre-Depends", "")) + relations(fields.get("Depends", "")))
            ),
        )
    except KeyError as error:
        raise Refused(f"a Debian package without a usable field {error}", where=where, got=text[:300]) from error


def rpm_version(version: str) -> str:
    """`[epoch:]version[-release]` of a Debian version: the last dash splits, others become dots."""
    epoch, upstream, release = _split_version(version)
    return (f"{epoch}:" if epoch else "") + upstream + (f"-{release}" if release else "")


def relations(field: str) -> tuple[str, ...]:
    """A Depends or Provides field as RPM dependencies; alternatives become one rich dependency, `(a or b)`."""
    return tuple(_alternatives(each) for each in field.split(",") if each.strip())


def merged(path: str) -> str:
    """A member's path, relative and normal, after the usr merge: `./bin/sh` -> `usr/bin/sh` (Debian's usrmerge)."""
    relative = posixpath.normpath(path).lstrip("/")
    return f"usr/{relative}" if _MERGED.match(relative) else relative


def _fields(text: str) -> Mapping[str, str]:
    unfolded = re.sub(r"\n[ \t]+", "\n ", text)
    found: dict[str, str] = {}
    for line in re.split(r"\n(?! )", unfolded):
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    return found


def _split_version(version: str) -> tuple[str | None, str, str | None]:
    match = _VERSION.fullmatch(version)
    if not match:
        raise Refused("not a Debian version", got=repr(version)[:80], expected="[epoch:]upstream[-revision]")
    return match["epoch"], match["version"].replace("-", "."), match["release"]


def _alternatives(relation: str) -> str:
    said = [_one_relation(each.strip()) for each in relation.split("|")]
    return said[0] if len(said) == 1 else f"({' or '.join(said)})"


def _one_relation(relation: str) -> str:
    match = _RELATION.fullmatch(relation)
    if not match:
        raise Refused("not a Debian relation", got=repr(relation)[:80], expected="name (>= version)")
    if not match["sign"]:
        return match["name"]
    sign, version = _SIGNS[match["sign"]], rpm_version(match["version"])
    if sign in (">", "<=") and "-" not in version:
        version += "-0"  # RPM ignores releases where one side has none; for Debian 2.36-9 is later than 2.36
    return f"{match['name']} {sign} {version}"
