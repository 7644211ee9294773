"""The last touches on a freshly installed root: accounts, added files, a database that scanners find, and no traces
of the tools that made it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from release.accounts import ROOT_GROUP, ROOT_PASSWD, Accounts, Group, User
from release.errors import Refused

_EMPTIED = ("dev", "proc", "run", "sys", "tmp", "var/tmp")  # what a container gets anew, or what nobody may rely on
_WITHOUT_FILES = ("var/cache", "var/log")  # packages own folders there, and programs expect them
_REMOVED = ("var/lib/dnf", "var/cache/dnf", "var/cache/ldconfig", "etc/.pwd.lock")
_BACKUPS = ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-")
_SCANNED = "var/lib/rpm"  # where scanners look first, whatever rpm's own configuration says
_MANIFESTS = "var/lib/rpmmanifest"
_MACROS = "usr/lib/rpm/macros.d"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """One file to put into the root: absolute path, content, mode."""

    path: str
    content: bytes
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What a root still needs. `database` is the absolute path of rpm's database folder.

    `macros` become the root's own rpm macros, so that a later installation decides as the first one did. With
    `manifests` (the contents of container-manifest-1 and -2) the database gives way to a list of packages.
    """

    database: str
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    files: tuple[NewFile, ...] = ()
    macros: str = ""
    manifests: tuple[str, ...] = ()


def finish(root: Path, work: Finish) -> None:
    """Finish the root in place. Call it inside a chroot with `/`: absolute links in the tree are followed.

    `Refused` when accounts collide, when a file would replace a folder, or when no package says what system it is.
    """
    _add_accounts(root, work)
    for file in work.files:
        _put(root, file.path, file.content, file.mode)
    if work.macros and (root / "usr/lib/rpm").is_dir():
        _put(root, f"/{_MACROS}/macros.image", work.macros.encode(), 0o644)
    _link_os_release(root)
    _show_packages(root, work)
    _put(root, "/etc/machine-id", b"", 0o444)  # machine-id(5): an empty file asks for a new identity at first boot
    _clean(root)


def _add_accounts(root: Path, work: Finish) -> None:
    passwd, group = root / "etc/passwd", root / "etc/group"
    before = Accounts(
        passwd=passwd.read_text() if passwd.exists() else ROOT_PASSWD,
        group=group.read_text() if group.exists() else ROOT_GROUP,
    )
    after = before.with_groups(work.groups).with_users(work.users)
    if after == before:
        return
    _put(root, "/etc/passwd", after.passwd.encode(), 0o644)
    _put(root, "/etc/group", after.group.encode(), 0o644)
    for home in after.homes:
        folder = root / home.path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, home.uid, home.gid)
        folder.chmod(0o700)


def _put(root: Path, path: str, content: bytes, mode: int) -> None:
    target = root / path.lstrip("/")
    if target.is_dir() and not target.is_symlink():
        raise Refused("an added file would replace a folder", where=path, hint="give the file another path")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # a link or a hard link is replaced, not written through
    target.write_bytes(content)
    target.chmod(mode)


def _link_os_release(root: Path) -> None:
    """os-release(5): the file lives in /usr/lib, /etc has a relative link to it."""
    link, file = root / "etc/os-release", root / "usr/lib/os-release"
    if os.path.lexists(link):
        return
    if not file.is_file():
        raise Refused(
            "no package of the image says what system it is",
            expected="/usr/lib/os-release",
            hint="add the distribution's release package to the package list",
        )
    link.symlink_to("../usr/lib/os-release")


def _show_packages(root: Path, work: Finish) -> None:
    database, scanned = root / work.database.lstrip("/"), root / _SCANNED
    if work.manifests:
        for number, text in enumerate(work.manifests, start=1):
            _put(root, f"/{_MANIFESTS}/container-manifest-{number}", text.encode(), 0o644)
        shutil.rmtree(database)
    elif scanned != database and not scanned.is_symlink():
        scanned.parent.mkdir(parents=True, exist_ok=True)
        if scanned.is_dir():
            scanned.rmdir()  # a package's empty folder; one with content would be a second database
        scanned.symlink_to(os.path.relpath(database, scanned.parent))


def _clean(root: Path) -> None:
    for name in _EMPTIED:
        for entry in _entries(root / name):
            _remove(entry)
    for name in _WITHOUT_FILES:
        for folder, _, files in os.walk(root / name):
            for file in files:
                (Path(folder) / file).unlink()
    for name in (*_REMOVED, *(f"etc/{backup}" for backup in _BACKUPS)):
        _remove(root / name)


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
