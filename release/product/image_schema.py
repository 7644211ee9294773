"""The keys of an image definition that a container image can have, and what each may hold.

Source: the Azure Linux toolkit, imagegen/configuration/*.go. What only a bootable disk has (partitions, kernels,
encryption, passwords) is not here and so is refused by name. The format has no word for what a container runs:
`Container` beside `SystemConfigs` is ours. The toolkit skips keys that it does not know, so one file serves both.
"""

from __future__ import annotations

import posixpath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal


def _absolute(path: str) -> str:
    """A file's place in the image, in its only spelling."""
    if not path.startswith("/") or posixpath.normpath(path) != path or path == "/" or path.startswith("//"):
        raise ValueError("an absolute path without . or .. in it, such as /etc/motd")
    return path


def _octal(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= 5 and value and set(value) <= set("01234567"):
        return int(value, 8)
    raise ValueError('an octal mode in quotes, such as "0644"')


def _as_targets(value: Any) -> Any:
    """A destination is a path, an object, or a list of either (fileconfig.go)."""
    targets = value if isinstance(value, list) else [value]
    return tuple({"Path": each} if isinstance(each, str) else each for each in targets)


def _as_number(value: Any) -> Any:
    """The toolkit writes ids as text; its own documentation shows a number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _only_one(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(values) != 1:
        raise ValueError("exactly one system: a container image is one system, so give each its own file")
    return values


_Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9(/][^\x00-\x1f\x7f]*$", max_length=200)]
_Word = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]  # useradd(8), CAVEATS
_Id = Annotated[int, BeforeValidator(_as_number), Field(ge=0, le=(1 << 31) - 1)]
_Absolute = Annotated[str, AfterValidator(_absolute)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal)


class PackageListModel(BaseModel):
    """A package list: `{"packages": [...]}`."""

    packages: tuple[_Package, ...]


class _Artifact(_Model):
    name: str
    compression: Literal["tar.gz"] | None = None
    type: Literal["tar.gz"] | None = None


class _Disk(_Model):
    """Where the toolkit would write its archive: checked, and of no consequence for an image in a registry."""

    artifacts: tuple[_Artifact, ...]


class _Target(_Model):
    path: _Absolute
    permissions: Annotated[int, BeforeValidator(_octal)] = 0o644


class _Script(_Model):
    path: str
    args: str = ""


class _Group(_Model):
    name: _Word
    gid: _Id = Field(alias="GID")


class _User(_Model):
    name: _Word
    uid: _Id = Field(alias="UID")
    primary_group: _Word | None = None
    secondary_groups: tuple[_Word, ...] = ()
    home_directory: _Absolute | None = None
    startup_command: _Absolute = "/sbin/nologin"


class SystemModel(_Model):
    """One system: what the toolkit would install on a disk, and we into an image."""

    name: str = Field(min_length=1)
    is_default: bool = True
    package_lists: tuple[str, ...] = ()
    packages: tuple[_Package, ...] = ()
    additional_files: dict[str, Annotated[tuple[_Target, ...], BeforeValidator(_as_targets)]] = Field(default={})
    groups: tuple[_Group, ...] = ()
    users: tuple[_User, ...] = ()
    post_install_scripts: tuple[_Script, ...] = ()
    disable_rpm_docs: bool = False
    override_rpm_locales: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@:-]*$")] = ""
    remove_rpm_db: bool = False


class ContainerModel(_Model):
    """What a container of the image is started with: the same words as in the OCI configuration."""

    user: str | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(default={})
    working_dir: _Absolute | None = None


class DefinitionModel(_Model):
    """A whole `imageconfigs/*.json`."""

    is_container_image: Literal[True] = True
    disks: tuple[_Disk, ...] = ()
    system_configs: Annotated[tuple[SystemModel, ...], AfterValidator(_only_one)]
    container: ContainerModel = ContainerModel()
