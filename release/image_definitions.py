"""Image definitions as people write them: `imageconfigs/*.json` and package lists in the Azure Linux toolkit's format.

Source: the toolkit's docs/formats/imageconfig.md and imagegen/configuration/*.go, branch 3.0: the part that a
container image needs (release/image_schema.py). Every other key is refused, because ignoring it would build something
else than was asked for.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from release.accounts import Group, User
from release.documents import load_json
from release.errors import Misconfigured
from release.image_schema import ContainerModel, DefinitionModel, PackageListModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One file that the definition adds: absolute path in the image, content, mode."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script that runs inside the finished root, with the words of its command line; `name` is for messages."""

    name: str
    content: bytes
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a container of this image is started with (OCI image-spec 1.1, config.md); None means not said."""

    user: str | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    working_folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefinition:
    """Everything that a person decided about one image; package lists, files and scripts are read in.

    `packages` are what dnf is asked for, each once, in the order of the lists. `locales` is rpm's `_install_langs`:
    `NONE`, or names with colons between them; None keeps all. `manifest_only` leaves a list of packages in the image
    instead of the rpm database.
    """

    name: str
    packages: tuple[str, ...]
    files: tuple[ImageFile, ...] = ()
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    scripts: tuple[Script, ...] = ()
    documentation: bool = True
    locales: str | None = None
    manifest_only: bool = False
    runtime: Runtime = field(default_factory=Runtime)


def read_definition(path: str, read: Callable[[str], bytes]) -> ImageDefinition:
    """The definition at `path` of a tree; `read` gives the content of a path of that tree.

    Paths in a definition are relative to the definition's own folder, as in the toolkit. `Misconfigured` with
    `file:line` for anything unknown, wrong or outside the tree; what `read` raises for a missing file passes through.
    """
    text = _text(read(path), path)
    document = load_json(text, DefinitionModel, where=path)
    system = document.system_configs[0]
    lists = [_inside(path, each) for each in system.package_lists]
    packages = [name for each in lists for name in _package_list(each, read)] + list(system.packages)
    return ImageDefinition(
        name=system.name,
        packages=tuple(dict.fromkeys(packages)),
        files=tuple(
            ImageFile(path=target.path, content=read(_inside(path, source)), mode=target.permissions)
            for source, targets in sorted(system.additional_files.items())
            for target in targets
        ),
        groups=tuple(Group(name=each.name, gid=each.gid) for each in system.groups),
        users=tuple(User(**dict(each)) for each in system.users),
        scripts=tuple(
            Script(name=each.path, content=read(_inside(path, each.path)), arguments=each.args)
            for each in system.post_install_scripts
        ),
        documentation=not system.disable_rpm_docs,
        locales=system.override_rpm_locales or None,
        manifest_only=system.remove_rpm_db,
        runtime=_runtime(document.container),
    )


def _runtime(container: ContainerModel) -> Runtime:
    return Runtime(
        user=container.user,
        entrypoint=container.entrypoint,
        command=container.cmd,
        environment=MappingProxyType(dict(sorted(container.env.items()))),
        working_folder=container.working_dir,
    )


def _package_list(path: str, read: Callable[[str], bytes]) -> tuple[str, ...]:
    return load_json(_text(read(path), path), PackageListModel, where=path).packages


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Misconfigured("not UTF-8", where=where, got=f"byte {error.start}") from error


def _inside(definition: str, path: str) -> str:
    """A path of the tree from one that is relative to the definition's folder."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(definition), path))
    if path.startswith("/") or joined == ".." or joined.startswith("../"):
        raise Misconfigured(
            "a path leaves the tree", where=definition, got=path, expected="a path inside the distribution's tree"
        )
    return joined
