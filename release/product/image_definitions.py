"""Image definitions as people write them: `imageconfigs/*.json` and package lists in the Azure Linux toolkit's format.

Source: the toolkit's docs/formats/imageconfig.md and imagegen/configuration/*.go, branch 3.0: the part that a
container image needs (image_schema.py). Every other key is refused, because ignoring it would build something else
than was asked for.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from release.documents import load_json
from release.errors import Misconfigured
from release.product.accounts import Group, User
from release.product.image_schema import ContainerModel, DefinitionModel, PackageListModel, SystemModel
from release.product.roots import AddedFile, Root, Script

Read = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a container of an image is started with (OCI image-spec 1.1, config.md); None means not said."""

    user: str | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    working_folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefinition:
    """Everything that a person decided about one image; package lists, files and scripts are read in.

    `packages` are what dnf is asked for, each once, in the order of the lists.
    """

    name: str
    packages: tuple[str, ...]
    root: Root = field(default_factory=Root)
    runtime: Runtime = field(default_factory=Runtime)


def read_definition(path: str, read: Read) -> ImageDefinition:
    """The definition at `path` of a tree; `read` gives the content of a path of that tree.

    Paths in a definition are relative to the definition's own folder, as in the toolkit. `Misconfigured` with
    `file:line` for anything unknown, wrong or outside the tree; what `read` raises for a missing file passes through.
    """
    document = load_json(_text(path, read), DefinitionModel, where=path)
    system = document.system_configs[0]
    lists = [_inside(path, each) for each in system.package_lists]
    named = [name for each in lists for name in load_json(_text(each, read), PackageListModel, where=each).packages]
    packages = tuple(dict.fromkeys([*named, *system.packages]))
    if not packages:
        raise Misconfigured(
            "an image without packages", where=path, expected="PackageLists or Packages with a name in it"
        )
    root = _root(system, lambda source: read(_inside(path, source)))
    return ImageDefinition(name=system.name, packages=packages, root=root, runtime=_runtime(document.container))


def _root(system: SystemModel, read: Read) -> Root:
    return Root(
        files=tuple(
            AddedFile(path=target.path, content=read(source), mode=target.permissions)
            for source, targets in sorted(system.additional_files.items())
            for target in targets
        ),
        groups=tuple(Group(name=each.name, gid=each.gid) for each in system.groups),
        users=tuple(User(**dict(each)) for each in system.users),
        scripts=tuple(
            Script(name=each.path, content=read(each.path), arguments=each.args) for each in system.post_install_scripts
        ),
        documentation=not system.disable_rpm_docs,
        locales=system.override_rpm_locales or None,
        manifest_only=system.remove_rpm_db,
    )


def _runtime(container: ContainerModel) -> Runtime:
    return Runtime(
        user=container.user,
        entrypoint=container.entrypoint,
        command=container.cmd,
        environment=MappingProxyType(dict(sorted(container.env.items()))),
        working_folder=container.working_dir,
    )


def _text(path: str, read: Read) -> str:
    try:
        return read(path).decode()
    except UnicodeDecodeError as error:
        raise Misconfigured("not UTF-8", where=path, got=f"byte {error.start}") from error


def _inside(definition: str, path: str) -> str:
    """A path of the tree from one that is relative to the definition's folder."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(definition), path))
    if path.startswith("/") or joined == "." or joined.split("/")[0] == "..":
        raise Misconfigured(
            "a path leaves the tree", where=definition, got=path, expected="a path inside the distribution's tree"
        )
    return joined
