"""A root after its last touches: accounts, files, a database that scanners find, and no trace of the tools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from release.errors import Refused
from release.product.accounts import Group, User
from release.product.roots import AddedFile, Root
from release.tools.rootfinish import finish

DATABASE = "/usr/lib/sysimage/rpm"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What dnf leaves behind."""
    files = {
        "usr/lib/os-release": "ID=skiff\n",
        "usr/lib/sysimage/rpm/rpmdb.sqlite": "database",
        "var/log/dnf.log": "at 10:00",
        "var/log/own/kept-folder": "",
        "var/cache/dnf/assembly/repomd.xml": "x",
        "var/cache/ldconfig/aux-cache": "x",
        "var/lib/dnf/history.sqlite": "x",
        "var/lib/app/data": "kept",
        "var/tmp/scratch": "x",
        "tmp/hello/world": "x",
        "run/lock": "x",
        "etc/group-": "x",
        "etc/motd": "old",
        "usr/lib/rpm/macros": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def finished(tree: Path, root: Root | None = None, database: str = DATABASE) -> Path:
    finish(tree, root or Root(), database=database, manifests=("names\n", "table\n"))
    return tree


def test_what_the_tools_left_is_gone_and_the_folders_of_packages_stay(tree: Path) -> None:
    finished(tree)
    for name in ("var/log/dnf.log", "var/cache/dnf", "var/cache/ldconfig/aux-cache", "var/lib/dnf", "etc/group-"):
        assert not (tree / name).exists(), name
    for name in ("tmp", "var/tmp", "run"):
        assert list((tree / name).iterdir()) == [], name
    assert (tree / "var/log/own").is_dir() and (tree / "var/cache/ldconfig").is_dir()
    assert (tree / "var/lib/app/data").read_text() == "kept"


def test_links_are_removed_and_not_followed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("x")
    (tree / "tmp/link").symlink_to(outside)
    (tree / "var/log/link").symlink_to(outside / "precious")
    finished(tree)
    assert (outside / "precious").exists() and not (tree / "tmp/link").is_symlink()


def test_the_system_says_what_it_is_in_both_places(tree: Path) -> None:
    link = finished(tree) / "etc/os-release"
    assert str(link.readlink()) == "../usr/lib/os-release" and link.read_text() == "ID=skiff\n"


def test_a_package_may_bring_its_own_os_release(tree: Path) -> None:
    (tree / "etc/os-release").write_text("ID=own\n")
    assert not (finished(tree) / "etc/os-release").is_symlink()


def test_refuses_a_root_of_no_system(tree: Path) -> None:
    (tree / "usr/lib/os-release").unlink()
    with pytest.raises(Refused, match="what system it is") as caught:
        finished(tree)
    assert "release package" in (caught.value.hint or "")


def test_scanners_find_the_database_where_they_look(tree: Path) -> None:
    assert (finished(tree) / "var/lib/rpm/rpmdb.sqlite").read_text() == "database"
    assert str((tree / "var/lib/rpm").readlink()) == "../../usr/lib/sysimage/rpm"


def test_an_empty_folder_of_a_package_gives_way_to_the_link(tree: Path) -> None:
    (tree / "var/lib/rpm").mkdir()
    assert (finished(tree) / "var/lib/rpm/rpmdb.sqlite").exists()


def test_a_database_at_the_old_place_needs_no_link(tree: Path) -> None:
    (tree / "usr/lib/sysimage/rpm").rename(tree / "var/lib/rpm")
    assert not (finished(tree, database="/var/lib/rpm") / "var/lib/rpm").is_symlink()


def test_a_list_can_take_the_place_of_the_database(tree: Path) -> None:
    finished(tree, Root(manifest_only=True))
    manifests = tree / "var/lib/rpmmanifest"
    assert (manifests / "container-manifest-1").read_text() == "names\n"
    assert (manifests / "container-manifest-2").read_text() == "table\n"
    assert not (tree / "usr/lib/sysimage/rpm").exists() and not os.path.lexists(tree / "var/lib/rpm")


def test_added_files_replace_what_a_package_brought(tree: Path) -> None:
    files = (AddedFile(path="/etc/motd", content=b"new"), AddedFile(path="/opt/a/b", content=b"\0", mode=0o4755))
    finished(tree, Root(files=files))
    assert (tree / "etc/motd").read_text() == "new"
    assert (tree / "opt/a/b").stat().st_mode & 0o7777 == 0o4755
    assert (tree / "opt/a").stat().st_mode & 0o7777 == 0o755


def test_an_added_file_replaces_a_link_and_leaves_its_target(tree: Path) -> None:
    (tree / "etc/target").write_text("untouched")
    (tree / "etc/link").symlink_to("target")
    finished(tree, Root(files=(AddedFile(path="/etc/link", content=b"own"),)))
    assert (tree / "etc/target").read_text() == "untouched" and not (tree / "etc/link").is_symlink()


def test_refuses_a_file_in_place_of_a_folder(tree: Path) -> None:
    with pytest.raises(Refused, match="replace a folder") as caught:
        finished(tree, Root(files=(AddedFile(path="/var/log", content=b""),)))
    assert caught.value.where == "/var/log"


def test_a_root_without_accounts_gets_root_and_the_users_of_the_definition(tree: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a home to its owner")
    user = User(name="nonroot", uid=65532)
    finished(tree, Root(groups=(Group(name="extra", gid=7),), users=(user,)))
    assert [line.split(":")[0] for line in (tree / "etc/passwd").read_text().splitlines()] == ["root", "nonroot"]
    assert (tree / "etc/group").read_text() == "root:x:0:\nextra:x:7:\nnonroot:x:65532:\n"
    home = (tree / "home/nonroot").stat()
    assert (home.st_uid, home.st_gid, home.st_mode & 0o7777) == (65532, 65532, 0o700)


def test_accounts_of_packages_are_left_alone_when_nobody_asks_for_more(tree: Path) -> None:
    assert not (finished(tree) / "etc/passwd").exists()


def test_later_installations_decide_as_the_first_one_did(tree: Path) -> None:
    finished(tree, Root(documentation=False))
    assert (tree / "usr/lib/rpm/macros.d/macros.image").read_text() == "%_excludedocs 1\n"


def test_a_root_without_rpm_gets_no_macros(tree: Path) -> None:
    (tree / "usr/lib/rpm/macros").unlink()
    (tree / "usr/lib/rpm").rmdir()
    assert not (finished(tree, Root(documentation=False)) / "usr/lib/rpm").exists()


def test_the_machine_has_no_identity_yet(tree: Path) -> None:
    (tree / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    assert (finished(tree) / "etc/machine-id").read_bytes() == b""


def test_what_dnf_makes_in_every_root_goes_and_a_packages_own_stays(tree: Path) -> None:
    (tree / "etc/dnf/modules.d").mkdir(parents=True)
    assert not (finished(tree) / "etc/dnf").exists()
    (tree / "etc/dnf/modules.d").mkdir(parents=True)
    (tree / "etc/dnf/dnf.conf").touch()
    assert (finished(tree) / "etc/dnf/modules.d").is_dir()
