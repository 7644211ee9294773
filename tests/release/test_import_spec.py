"""The spec of an import: which package is the main one, what is marked, and that no name is taken for a pattern."""

from __future__ import annotations

from dataclasses import replace

import pytest

from release.source.debian import Control, Kind, PackedFile
from release.source.import_spec import Imported, alternatives, file_list, spec_text

TOOL = Control(
    name="tool",
    source="tool",
    epoch="2",
    version="1.0",
    release="3",
    arch="x86_64",
    url="https://tool.example/100%",
    summary="100% of a tool",
    provides=("a-tool",),
    requires=("libtool1 >= 1.0",),
)
LIBRARY = replace(TOOL, name="libtool1", epoch=None, release=None)


def packed(path: str, kind: Kind = Kind.FILE, mode: int = 0o644, group: str = "root") -> PackedFile:
    return PackedFile(path=path, kind=kind, mode=mode, owner="root", group=group)


def imported(control: Control = TOOL, *files: PackedFile, provides: tuple[str, ...] = ()) -> Imported:
    return Imported(control=control, files=files, provides=provides)


def line(file: PackedFile) -> str:
    return file_list(imported(TOOL, file)).rstrip("\n")


def test_the_package_named_like_its_source_is_the_main_one() -> None:
    text = spec_text("tool", [imported(LIBRARY), imported(TOOL)], lists="/lists")
    assert text.startswith("Name: tool\nVersion: 1.0\nRelease: 3\nEpoch: 2\n")
    assert "%package -n libtool1\nVersion: 1.0\nRelease: 0\n" in text
    assert "%package -n tool\n" not in text
    assert "%files -n tool -f /lists/tool.files" in text
    assert "%files -n libtool1 -f /lists/libtool1.files" in text


def test_a_source_without_a_package_of_its_name_has_a_main_one_that_is_never_written() -> None:
    text = spec_text("glibc", [imported(LIBRARY)], lists="/lists")
    assert text.startswith("Name: glibc\n")
    assert "%files -n glibc" not in text


def test_says_what_a_package_is_and_needs() -> None:
    text = spec_text("tool", [imported(TOOL, provides=("libtool.so.1()(64bit)",))], lists="/lists")
    for tag in (
        "Summary: 100%% of a tool",
        "URL: https://tool.example/100%%",
        "Vendor: Debian",
        "AutoReqProv: no",
        "Requires(pre): stage0-filesystem",
        "Requires: libtool1 >= 1.0",
        "Provides: a-tool",
        "Provides: libtool.so.1()(64bit)",
    ):
        assert f"\n{tag}\n" in text
    assert "BuildArch" not in text


def test_packages_for_every_arch_are_built_as_such() -> None:
    everywhere = replace(TOOL, arch="noarch")
    assert "\nBuildArch: noarch\n" in spec_text("tool", [imported(everywhere)], lists="/lists")
    assert "\nBuildArch: noarch\n" in spec_text("other", [imported(everywhere)], lists="/lists").split("%package")[0]


def test_only_the_package_of_ldconfig_has_triggers() -> None:
    text = spec_text("glibc", [imported(replace(TOOL, name="libc-bin")), imported(LIBRARY)], lists="/lists")
    assert text.count("%transfiletriggerin -n libc-bin") == text.count("%transfiletriggerpostun -n libc-bin") == 1
    assert "%transfiletrigger" not in spec_text("tool", [imported(TOOL)], lists="/lists")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (packed("usr/bin/su", mode=0o4755), '%attr(4755, root, root) "/usr/bin/su"'),
        (packed("usr/bin/wall", mode=0o2755, group="tty"), '%attr(2755, root, tty) "/usr/bin/wall"'),
        (packed("usr/bin", Kind.FOLDER, 0o755), '%dir %attr(0755, root, root) "/usr/bin"'),
        (packed("usr/bin/sh", Kind.SYMLINK, 0o777), '%attr(-, root, root) "/usr/bin/sh"'),
        (packed("etc/ld.so.conf"), '%config(noreplace) %attr(0644, root, root) "/etc/ld.so.conf"'),
        (packed("usr/share/doc/a/copyright"), '%license %attr(0644, root, root) "/usr/share/doc/a/copyright"'),
        (packed("usr/share/doc/a/README"), '%doc %attr(0644, root, root) "/usr/share/doc/a/README"'),
        (packed("usr/share/man/man1/a.1.gz"), '%doc %attr(0644, root, root) "/usr/share/man/man1/a.1.gz"'),
        (packed("usr/share/man/de/a.1"), '%lang(de) %doc %attr(0644, root, root) "/usr/share/man/de/a.1"'),
        (packed("usr/share/locale/pt_BR/x.mo"), '%lang(pt_BR) %attr(0644, root, root) "/usr/share/locale/pt_BR/x.mo"'),
        (packed("usr/share/locale/ca@val/x"), '%lang(ca) %attr(0644, root, root) "/usr/share/locale/ca@val/x"'),
        (packed("usr/share/locale/locale.alias"), '%attr(0644, root, root) "/usr/share/locale/locale.alias"'),
        (packed("usr/bin/["), '%attr(0644, root, root) "/usr/bin/[[]"'),
        (packed("usr/a*b?c{d,e}"), '%attr(0644, root, root) "/usr/a[*]b[?]c[{]d,e}"'),
        (packed("usr/100%"), '%attr(0644, root, root) "/usr/100%%"'),
    ],
)  # fmt: skip
def test_lists_a_path_with_its_owner_its_mode_and_its_kind(file: PackedFile, said: str) -> None:
    assert line(file) == said


def test_debians_alternatives_are_links_of_the_package() -> None:
    assert alternatives("gawk", ["usr/bin/gawk"]) == {"usr/bin/awk": "gawk"}
    assert alternatives("tool", ["usr/bin/gawk"]) == {}


def test_alternatives_of_a_versioned_program_follow_its_version() -> None:
    paths = [
        "usr/bin/aclocal-1.16",
        "usr/bin/automake-1.16",
        "usr/share/aclocal-1.16/x.m4",
        "usr/share/man/aclocal-1.16",
    ]
    assert alternatives("automake", paths) == {
        "usr/bin/aclocal": "aclocal-1.16",
        "usr/bin/automake": "automake-1.16",
    }
