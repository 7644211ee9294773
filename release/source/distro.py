"""What a distribution says of itself in `distro.yaml`: names, branches, channels, repositories, images, toolchain."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from release.digests import digest_of_json
from release.documents import load_yaml
from release.errors import Misconfigured

DISTRO_FILE = "distro.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEntry:
    """One published image: its name, its repository in the registry, the path of its definition in the tree."""

    name: str
    repository: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Where the first packages come from: host packages (`seeds`, stage 0) or `packages` of an RPM repository.

    `lock` is the path in the tree of the resolved list, pinned by digest.
    """

    lock: str
    seeds: tuple[str, ...] = ()
    baseurl: str | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distro:
    """A distribution. `channels` are in the order of promotion; `dist` begins with a dot; `arches` are rpm's names.

    `identity` is the base of the signers' identity URIs, without a slash at its end. `macro_files` are paths in
    the tree, or patterns in the last part of one; `lua_modules` (likewise) can be required by macros; `defines` are
    macros for every spec; `version_macros` is the prefix of macros that give the versions of other specs, if there
    are any. Repositories are names inside the registry (OCI distribution-spec), never a host. `guessed`: nobody wrote
    this, it was made of the names of the tree's files. In the roots of `unpinned` sources need no hash: they are built
    from other specs, and nothing there can be released.
    """

    name: str
    title: str
    version: str
    dist: str
    vendor: str
    url: str
    bug_url: str
    identity: str
    arches: tuple[str, ...]
    branch: str
    channels_branch: str
    channels: tuple[str, ...]
    spec_roots: tuple[str, ...]
    macro_files: tuple[str, ...]
    rpms_repository: str
    releases_repository: str
    images: tuple[ImageEntry, ...]
    toolchain: Toolchain
    defines: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lua_modules: tuple[str, ...] = ()
    version_macros: str | None = None
    guessed: bool = False
    unpinned: tuple[str, ...] = ()

    @property
    def macros(self) -> Mapping[str, str]:
        """What is defined for every spec, when it is parsed and when it is built, after rpm's and the tree's files."""
        return MappingProxyType({**self.defines, "dist": self.dist, "vendor": self.vendor})

    def macro_paths(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The macro files among the tree's `paths`: in the order of `macro_files`, matches of one pattern sorted.

        `Misconfigured` when a pattern finds nothing: a macro that is silently missing changes every package.
        """
        return _found(self.macro_files, paths, "a macro file is not in the tree")

    def lua_paths(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The Lua modules among the tree's `paths`, like `macro_paths`."""
        return _found(self.lua_modules, paths, "a Lua module of macros is not in the tree")

    def macros_digest(self, blobs: Mapping[str, str]) -> str:
        """Digest of the macro set: every definition, and every macro file by its content (path -> git blob id)."""
        files = [blobs[path] for path in (*self.macro_paths(blobs), *self.lua_paths(blobs))]
        return digest_of_json({"files": files, "defines": dict(self.macros)})

    def is_spec(self, path: str) -> bool:
        """Whether a path of the tree is a spec: `<spec root>/<folder>/<name>.spec`."""
        root, _, inside = path.rpartition("/")[0].rpartition("/")
        return path.endswith(".spec") and bool(inside) and root in self.spec_roots


def parse_distro(text: str, where: str = "distro.yaml") -> Distro:
    """Read `distro.yaml`; `Misconfigured` names file and line of everything that is wrong with it."""
    read = load_yaml(text, _Distro, where=where)
    repository = read.toolchain.repository
    toolchain = Toolchain(
        lock=read.toolchain.lock,
        seeds=read.toolchain.seeds,
        baseurl=repository.baseurl if repository else None,
        packages=repository.packages if repository else (),
    )
    images = tuple(ImageEntry(**dict(image)) for image in read.images)
    defines = MappingProxyType(dict(sorted(read.defines.items())))
    return Distro(**{**dict(read), "toolchain": toolchain, "images": images, "defines": defines})


def _found(patterns: Iterable[str], paths: Iterable[str], message: str) -> tuple[str, ...]:
    """The paths that the patterns name: in their order, matches of one sorted; `Misconfigured` when one has none."""
    wanted = tuple(patterns)
    folders: dict[str, list[str]] = {posixpath.dirname(pattern): [] for pattern in wanted}
    for path in paths if wanted else ():
        folder, _, name = path.rpartition("/")
        if folder in folders:
            folders[folder].append(name)
    found: dict[str, None] = {}
    for pattern in wanted:
        folder, _, name = pattern.rpartition("/")
        matches = fnmatch.filter(sorted(folders[folder]), name)
        if not matches:
            raise Misconfigured(message, where="distro.yaml", got=pattern, expected="a file or a pattern")
        found |= dict.fromkeys(f"{folder}/{each}" if folder else each for each in matches)
    return tuple(found)


def _inside(path: str) -> str:
    """A path that stays inside the tree, written in its shortest form."""
    if path.startswith(("/", "..")) or posixpath.normpath(path) != path or path == ".":
        raise ValueError("a path inside the tree, such as SPECS or imageconfigs/base.json")
    return path


def _identity(url: str) -> str:
    if not re.match(r"https://[^\s/]+(/[^\s]*)?\Z", url) or url.endswith("/"):
        raise ValueError("an https:// URI without a slash at its end")
    return url


def _all_different(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each one once")
    return values


_Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f\"\\$`]+$", max_length=200)]
_Value = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1000)]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]  # os-release(5), ID=
_Dist = Annotated[str, Field(pattern=r"^\.[A-Za-z0-9.]{1,30}$")]
_Macro = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{2,}$")]  # rpm: at least three characters
_Url = Annotated[str, Field(pattern=r"^(https?|file)://[^\s\"'\\$`]+$")]
_Inside = Annotated[str, AfterValidator(_inside)]
_Branch = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
# OCI distribution-spec 1.1, "Pulling manifests": <name>
_Repository = Annotated[str, Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$")]
_Arch = Literal["aarch64", "x86_64"]
_Different = AfterValidator(_all_different)


class _Image(BaseModel):
    name: _Name
    repository: _Repository
    definition: _Inside


def _named_differently(images: tuple[_Image, ...]) -> tuple[_Image, ...]:
    _all_different(tuple(image.name for image in images))
    return images


class _RpmRepository(BaseModel):
    baseurl: _Url
    packages: tuple[_Line, ...] = Field(min_length=1)


class _Toolchain(BaseModel):
    lock: _Inside
    seeds: tuple[_Line, ...] = ()
    repository: _RpmRepository | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> _Toolchain:
        if bool(self.seeds) == bool(self.repository):
            raise ValueError("exactly one of seeds and repository")
        return self


class _Distro(BaseModel):
    name: _Name
    title: _Line
    version: _Line
    dist: _Dist
    vendor: _Line
    url: _Url
    bug_url: _Url
    identity: Annotated[str, AfterValidator(_identity)]
    arches: Annotated[tuple[_Arch, ...], Field(min_length=1), _Different]
    branch: _Branch
    channels_branch: _Branch
    channels: Annotated[tuple[_Name, ...], Field(min_length=1), _Different]
    spec_roots: Annotated[tuple[_Inside, ...], Field(min_length=1), _Different]
    macro_files: tuple[_Inside, ...] = ()
    lua_modules: tuple[_Inside, ...] = ()
    version_macros: _Macro | None = None
    defines: dict[_Macro, _Value] = Field(default_factory=dict)
    rpms_repository: _Repository
    releases_repository: _Repository
    images: Annotated[tuple[_Image, ...], AfterValidator(_named_differently)]
    toolchain: _Toolchain

    @model_validator(mode="after")
    def _two_branches(self) -> _Distro:
        if self.branch == self.channels_branch:
            raise ValueError("branch and channels_branch must differ: pointers never live beside specs")
        return self
