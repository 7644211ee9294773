"""Source packages as facts: what a spec says of itself, with every source pinned by its hash."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from release.documents import load_json
from release.errors import Refused

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# rpm reads a changelog date as noon in UTC, which is still to come where the entry was written this morning, or east
# of Greenwich; and a time to come does not clamp the files of now. A day and a half earlier is past everywhere.
PAST_EVERYWHERE = 36 * 3600
NO_CHANGELOG = 315532800  # 1980-01-01: the oldest time that every archive format can say
_PKGCONFIG = re.compile(r"/usr/(lib|lib64|share)/pkgconfig/(?P<name>[^/]+)\.pc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source or patch: its file name, where the spec says it comes from, and its pinned sha256 (64 hex digits).

    A `local` file lies in the spec's folder and is covered by the folder's tree id; it may have no hash.
    """

    file: str
    url: str | None
    sha256: str | None
    local: bool

    @property
    def digest(self) -> str | None:
        """The pinned hash as an OCI digest."""
        return f"sha256:{self.sha256}" if self.sha256 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryPackage:
    """One binary RPM, declared by a spec or published: dependencies as rpm prints them, files as absolute paths.

    What a spec declares lacks what rpmbuild finds out later (sonames, generated provides). The header of a built
    RPM gives the whole truth in this same shape.
    """

    name: str
    evr: str
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One source package. `spec` and `folder` are paths in the tree, `tree_id` is git's id of the folder.

    `epoch` (seconds since 1970) comes from the newest changelog entry: every time stamp of a build is this one, so
    that a rebuild of the same content is the same to the byte, whenever it happens.
    `lines` gives the line in the spec where each of the `build_requires` stands, where that is known.
    """

    name: str
    evr: str
    spec: str
    folder: str
    tree_id: str
    sources: tuple[Source, ...]
    patches: tuple[Source, ...]
    build_requires: tuple[str, ...]
    binaries: tuple[BinaryPackage, ...]
    summary: str
    description: str
    license: str
    url: str
    epoch: int
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def pinned(self) -> tuple[Source, ...]:
        """Sources and patches that do not lie in the tree; each has a hash."""
        return tuple(source for source in (*self.sources, *self.patches) if not source.local)

    def where(self, requirement: str) -> str:
        """`spec:line` of one of its `build_requires`, or the spec alone."""
        return f"{self.spec}:{self.lines[requirement]}" if requirement in self.lines else self.spec


def signatures_path(spec: str) -> str:
    """Where the pinned hashes of a spec stand: `SPECS/zlib/zlib.signatures.json`."""
    return f"{spec.removesuffix('.spec')}.signatures.json"


def parse_signatures(text: str, where: str) -> Mapping[str, str]:
    """Read a signatures file: file name -> sha256 (hex). `Misconfigured` names file and line of a mistake."""
    read = load_json(text, _SignaturesFile, where=where)
    return MappingProxyType(read.upper if read.upper is not None else read.lower or {})


def package_from_facts(
    facts: str, *, spec: str, tree_id: str, files: Collection[str], signatures: Mapping[str, str]
) -> Package:
    """A package from the JSON facts of the spec parser.

    `files` are the names of the files in the spec's folder, `signatures` its pinned hashes. `Refused` when a
    source is neither in the folder nor pinned; the message has the line to add.
    """
    read = load_json(facts, _Facts, where=f"facts of {spec}")
    sources, patches = (
        tuple(_source(full, spec, files, signatures) for full in each) for each in (read.sources, read.patches)
    )
    return Package(
        name=read.name,
        evr=read.evr,
        spec=spec,
        folder=posixpath.dirname(spec),
        tree_id=tree_id,
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


def _source(full: str, spec: str, files: Collection[str], signatures: Mapping[str, str]) -> Source:
    """rpm takes what follows the last slash as the file name, so that `url#/name` gives a file another name."""
    name = full.rpartition("/")[2]
    local = name in files
    sha256 = signatures.get(name)
    url = full.partition("#/")[0] if "://" in full else None
    if not (local or sha256):
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


class _SignaturesFile(BaseModel):
    """`Signatures` is how nearly every file spells it; at least one real file writes it small."""

    upper: dict[str, _Sha256] | None = Field(default=None, alias="Signatures")
    lower: dict[str, _Sha256] | None = Field(default=None, alias="signatures")

    @model_validator(mode="after")
    def _one_spelling(self) -> _SignaturesFile:
        if (self.upper is None) == (self.lower is None):
            raise ValueError('one key "Signatures"')
        return self


class _Binary(BaseModel):
    name: str
    evr: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...]


class _Facts(BaseModel):
    """What release/tools/specreader.py writes for one spec."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]*$")
    evr: str
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
