"""Stage 0 for real: .deb files become RPMs that rpm itself describes as they should be, byte for byte the same."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from release.errors import Broken, Refused
from release.source.debian import rpm_version
from release.source.toolchain import LockedPackage, Origin, ToolchainLock
from release.tools import stage0
from release.tools.debs import read_control, unpack
from release.tools.stage0 import Importer
from tests.tools.tiny_debs import file, folder, hard_link, link, write_deb

EPOCH = 1700000000
MEMBERS = [
    folder("./"),
    folder("./bin/"),
    file("./bin/tool", b"#!/bin/sh\n", 0o755),
    file("./bin/[", b"bracket", 0o755),
    link("./bin/sh", "tool"),
    hard_link("./bin/tool2", "./bin/tool"),
    folder("./usr/"),
    folder("./usr/bin/"),
    file("./usr/bin/su", b"su", 0o4755),
    file("./usr/bin/wall", b"wall", 0o2755, group="tty"),
    file("./usr/bin/a b 100%", b"odd"),
    folder("./etc/"),
    file("./etc/tool.conf", b"a=1\n"),
    folder("./var/lib/tool/", 0o700),
    file("./usr/share/doc/tool/copyright", b"free"),
    link("./usr/share/tool", "/etc/tool.conf"),
]


async def converted(work: Path, *debs: Path, source: str = "tool") -> dict[str, Path]:
    """The RPMs of the packages of one source, by file name."""
    controls = {deb: await read_control(deb) for deb in debs}
    arch = next(iter(controls.values())).arch
    await Importer(scratch=work, rpms=work / "rpms", epoch=EPOCH).convert(source, arch, controls)
    return {path.name: path for path in (work / "rpms").iterdir()}


def query(rpm: Path, form: str) -> list[str]:
    argv = ["rpm", "-qp", "--qf", form, str(rpm)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture
async def tool(tmp_path: Path) -> Path:
    rpms = await converted(tmp_path / "work", write_deb(tmp_path, "tool", MEMBERS, version="1:1.0-rc1-2"))
    return rpms["tool-1.0.rc1-2.x86_64.rpm"]


def test_the_rpm_says_what_the_deb_said(tool: Path) -> None:
    assert query(tool, "%{NEVRA}|%{SOURCERPM}|%{DISTRIBUTION}|%{VENDOR}|%{SUMMARY}\n") == [
        "tool-1:1.0.rc1-2.x86_64|tool-1.0.rc1-2.src.rpm|stage0|Debian|tool for a test"
    ]
    assert {"libc6 >= 2.36", "stage0-filesystem"} <= set(query(tool, "[%{REQUIRENEVRS}\n]"))
    assert {"/bin/sh", "/bin/tool", "tool = 1:1.0.rc1-2"} <= set(query(tool, "[%{PROVIDENEVRS}\n]"))
    assert query(tool, "%{BUILDHOST} %{BUILDTIME}\n") == [f"slipway {EPOCH}"]


def test_every_file_is_there_below_usr_with_its_owner_and_mode(tool: Path) -> None:
    listed = {line.split("|")[0]: line for line in query(tool, "[%{FILENAMES}|%{FILEMODES:perms}|%{FILEGROUPNAME}\n]")}
    expected = {
        "/usr/bin/tool": "-rwxr-xr-x|root",
        "/usr/bin/tool2": "-rwxr-xr-x|root",
        "/usr/bin/[": "-rwxr-xr-x|root",
        "/usr/bin/sh": "lrwxrwxrwx|root",
        "/usr/bin/su": "-rwsr-xr-x|root",
        "/usr/bin/wall": "-rwxr-sr-x|tty",
        "/usr/bin/a b 100%": "-rw-r--r--|root",
        "/etc/tool.conf": "-rw-r--r--|root",
        "/var/lib/tool": "drwx------|root",
        "/usr/share/doc/tool/copyright": "-rw-r--r--|root",
        "/usr/share/tool": "lrwxrwxrwx|root",
        "/usr/bin": "drwxr-xr-x|root",
        "/etc": "drwxr-xr-x|root",
    }
    assert listed == {path: f"{path}|{rest}" for path, rest in expected.items()}


def test_files_keep_their_times_and_configuration_is_marked(tool: Path) -> None:
    times = dict(line.rsplit("|", 1) for line in query(tool, "[%{FILENAMES}|%{FILEMTIMES}\n]"))
    assert times["/usr/bin/tool"] == times["/usr/bin/sh"] == "1600000000"
    flags = dict(line.split("|") for line in query(tool, "[%{FILENAMES}|%{FILEFLAGS:fflags}\n]"))
    assert "c" in flags["/etc/tool.conf"]
    assert "l" in flags["/usr/share/doc/tool/copyright"]


def test_runs_no_script_of_debian(tool: Path) -> None:
    assert query(tool, "%|PREIN?{yes}|%|POSTIN?{yes}|%|PREUN?{yes}|%|POSTUN?{yes}|\n") == [""]


async def test_equal_debs_give_the_same_bytes_at_another_time_and_place(tmp_path: Path) -> None:
    first = await converted(tmp_path / "one", write_deb(tmp_path / "a", "tool", MEMBERS))
    await asyncio.sleep(1.1)  # file systems and archives count in seconds
    beside = write_deb(tmp_path / "b", "libtool1", [folder("./usr/"), file("./usr/other", b"x")], source="tool")
    again = await converted(tmp_path / "two", write_deb(tmp_path / "b", "tool", MEMBERS), beside)
    name = "tool-1.0-1.x86_64.rpm"
    assert hashlib.sha256(first[name].read_bytes()).digest() == hashlib.sha256(again[name].read_bytes()).digest()


@pytest.fixture
def library(tmp_path: Path) -> bytes:
    source, made = tmp_path / "answer.c", tmp_path / "libanswer.so"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(["cc", "-shared", "-Wl,-soname,libanswer.so.1", "-o", made, source], check=True)
    return made.read_bytes()


async def test_libraries_and_modules_say_what_they_offer(tmp_path: Path, library: bytes) -> None:
    members = [
        file("./lib/x86_64-linux-gnu/libanswer.so.1.0", library),
        link("./lib/x86_64-linux-gnu/libanswer.so.1", "libanswer.so.1.0"),
        file("./usr/lib/x86_64-linux-gnu/libanswer.so", b"/* GNU ld script */\n"),
        file("./usr/lib/x86_64-linux-gnu/plugins/libplugin.so", library),
        file("./usr/share/perl5/Tiny.pm", b"package Tiny;\nour $VERSION = '1.5';\n1;\n"),
        file("./usr/bin/python3.11", b"", 0o755),
    ]
    rpms = await converted(tmp_path / "work", write_deb(tmp_path, "tool", members))
    provides = query(rpms["tool-1.0-1.x86_64.rpm"], "[%{PROVIDENEVRS}\n]")
    assert {"libanswer.so.1()(64bit)", "perl(Tiny) = 1.5", "python(abi) = 3.11"} <= set(provides)
    assert provides.count("libanswer.so.1()(64bit)") == 1


async def test_packages_of_one_source_and_different_arches(tmp_path: Path) -> None:
    data = write_deb(tmp_path, "tool-data", [file("./usr/share/tool/data", b"1")], source="tool", arch="all")
    rpms = await converted(tmp_path / "work", data)
    assert query(rpms["tool-data-1.0-1.noarch.rpm"], "%{ARCH} %{SOURCERPM}\n") == ["noarch tool-1.0-1.src.rpm"]


async def test_what_scripts_of_debian_would_make_is_in_the_package(tmp_path: Path) -> None:
    awk = write_deb(tmp_path, "gawk", [file("./usr/bin/gawk", b"", 0o755)])
    rpms = await converted(tmp_path / "work", awk, source="gawk")
    assert "/usr/bin/awk -> gawk" in query(rpms["gawk-1.0-1.x86_64.rpm"], "[%{FILENAMES} -> %{FILELINKTOS}\n]")


async def test_base_files_does_not_say_whose_distribution_this_is(tmp_path: Path) -> None:
    members = [
        file("./etc/os-release", b"ID=debian\n"),
        file("./usr/lib/os-release", b"ID=debian\n"),
        file("./usr/share/common-licenses/GPL-2", b"GPL"),
    ]
    rpms = await converted(tmp_path / "work", write_deb(tmp_path, "base-files", members), source="base-files")
    assert query(rpms["base-files-1.0-1.x86_64.rpm"], "[%{FILENAMES}\n]") == ["/usr/share/common-licenses/GPL-2"]


VERSIONS = [
    ("1.0-1", "1.0-2"),
    ("1.0-9", "1.0-10"),
    ("1.9-1", "1.10-1"),
    ("1.0~rc1-1", "1.0-1"),
    ("1.0-1~bpo12+1", "1.0-1"),
    ("1.0-1", "1.0-1+b1"),
    ("1.0-1", "1.0-1+deb12u1"),
    ("1.0-1+deb12u1", "1.0-1+deb12u2"),
    ("1.0-1+deb12u9", "1.0-1+deb12u10"),
    ("1.0-1", "1.0-1.1"),
    ("1.0+dfsg-1", "1.0.1-1"),
    ("2.0-1", "1:1.0-1"),
    ("5.36.0-7+deb12u4", "5.38.0-1"),
    ("20210119-1", "20220109.1"),
    ("2.4+20151223.gitfa8646d.1-2+b2", "2.4+20180101.git1-1"),
]


@pytest.mark.parametrize(("older", "newer"), VERSIONS)
def test_rpm_orders_versions_as_dpkg_does(older: str, newer: str) -> None:
    assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=False).returncode == 0
    compared = f"%{{lua: print(rpm.vercmp('{rpm_version(older)}', '{rpm_version(newer)}'))}}"
    said = subprocess.run(["rpm", "--eval", compared], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "-1"


async def test_certificates_are_one_file_where_tls_looks_for_them(tmp_path: Path) -> None:
    members = [file(f"./usr/share/ca-certificates/mozilla/{name}.crt", f"{name}\n".encode()) for name in "ba"]
    deb = write_deb(tmp_path, "ca-certificates", members)
    imported = await unpack(deb, await read_control(deb), tmp_path / "root")
    assert (tmp_path / "root/etc/ssl/certs/ca-certificates.crt").read_text() == "a\nb\n"
    assert "etc/ssl/certs/ca-certificates.crt" in {each.path for each in imported.files}


@pytest.fixture
async def filesystem(tmp_path: Path) -> Path:
    await Importer(scratch=tmp_path, rpms=tmp_path / "rpms", epoch=EPOCH).filesystem()
    return tmp_path / "rpms" / "stage0-filesystem-1-1.noarch.rpm"


def test_the_filesystem_package_has_the_links_of_the_usr_merge(filesystem: Path) -> None:
    links = set(query(filesystem, "[%{FILENAMES} -> %{FILELINKTOS}\n]"))
    assert {"/bin -> usr/bin", "/sbin -> usr/sbin", "/lib -> usr/lib", "/lib64 -> usr/lib64"} <= links
    assert {"base-files", "base-passwd"} <= set(query(filesystem, "[%{PROVIDES}\n]"))


def test_the_filesystem_package_has_users_whose_groups_exist_and_nobody_can_log_in(filesystem: Path) -> None:
    script = 'rpm2cpio "$1" | cpio --quiet -i --to-stdout "./etc/$2"'
    tables = {}
    for name in ("passwd", "group", "shadow"):
        argv = ["sh", "-c", script, "sh", str(filesystem), name]
        lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
        tables[name] = {line.split(":")[0]: line.split(":") for line in lines}
    assert tables["passwd"].keys() == tables["shadow"].keys()
    assert {each[3] for each in tables["passwd"].values()} <= {each[2] for each in tables["group"].values()}
    assert {each[1] for each in tables["shadow"].values()} == {"*"}
    assert {each[6] for name, each in tables["passwd"].items() if name != "root"} == {"/usr/sbin/nologin"}


def test_the_filesystem_package_keeps_secrets_and_temporary_files_apart(filesystem: Path) -> None:
    modes = dict(line.split("|") for line in query(filesystem, "[%{FILENAMES}|%{FILEMODES:perms}\n]"))
    assert (modes["/etc/shadow"], modes["/root"]) == ("-rw-------", "drwx------")
    assert modes["/tmp"] == modes["/var/tmp"] == "drwxrwxrwt"
    writable = {path for path, mode in modes.items() if mode[8] == "w" and mode[0] != "l"}
    assert writable == {"/tmp", "/var/tmp"}


class Mirror:
    """Stands for apt: its packages are already here."""

    debs: ClassVar[list[Path]] = []

    def __init__(self, home: Path) -> None:
        self.home = home

    async def download(self, packages: object, folder: Path) -> tuple[Path, ...]:
        return tuple(self.debs)


LOCK = ToolchainLock.of(Origin.STAGE0, (), [LockedPackage(name="any", version="1", arch="amd64", sha256="a" * 64)])


@pytest.fixture
async def reaped() -> AsyncIterator[None]:
    """Lets asyncio hear of the processes that were killed: a loop that is closed before complains in a later test."""
    yield
    for _ in range(100):
        await asyncio.sleep(0.02)
        if not any(thread.name.startswith("waitpid-") for thread in threading.enumerate()):
            break
    await asyncio.sleep(0.2)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reaped: None) -> type[Mirror]:
    sizes = {"small": 10, "large": 500000, "medium": 5000}
    debs = [write_deb(tmp_path / "debs", name, [file(f"./usr/{name}", b"x" * size)]) for name, size in sizes.items()]
    monkeypatch.setattr(Mirror, "debs", debs)
    monkeypatch.setattr(stage0, "Apt", Mirror)
    return Mirror


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_imports_all_and_tells_how_far_it_is(mirror: type[Mirror], tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    rpms = await stage0.import_toolchain(
        LOCK, tmp_path / "rpms", home=tmp_path, epoch=EPOCH, progress=lambda *step: seen.append(step)
    )
    assert [path.name.split("-")[0] for path in rpms] == ["large", "medium", "small", "stage0"]
    assert sorted(seen) == sorted((n + 1, 3, seen[n][2]) for n in range(3))
    assert {name for _, _, name in seen} == {"large", "medium", "small"}


async def test_one_bad_package_is_named_and_leaves_no_half_a_toolchain(mirror: type[Mirror], tmp_path: Path) -> None:
    bad = write_deb(tmp_path / "debs", "bad", [file("./../outside", b"x")])
    mirror.debs.append(bad)
    with pytest.raises(Refused, match=r"leads out of its root[^$]*outside"):
        await stage0.import_toolchain(LOCK, tmp_path / "rpms", home=tmp_path, epoch=EPOCH)
    assert names(tmp_path) == ["debs"]


async def test_a_relation_that_rpm_cannot_say_is_named(mirror: type[Mirror], tmp_path: Path) -> None:
    mirror.debs.append(write_deb(tmp_path / "debs", "bad", [], depends="what (~> 1)"))
    with pytest.raises(Refused, match=r"not a Debian relation[^$]*what"):
        await stage0.import_toolchain(LOCK, tmp_path / "rpms", home=tmp_path, epoch=EPOCH)
    assert names(tmp_path) == ["debs"]


async def test_an_import_that_is_cancelled_leaves_nothing(mirror: type[Mirror], tmp_path: Path) -> None:
    def cancel(done: int, total: int, name: str) -> None:
        running.cancel()

    asked = stage0.import_toolchain(LOCK, tmp_path / "rpms", home=tmp_path, epoch=EPOCH, progress=cancel)
    running = asyncio.create_task(asked)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert names(tmp_path) == ["debs"]


async def test_two_imports_at_once_make_one_toolchain(mirror: type[Mirror], tmp_path: Path) -> None:
    asked = (stage0.import_toolchain(LOCK, tmp_path / "rpms", home=tmp_path, epoch=EPOCH) for _ in range(2))
    first, second = await asyncio.gather(*asked)
    assert first == second
    assert names(tmp_path) == ["debs", "rpms"]


@pytest.mark.parametrize(
    "members",
    [
        [file("./../outside", b"x")],
        [file("./usr/../../outside", b"x")],
        [link("./usr/share/away", ".."), link("./usr/share/far", "../../.."), file("./usr/share/far/outside", b"x")],
        [link("./usr/away", "../../.."), file("./usr/away/outside", b"x")],
        [link("./usr/file", "../../../outside"), file("./usr/file", b"x")],
        [link("./usr/folder", "../.."), folder("./usr/folder"), file("./usr/folder/outside", b"x")],
        [hard_link("./usr/stolen", "./../../outside")],
        [hard_link("./usr/stolen", "/../outside-there")],
    ],
)
async def test_refuses_a_deb_that_leads_out_of_its_root(
    tmp_path: Path, members: Sequence[tuple[object, bytes]]
) -> None:
    (tmp_path / "outside").write_text("here before")
    deb = write_deb(tmp_path / "debs", "tool", [folder("./usr/share/"), *members])  # type: ignore[list-item]
    root = tmp_path / "work" / "root"
    root.mkdir(parents=True)
    with pytest.raises((Refused, Broken)):
        await unpack(deb, await read_control(deb), root)
    assert (tmp_path / "outside").read_text() == "here before"


async def test_refuses_a_deb_whose_content_is_damaged(tmp_path: Path) -> None:
    deb = write_deb(tmp_path, "tool", [file("./usr/large", b"x" * 5000)])
    content = deb.read_bytes()
    deb.write_bytes(content.replace(b"./usr/large", b"./usr/Large"))  # the checksum of the member's header is wrong
    with pytest.raises(Refused, match=r"tool.deb: a package is damaged"):
        await unpack(deb, await read_control(deb), tmp_path / "root")


async def test_refuses_a_deb_with_a_device(tmp_path: Path) -> None:
    deb = write_deb(tmp_path, "tool", [link("./usr/null", "", b"3")])
    with pytest.raises(Refused, match="no file, folder or link"):
        await unpack(deb, await read_control(deb), tmp_path / "root")


async def test_says_that_a_file_is_no_deb(tmp_path: Path) -> None:
    (tmp_path / "tool.deb").write_bytes(b"not at all")
    with pytest.raises(Broken, match=r"dpkg-deb failed[^$]*tool.deb"):
        await read_control(tmp_path / "tool.deb")
