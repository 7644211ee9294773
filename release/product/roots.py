"""What a person decides about a root file system besides its packages: files, accounts, scripts, what rpm leaves out.

The assembly container reads it, too, with the toolchain's Python: standard library only.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from release.product.accounts import Group, User


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedFile:
    """One file to add: absolute path in the image, content, mode. Its owner is root."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script that runs inside the installed root, with the words of its command line; `name` is for messages."""

    name: str
    content: bytes
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The decisions. `locales` is rpm's `_install_langs`: `NONE`, or names with colons between them; None keeps all.

    `manifest_only` leaves a list of packages in the image instead of the rpm database.
    """

    files: tuple[AddedFile, ...] = ()
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    scripts: tuple[Script, ...] = ()
    documentation: bool = True
    locales: str | None = None
    manifest_only: bool = False

    @property
    def macros(self) -> str:
        """The decisions that rpm carries out, as its macros: for the first installation and for all later ones."""
        documentation = "" if self.documentation else "%_excludedocs 1\n"
        return documentation + (f"%_install_langs {self.locales}\n" if self.locales else "")

    def to_json(self) -> dict[str, Any]:
        """Every field under its name; contents in base64."""
        value = asdict(self)
        for each in (*value["files"], *value["scripts"]):
            each["content"] = b64encode(each["content"]).decode()
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Root:
        """The inverse of `to_json`, for what we wrote ourselves."""
        return cls(
            **{
                **value,
                "files": tuple(AddedFile(**{**each, "content": b64decode(each["content"])}) for each in value["files"]),
                "scripts": tuple(
                    Script(**{**each, "content": b64decode(each["content"])}) for each in value["scripts"]
                ),
                "groups": tuple(Group(**each) for each in value["groups"]),
                "users": tuple(
                    User(**{**each, "secondary_groups": tuple(each["secondary_groups"])}) for each in value["users"]
                ),
            }
        )
