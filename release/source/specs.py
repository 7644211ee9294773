"""Source packages as facts: what a spec says of itself, with every source pinned by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from release.documents import load_json

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source or patch: its file name, where the spec says it comes from, and its pinned sha256 (64 hex digits).

    A `local` file lies in the spec's folder and is covered by the package's `content`; it may have no hash.
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
    """One source package. `spec` and `folder` are paths in the tree.

    `files` are the paths of what a build sees of the tree: the spec, and the sources and patches that lie beside it.
    `content` is their digest, by name and content: a README beside them, or another spec, is no part of it.
    `macros` were defined for this spec alone (the versions of other specs); they count for the `content`, too.
    `expanded` is the digest of the spec's text with all macros expanded: it says whether a change of a macro file
    reached this spec. `elsewhere` means that the spec excludes the architecture it was read for.
    `epoch` (seconds since 1970) comes from the newest changelog entry: every time stamp of a build is this one, so
    that a rebuild of the same content is the same to the byte, whenever it happens.
    `lines` gives the line in the spec where each of the `build_requires` stands, where that is known.
    """

    name: str
    evr: str
    spec: str
    folder: str
    content: str
    sources: tuple[Source, ...]
    patches: tuple[Source, ...]
    build_requires: tuple[str, ...]
    binaries: tuple[BinaryPackage, ...]
    summary: str
    description: str
    license: str
    url: str
    epoch: int
    files: tuple[str, ...] = ()
    expanded: str = ""
    elsewhere: bool = False
    macros: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def pinned(self) -> tuple[Source, ...]:
        """Sources and patches that do not lie in the tree; each has a hash, except where a tree is only looked at
        (`Distro.unpinned`)."""
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


class _SignaturesFile(BaseModel):
    """`Signatures` is how nearly every file spells it; at least one real file writes it small."""

    upper: dict[str, _Sha256] | None = Field(default=None, alias="Signatures")
    lower: dict[str, _Sha256] | None = Field(default=None, alias="signatures")

    @model_validator(mode="after")
    def _one_spelling(self) -> _SignaturesFile:
        if (self.upper is None) == (self.lower is None):
            raise ValueError('one key "Signatures"')
        return self
