"""The last touches on a freshly installed root: accounts, added files, a database that scanners find, and no traces
of the tools that made it. Runs inside the assembly container: standard library only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from release.errors import Refused
from release.product.accounts import ROOT_GROUP, ROOT_PASSWD, Accounts
from release.product.roots import Root

_EMPTIED = ("dev", "proc", "run", "sys", "tmp", "var/tmp")  # what a container gets anew, or what nobody may rely on
_WITHOUT_FILES = ("var/cache", "var/log")  # packages own folders there, and programs expect them
_REMOVED = ("var/lib/dnf", "var/cache/dnf", "etc/.pwd.lock")
_BACKUPS = ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-")
_SCANNED = "var/lib/rpm"  # where scanners look first, whatever rpm's own configuration says
_MANIFESTS = "var/lib/rpmmanifest"


def finish(path: Path, root: Root, *, database: str, manifests: tuple[str, str]) -> None:
    """Finish the tree at `path` in place. Call it inside a chroot with `/`: absolute links in the tree are followed.

    `database` is the absolute path of rpm's database folder; `manifests` are the contents of container-manifest-1
    and -2, for a root that wants them instead. `Refused` when accounts collide, when a file would replace a folder, or
    when no package says what system it is.
    """
    _add_accounts(path, root)
    for file in root.files:
        _put(path, file.path, file.content, file.mode)
    if root.macros and (path / "usr/lib/rpm").is_dir():
        _put(path, "/usr/lib/rpm/macros.d/macros.image", root.macros.encode(), 0o644)
    _link_os_release(path)
    if root.manifest_only:
        _replace_database(path / database.lstrip("/"), path, manifests)
    else:
        _link_database(path / database.lstrip("/"), path / _SCANNED)
    _put(path, "/etc/machine-id", b"", 0o444)  # machine-id(5): an empty file asks for a new identity at first boot
    _clean(path)


def _add_accounts(path: Path, root: Root) -> None:
    passwd, group = path / "etc/passwd", path / "etc/group"
    before = Accounts(
        passwd=passwd.read_text() if passwd.exists() else ROOT_PASSWD,
        group=group.read_text() if group.exists() else ROOT_GROUP,
    )
    after = before.with_groups(root.groups).with_users(root.users)
    for name, old, new in (("passwd", before.passwd, after.passwd), ("group", before.group, after.group)):
        if new != old:
            _put(path, f"/etc/{name}", new.encode(), 0o644)
    for home in after.homes:
        folder = path / home.path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, home.uid, home.gid)
        folder.chmod(0o700)


def _put(path: Path, name: str, content: bytes, mode: int) -> None:
    target = path / name.lstrip("/")
    if target.is_dir() and not target.is_symlink():
        raise Refused("an added file would replace a folder", where=name, hint="give the file another path")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # a link or a hard link is replaced, not written through
    target.write_bytes(content)
    target.chmod(mode)


def _link_os_release(path: Path) -> None:
    """os-release(5): the file lives in /usr/lib, /etc has a relative link to it."""
    link, file = path / "etc/os-release", path / "usr/lib/os-release"
    if os.path.lexists(link):
        return
    if not file.is_file():
        raise Refused(
            "no package of the image says what system it is",
            expected="/usr/lib/os-release",
            hint="add the distribution's release package to the package list",
        )
    link.symlink_to("../usr/lib/os-release")


def _link_database(database: Path, scanned: Path) -> None:
    if scanned == database or scanned.is_symlink():
        return
    scanned.parent.mkdir(parents=True, exist_ok=True)
    if scanned.is_dir():
        scanned.rmdir()  # a package's empty folder; one with content would be a second database
    scanned.symlink_to(os.path.relpath(database, scanned.parent))


def _replace_database(database: Path, path: Path, manifests: tuple[str, str]) -> None:
    for number, text in enumerate(manifests, start=1):
        _put(path, f"/{_MANIFESTS}/container-manifest-{number}", text.encode(), 0o644)
    shutil.rmtree(database)


def _clean(path: Path) -> None:
    for name in _EMPTIED:
        for entry in _entries(path / name):
            _remove(entry)
    for name in _WITHOUT_FILES:
        for folder, _, files in os.walk(path / name):
            for file in files:
                (Path(folder) / file).unlink()
    for name in (*_REMOVED, *(f"etc/{backup}" for backup in _BACKUPS)):
        _remove(path / name)
    modules = path / "etc/dnf/modules.d"  # dnf makes it in every root; a package's own has neighbours
    if modules.is_dir() and len(list(modules.parent.rglob("*"))) == 1:
        shutil.rmtree(modules.parent)


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
