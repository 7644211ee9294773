"""One path belongs to one package, or to several that agree about it or exclude each other."""

from __future__ import annotations

import pytest

from release.errors import Refused
from release.interfaces.file_conflicts import refuse_file_conflicts
from release.interfaces.file_rules import FileKind
from release.interfaces.interfaces import BinaryInterface, FileEntry

FILE = FileEntry(kind=FileKind.DATA, attributes="100644 root root", content="one")
OTHER = FILE._replace(content="two")
FOLDER = FileEntry(kind=FileKind.DIRECTORY, attributes="40755 root root")


def package(
    name: str, entry: FileEntry, *, conflicts: tuple[str, ...] = (), provides: tuple[str, ...] = ()
) -> BinaryInterface:
    return BinaryInterface(
        name=name, epoch=0, version="1", release="1", arch="noarch", file=f"{name}-1-1.noarch.rpm",
        provides=provides, conflicts=conflicts, files={"/usr/share": {"x": entry}},
    )  # fmt: skip


def refuse(*packages: BinaryInterface, changed: str = "a") -> None:
    refuse_file_conflicts(packages, [f"{changed}-1-1.noarch.rpm"])


def test_refuses_two_packages_that_own_one_path_and_names_path_and_both() -> None:
    with pytest.raises(Refused, match="own the same path") as caught:
        refuse(package("a", FILE), package("b", OTHER))
    assert caught.value.where == "/usr/share/x"
    assert caught.value.got == "/usr/share/x: a and b"


def test_refuses_another_mode_or_owner_of_equal_content() -> None:
    with pytest.raises(Refused):
        refuse(package("a", FILE), package("b", FILE._replace(attributes="100755 root root")))


def test_lets_equal_files_and_folders_be_shared() -> None:
    refuse(package("a", FILE), package("b", FILE))
    refuse(package("a", FOLDER), package("b", FOLDER._replace(attributes="40700 root root")))


@pytest.mark.parametrize(("conflicts", "provides"), [(("b",), ()), (("b < 2",), ()), (("virtual",), ("virtual = 1",))])
def test_lets_packages_be_that_exclude_each_other(conflicts: tuple[str, ...], provides: tuple[str, ...]) -> None:
    refuse(package("a", FILE, conflicts=conflicts), package("b", OTHER, provides=provides))
    refuse(package("b", OTHER, provides=provides), package("a", FILE, conflicts=conflicts))


def test_a_conflict_with_another_version_excludes_nothing() -> None:
    with pytest.raises(Refused):
        refuse(package("a", FILE, conflicts=("b > 2",)), package("b", OTHER))


def test_what_was_published_before_is_not_asked_again() -> None:
    refuse(package("a", FILE), package("b", OTHER), changed="c")
