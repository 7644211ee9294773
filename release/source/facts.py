"""From what rpm says of a spec to a source package: foreign text is checked here, once, and kept in a short form."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from release.digests import digest_of_json
from release.documents import load_json
from release.errors import Refused
from release.source.specs import BinaryPackage, Package, Source, signatures_path

# rpm reads a changelog date as noon in UTC, which is still to come where the entry was written this morning, or east
# of Greenwich; and a time to come does not clamp the files of now. A day and a half earlier is past everywhere.
PAST_EVERYWHERE = 36 * 3600
NO_CHANGELOG = 315532800  # 1980-01-01: the oldest time that every archive format can say
FORMAT = 2  # of records: raise it with every change of what a record holds
_PKGCONFIG = re.compile(r"/usr/(lib|lib64|share)/pkgconfig/(?P<name>[^/]+)\.pc")


def package_from_facts(
    facts: str,
    *,
    spec: str,
    files: Mapping[str, Mapping[str, str]],
    signatures: Mapping[str, str],
    macros: Mapping[str, str] = MappingProxyType({}),
    pins: bool = True,
) -> Package:
    """A package from the JSON facts of the spec parser.

    `files` maps each file of the spec's folder to all that reading it reads (name -> id of the content: itself, and
    what a link leads to), `signatures` are its pinned hashes, `macros` what was defined for this spec alone.
    `Refused` when a source is neither in the folder nor pinned (without `pins` it may be), and when the spec makes no
    package; the message has the line to add.
    """
    read = _checked(facts, spec)
    if not read.binaries:
        raise Refused("a spec that makes no package", where=spec, expected="at least one %files section")
    sources, patches = (
        tuple(_source(full, spec, files, signatures, pins=pins) for full in each)
        for each in (read.sources, read.patches)
    )
    seen = _seen(spec, (*sources, *patches), files)
    folder = posixpath.dirname(spec)
    return Package(
        name=read.name,
        evr=read.evr,
        spec=spec,
        folder=folder,
        files=tuple(f"{folder}/{name}" for name in seen),
        content=digest_of_json({"files": seen, "macros": dict(macros)} if macros else seen),
        expanded=read.expanded,
        elsewhere=read.elsewhere,
        macros=MappingProxyType(dict(macros)),
        sources=sources,
        patches=patches,
        build_requires=read.build_requires,
        binaries=tuple(_binary(each) for each in read.binaries),
        summary=read.summary,
        description=read.description,
        license=read.license,
        url=read.url,
        epoch=read.changed - PAST_EVERYWHERE if read.changed else NO_CHANGELOG,
        lines=MappingProxyType(read.lines),
    )


def package_to_record(package: Package) -> str:
    """A checked package in a form that `package_from_record` reads fast: for a cache, not for other programs."""
    plain = [getattr(package, name) for name in _PLAIN]
    sources = [[[each.file, each.url, each.sha256, each.local] for each in some]
               for some in (package.sources, package.patches)]  # fmt: skip
    binaries = [[each.name, each.evr, each.provides, each.requires, each.files] for each in package.binaries]
    return json.dumps([plain, *sources, binaries, dict(package.lines), dict(package.macros)], separators=(",", ":"))


def package_from_record(record: str) -> Package:
    """What `package_to_record` wrote. Nothing is checked: whoever keeps records answers for them."""
    plain, sources, patches, binaries, lines, macros = json.loads(record)
    values: dict[str, Any] = {
        name: tuple(value) if type(value) is list else value for name, value in zip(_PLAIN, plain, strict=True)
    }
    return Package(
        **values,
        sources=_sources(sources),
        patches=_sources(patches),
        binaries=tuple(
            BinaryPackage(name=name, evr=evr, provides=tuple(provides), requires=tuple(requires), files=tuple(files))
            for name, evr, provides, requires, files in binaries
        ),
        lines=MappingProxyType(lines),
        macros=MappingProxyType(macros),
    )


_PLAIN = (
    "name", "evr", "spec", "folder", "files", "content", "build_requires", "summary", "description", "license", "url",
    "epoch", "expanded", "elsewhere",
)  # fmt: skip


def _sources(rows: Iterable[list[Any]]) -> tuple[Source, ...]:
    return tuple(Source(file=file, url=url, sha256=sha256, local=local) for file, url, sha256, local in rows)


def _checked(facts: str, spec: str) -> _Facts:
    try:
        return _Facts.model_validate_json(facts, strict=True)
    except ValidationError:  # slowly, for a message that names key and line
        return load_json(facts, _Facts, where=f"facts of {spec}")


def _seen(spec: str, sources: Iterable[Source], files: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """What a build sees of the tree: file name -> id of its content, sorted by name."""
    names = {posixpath.basename(spec), *(source.file for source in sources if source.local)}
    found = {name: id_ for each in names for name, id_ in files[each].items()}
    return dict(sorted(found.items()))


def _source(full: str, spec: str, files: Collection[str], signatures: Mapping[str, str], *, pins: bool) -> Source:
    """rpm takes what follows the last slash as the file name, so that `url#/name` gives a file another name."""
    name = full.rpartition("/")[2]
    local = name in files
    sha256 = signatures.get(name)
    url = full.partition("#/")[0] if "://" in full else None
    if pins and not (local or sha256):
        pin = f'run sha256sum {name} on a copy you trust, and add to "Signatures": "{name}": "<its sha256>"'
        raise Refused(
            f"the source {name} has no pinned hash",
            where=spec,
            got="it is neither in the folder nor in the signatures",
            expected=f"its sha256 in {signatures_path(spec)}",
            hint=pin if url else f"commit {name} beside the spec, or {pin}",
        )
    return Source(file=name, url=url, sha256=sha256, local=local)


def _binary(read: _Binary) -> BinaryPackage:
    """With the pkgconfig() provides that rpmbuild will make of the files (rpm, fileattrs/pkgconfig.attr)."""
    modules = (_PKGCONFIG.fullmatch(path) for path in read.files)
    generated = tuple(f"pkgconfig({module['name']})" for module in modules if module)
    return BinaryPackage(**{**dict(read), "provides": read.provides + generated})


class _Binary(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    evr: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...]


class _Facts(BaseModel):
    """What release/tools/specreader.py writes for one spec."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]*$")
    evr: str
    expanded: str
    elsewhere: bool
    summary: str
    description: str
    license: str
    url: str
    changed: int
    sources: tuple[str, ...]
    patches: tuple[str, ...]
    build_requires: tuple[str, ...]
    lines: dict[str, int]
    binaries: tuple[_Binary, ...]
