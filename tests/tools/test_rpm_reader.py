"""One thing at a time is changed in a real package: which of the two digests moves, and what the words say."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from release.interfaces.interface_differences import differences, product_differences
from release.interfaces.interfaces import BinaryInterface, as_binary, from_bytes, to_bytes
from release.tools.rpm_reader import read_interfaces
from tests.tools.changed_rpms import LIBRARY, MODULE, STATIC, TOOL, VERSIONS, Keel, build
from tests.tools.tiny_rpms import fleet

FILE_TIME = 1767225600


@dataclass(frozen=True, kw_only=True)
class Change:
    """`keel` differs from a plain Keel in one thing; `interface` and `product` are the packages whose digest moves."""

    keel: Keel
    interface: str = ""
    product: str = ""
    words: str = ""


def edited(**changes: object) -> Keel:
    return replace(Keel(), **changes)  # type: ignore[arg-type]


NEW_SYMBOL = LIBRARY + "int keel_bend(void) { return 4; }\n"
CHANGES = {
    "nothing": Change(keel=edited()),
    "a function body of the shared library": Change(
        keel=edited(library=LIBRARY.replace("length + 1", "length + 2")), product="keel"
    ),
    "a local symbol of the shared library": Change(keel=edited(library=NEW_SYMBOL), product="keel"),
    "a new symbol": Change(
        keel=edited(library=NEW_SYMBOL, versions=VERSIONS + "KEEL_1.1 { global: keel_bend; } KEEL_1.0;"),
        interface="keel",
        product="keel",
        words="libkeel.so.1 exports keel_bend@@KEEL_1.1 FUNC: in addition",
    ),
    "a symbol that is gone": Change(
        keel=edited(versions=VERSIONS.replace("keel_lift; ", "")),
        interface="keel",
        product="keel",
        words="libkeel.so.1 exports keel_lift@@KEEL_1.0 FUNC: no longer",
    ),
    "the version of a symbol": Change(
        keel=edited(versions="KEEL_1.0 { global: keel_l*; local: *; }; KEEL_1.1 { global: keel_flag; keel_names; };"),
        interface="keel",
        product="keel",
        words="libkeel.so.1 exports keel_flag@@KEEL_1.1 OBJECT 4: in addition",
    ),
    "the soname": Change(
        keel=edited(soname="libkeel.so.2"),
        interface="keel",
        product="keel",
        words="provides libkeel.so.2()(64bit) is new",
    ),
    "the size of a data object": Change(
        keel=edited(library=LIBRARY.replace('[4] = {"a", ', '[5] = {"a", "a", ')),
        interface="keel",
        product="keel",
        words="libkeel.so.1 exports keel_names@@KEEL_1.0 OBJECT 40: in addition",
    ),
    "what a compiler left in the library": Change(
        keel=edited(library=LIBRARY + '__asm__(".section .rustc; .string \\"crate\\"");'),
        interface="keel",
        product="keel",
        words="libkeel.so.1 section .rustc",
    ),
    "a weak symbol": Change(
        keel=edited(library=LIBRARY.replace("int keel_lift", "__attribute__((weak)) int keel_lift")),
        interface="keel",
        product="keel",
        words="libkeel.so.1 exports keel_lift@@KEEL_1.0 FUNC weak: in addition",
    ),
    "a library that the library needs": Change(
        keel=edited(link="-Wl,--no-as-needed -lgcc_s"),
        interface="keel",
        product="keel",
        words="libkeel.so.1 needed libgcc_s.so.1: in addition",
    ),
    "the code of a program": Change(
        keel=edited(tool=TOOL.replace("(1)", "(2)")),
        interface="keel",
        product="keel",
        words="keel: /usr/bin/keel changed",
    ),
    "the code of a module": Change(
        keel=edited(module=MODULE.replace("7", "8")), interface="keel", product="keel", words="probe.so changed"
    ),
    "a script": Change(keel=edited(script="#!/bin/sh\necho hull\n"), interface="keel", product="keel"),
    "a header macro": Change(
        keel=edited(header="#define KEEL_MAX 11\nint keel_lay(int length);\n"),
        interface="keel-devel",
        product="keel-devel",
        words="keel-devel: /usr/include/keel.h changed",
    ),
    "a static library": Change(
        keel=edited(static=STATIC.replace("1", "2")), interface="keel-devel", product="keel-devel"
    ),
    "a pkg-config flag": Change(
        keel=edited(pc="Name: keel\nDescription: keel\nVersion: 1.2\nLibs: -lkeel -lm\n"),
        interface="keel-devel",
        product="keel-devel",
    ),
    "an rpm macro": Change(
        keel=edited(macros="%keel_prefix /opt/keel\n"), interface="keel-devel", product="keel-devel"
    ),
    "a cmake file": Change(keel=edited(cmake="set(KEEL 2)\n"), interface="keel-devel", product="keel-devel"),
    "a Python module": Change(keel=edited(python="DEPTH = 2\n"), interface="keel", product="keel"),
    "a data file": Change(keel=edited(data="planks 13\n"), interface="keel", product="keel"),
    "a configuration file": Change(keel=edited(configuration="depth = 2\n"), interface="keel", product="keel"),
    "a file's mode": Change(
        keel=edited(mode=0o600), interface="keel", product="keel", words="/usr/share/keel/planks is 100600, was 100644"
    ),
    "a file that is new": Change(
        keel=edited(install="echo x > %{buildroot}/usr/share/keel/x"),
        interface="keel",
        product="keel",
        words="/usr/share/keel/x is new",
    ),
    "a link's target": Change(
        keel=edited(install="ln -sfn libkeel.so.1.2 %{buildroot}/usr/lib64/libkeel.so"),
        interface="keel-devel",
        product="keel-devel",
        words="/usr/lib64/libkeel.so changed",
    ),
    "a provided capability": Change(
        keel=edited(more="Provides: ballast = 3"), interface="keel", product="keel", words="provides ballast = 3 is new"
    ),
    "a requirement": Change(
        keel=edited(more="Requires: rope >= 2"), interface="keel", product="keel", words="requires rope >= 2 is new"
    ),
    "a conflict": Change(keel=edited(more="Conflicts: rudder < 2"), interface="keel", product="keel"),
    "a weak dependency": Change(keel=edited(more="Recommends: rope"), product="keel", words="recommends rope is new"),
    "a script at installation": Change(
        keel=edited(scripts="%post\ntouch /usr/share/keel/made"),
        interface="keel",
        product="keel",
        words="the post script changed",
    ),
    "a script at removal": Change(
        keel=edited(scripts="%post -p /sbin/ldconfig\n%preun\nexit 0"), product="keel", words="the preun script is new"
    ),
    "documentation": Change(keel=edited(doc="How to lay it.\n"), product="keel"),
    "a manual page": Change(keel=edited(man=".TH KEEL 3\n"), product="keel"),
    "a translation": Change(keel=edited(translation="quille"), product="keel"),
    "a new translation": Change(
        keel=edited(
            install="cp -a %{buildroot}/usr/share/locale/de %{buildroot}/usr/share/locale/fr",
        ),
        product="keel",
    ),
    "the summary": Change(keel=edited(summary="The keel"), product="keel", words="keel: its summary changed"),
    "the license": Change(keel=edited(license="MIT"), product="keel keel-devel"),
    "the changelog": Change(keel=edited(changelog="Relaunch.")),
    "every time stamp": Change(keel=edited(seconds=FILE_TIME - 86400)),
    "the time of an archive's members": Change(keel=edited(ar_time=1234567890)),
    "the time in bytecode": Change(keel=edited(bytecode_seconds=99)),
    "the build id": Change(keel=edited(build_id="0x" + "cd" * 20)),
    "the length of the build id": Change(keel=edited(build_id="0x" + "cd" * 16)),
    "the note of the package in every ELF file": Change(keel=edited(note='{"release":"2.skiff1^12345678"}')),
    "the name of the debug file": Change(keel=edited(debug_file="keel-1.2-2.skiff1^12345678.debug")),
    "how the payload is compressed": Change(keel=edited(payload="w6.xzdio")),
    "the release by hand": Change(
        keel=edited(release="3.skiff1"),
        product="keel keel-devel",
        words="its version is 1.2-3.skiff1, was 1.2-2.skiff1",
    ),
    "the release by a rebuild": Change(keel=edited(release="2.skiff1^1")),
    "the version": Change(
        keel=edited(version="1.3"),
        interface="keel keel-devel",
        product="keel keel-devel",
        words="provides keel = 1.3 is new",
    ),
    "the epoch": Change(keel=edited(more="Epoch: 1"), interface="keel keel-devel", product="keel keel-devel"),
}


@cache
def rpms(keel: Keel) -> dict[str, Path]:
    return build(keel, Path(mkdtemp(prefix="slipway-keel-")))


@cache
def interfaces(keel: Keel) -> tuple[BinaryInterface, ...]:
    return asyncio.run(read_interfaces([rpms(keel)[name] for name in ("keel", "keel-devel")]))


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_moves_exactly_the_digests_that_it_should(what: str) -> None:
    change = CHANGES[what]
    before, after = interfaces(Keel()), interfaces(change.keel)
    moved = [two.name for one, two in zip(before, after, strict=True) if one.digest != two.digest]
    shipped = [two.name for one, two in zip(before, after, strict=True) if one.product != two.product]
    seen, sold = differences(before, after), product_differences(before, after)
    assert (" ".join(moved), " ".join(shipped)) == (change.interface, change.product), (seen, sold)
    assert bool(seen) is bool(moved), seen
    assert bool(sold) is bool(shipped), sold
    assert not change.words or any(change.words in line for line in (*seen, *sold)), (seen, sold)


def test_a_record_gives_everything_back() -> None:
    packages = interfaces(Keel())
    assert from_bytes(to_bytes(packages)) == packages
    assert to_bytes(packages) == to_bytes(packages[::-1])


def test_the_resolver_gets_what_rpm_knows() -> None:
    binary = as_binary(interfaces(Keel())[0])
    assert binary.evr == "1.2-2.skiff1"
    assert {"keel = 1.2-2.skiff1", "libkeel.so.1(KEEL_1.0)(64bit)"} <= set(binary.provides)
    assert "/usr/bin/keel" in binary.files


def test_every_package_is_answered_in_its_place() -> None:
    paths = [*fleet().values()][:-1] + list(rpms(Keel()).values())
    assert [each.file for each in asyncio.run(read_interfaces(paths))] == [path.name for path in paths]
    assert asyncio.run(read_interfaces(paths[::-1])) == asyncio.run(read_interfaces(paths))[::-1]


def test_hard_links_are_one_file_with_many_names() -> None:
    folder = "%{buildroot}/usr/bin"
    link = f"ln {folder}/keel {folder}/a-keel; ln {folder}/keel {folder}/z"
    one, two = (interfaces(edited(install=link, build_id=f"0x{byte * 20}")) for byte in ("ab", "cd"))
    entries = dict(one[0].paths())
    assert entries["/usr/bin/a-keel"] == entries["/usr/bin/keel"] == entries["/usr/bin/z"]
    assert not product_differences(one, two)


def test_a_compressed_file_counts_by_what_is_inside() -> None:
    planks = b"planks\n" * 1000
    fast, small, other = (
        interfaces(edited(compressed=gzip.compress(content, level, mtime=level)))
        for content, level in ((planks, 1), (planks, 9), (planks[1:], 9))
    )
    assert not product_differences(fast, small)
    assert differences(small, other) == ("keel: /usr/share/keel/more.gz changed",)


def test_debug_files_are_no_part_of_the_product() -> None:
    def with_debug(release: str, content: str) -> tuple[BinaryInterface, ...]:
        folder = "%{buildroot}/usr/lib/debug/usr/bin"
        install = f"mkdir -p {folder}; echo {content} > {folder}/keel-1.2-{release}.x86_64.debug"
        return interfaces(edited(install=install, files="/usr/lib/debug", release=release))

    assert not product_differences(with_debug("2.skiff1", "a"), with_debug("2.skiff1^1", "b"))


def test_a_link_to_our_own_version_is_that_of_the_first_build() -> None:
    def linked(release: str) -> tuple[BinaryInterface, ...]:
        link = f"ln -s keel-1.2-{release} %{{buildroot}}/usr/share/keel/current"
        return interfaces(edited(install=link, release=release))

    assert not product_differences(linked("2.skiff1"), linked("2.skiff1^1"))
    assert differences(linked("2.skiff1"), linked("2.skiff1^1")), "a build sees where it leads"


def test_the_build_id_of_a_program_that_runs_as_root_does_not_count_either() -> None:
    setuid = "chmod 4755 %{buildroot}/usr/bin/keel"
    one, two = (interfaces(edited(install=setuid, build_id=f"0x{byte * 20}")) for byte in ("ab", "cd"))
    assert dict(one[0].paths())["/usr/bin/keel"].attributes == "104755"
    assert not product_differences(one, two)
