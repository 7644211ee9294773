"""Sealed builds in the real toolchain: RPMs that can be made again bit by bit, and every way a build can go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from release.errors import Misconfigured
from release.tools.builder import Builder, BuildFailed, BuildOrder, BuildOutput
from release.tools.containers import Containers
from release.tools.sealed import Ended, Exceeded, Limits, Sealed
from tests.conftest import CREATEREPO
from tests.tools.toolchain_world import ToolchainWorld, toolchain_world

pytestmark = pytest.mark.integration
LIMITS = Limits(memory=512 << 20, scratch=64 << 20, pids=256, seconds=120)
SPEC = """
Name: tiny
Version: 1.0
Release: 1%{{?dist}}
Summary: For a test
License: MIT
{tags}
%description
For a test.
%prep
%build
{build}
%install
{install}
%files
{files}
"""


class Bench:
    """A spec's folder, and a builder to try it with."""

    def __init__(self, folder: Path, world: ToolchainWorld, containers: Containers) -> None:
        self.folder, self.world = folder, world
        self.builder = Builder(containers, scratch=self.made("scratch"))

    def made(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def order(
        self, build: str = ":", *, tags: str = "", install: str = ":", files: str = "", name: str = "tiny"
    ) -> BuildOrder:
        spec = self.made(f"{name}.folder") / f"{name}.spec"
        spec.write_text(SPEC.format(tags=tags, build=build, install=install, files=files).replace("tiny", name))
        return BuildOrder(
            image=self.world.image,
            spec=spec,
            sources=self.made("sources"),
            toolchain=self.world.folder,
            repositories=(),
            build_requires=(),
            epoch=1700000000,
            arch="x86_64",
            macros={"dist": ".t1", "debug_package": "%{nil}"},
            limits=LIMITS,
        )

    async def build(self, order: BuildOrder, out: str = "out") -> BuildOutput:
        return await self.builder.build(order, self.made(out))

    async def repository(self, order: BuildOrder) -> Path:
        """A repository of what an order makes."""
        made = await self.build(order, f"{order.spec.stem}.repository")
        made.srpm.unlink()
        subprocess.run([CREATEREPO, "--quiet", made.rpms[0].parent], check=True)
        return made.rpms[0].parent


@pytest.fixture(scope="module")
def world(docker_url: str) -> ToolchainWorld:
    return toolchain_world(docker_url)


@pytest.fixture
def bench(tmp_path: Path, docker_url: str, world: ToolchainWorld) -> Iterator[Bench]:
    with Containers(docker_url) as containers:
        yield Bench(tmp_path, world, containers)


def query(rpm: Path, form: str) -> list[str]:
    argv = ["rpm", "-qp", "--qf", form, str(rpm)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


def hashes(output: BuildOutput) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (*output.rpms, output.srpm)}


COMPILED = {
    "tags": "Source0: hello.c\nSource1: local.txt\nBuildRequires: gcc",
    "build": "gcc %{optflags} -o hello %{SOURCE0}",
    # a file whose content is always the same, and whose time never is
    "install": "install -D hello %{buildroot}%{_bindir}/hello; install -D /dev/null %{buildroot}%{_libdir}/hello/at",
    "files": "%{_bindir}/hello\n%{_libdir}/hello",
}


def compiled(bench: Bench) -> BuildOrder:
    order = bench.order(**COMPILED)
    (order.sources / "hello.c").write_text("#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n")
    (order.spec.parent / "local.txt").write_text("beside the spec\n")
    return replace(order, build_requires=("gcc",))


async def test_makes_rpms_an_srpm_a_log_and_a_list_of_what_was_installed(bench: Bench) -> None:
    made = await bench.build(compiled(bench))
    assert [path.name for path in made.rpms] == ["tiny-1.0-1.t1.x86_64.rpm"]
    assert made.srpm.name == "tiny-1.0-1.t1.src.rpm"
    assert set(query(made.srpm, "[%{FILENAMES}\n]")) == {"tiny.spec", "hello.c", "local.txt"}
    assert {"/usr/bin/hello", "/usr/lib64/hello", "/usr/lib64/hello/at"} == set(query(made.rpms[0], "[%{FILENAMES}\n]"))
    assert "libc.so.6(GLIBC_2.2.5)(64bit)" in query(made.rpms[0], "[%{REQUIRENEVRS}\n]")
    assert query(made.rpms[0], "%{BUILDHOST} %{BUILDTIME}\n") == ["slipway 1700000000"]
    assert b"gcc -O2 -g -o hello" in made.log
    assert len(made.build_root) == len(bench.world.lock.packages) + 1
    (bash,) = bench.world.folder.glob("bash-[0-9]*.rpm")
    listed = [f"{each.nevra} {each.header_digest}" for each in made.build_root if each.nevra.startswith("bash-")]
    assert query(bash, "%{NEVRA} %{SHA256HEADER}\n") == listed
    assert 0 < made.rpmbuild_seconds < made.seconds


async def test_builds_the_same_bytes_at_another_time(bench: Bench) -> None:
    first = await bench.build(compiled(bench), "first")
    await asyncio.sleep(1.1)  # archives and file systems count in seconds
    again = await bench.build(compiled(bench), "again")
    assert hashes(first) == hashes(again)
    assert len(hashes(first)) == 2


async def test_builds_at_once_do_not_meet(bench: Bench) -> None:
    alone = "test ! -e /tmp/mine; touch /tmp/mine; sleep 1"
    made = await asyncio.gather(*(bench.build(bench.order(alone, name=f"tiny{n}")) for n in range(3)))
    assert [each.srpm.name for each in made] == [f"tiny{n}-1.0-1.t1.src.rpm" for n in range(3)]


async def test_a_second_build_replaces_the_files_of_the_first(bench: Bench) -> None:
    first = await bench.build(bench.order("echo first"))
    before = first.srpm.read_bytes()
    again = await bench.build(replace(bench.order("echo second"), epoch=1700000001))
    assert again.srpm == first.srpm
    assert again.srpm.read_bytes() != before


async def test_sources_beside_the_spec_and_resolved_ones_are_both_there_but_no_folders(bench: Bench) -> None:
    order = bench.order("ls -A %{_sourcedir}")
    (order.sources / "resolved.tar").write_bytes(b"1")
    (order.spec.parent / "local.patch").write_bytes(b"2")
    (order.spec.parent / "old").mkdir()
    (order.spec.parent / "old" / "nested.patch").write_bytes(b"3")
    lines = (await bench.build(order)).log.decode().splitlines()
    start = lines.index("+ ls -A /build/SOURCES") + 1
    assert lines[start : start + 3] == ["local.patch", "resolved.tar", "tiny.spec"]
    assert "nested.patch" not in lines


async def test_a_missing_source_is_named(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match=r"tiny.spec: the build failed[^$]*Bad file: /build/SOURCES/lost.tar"):
        await bench.build(bench.order(tags="Source0: lost.tar"))


async def test_a_spec_that_rpm_cannot_read_is_shown_with_rpms_words(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match=r"Unknown tag: Licence"):
        await bench.build(bench.order(tags="Licence: misspelt"))


async def test_the_number_of_jobs_reaches_make(bench: Bench) -> None:
    made = await bench.build(replace(bench.order("echo jobs %{?_smp_mflags}; nproc"), jobs=7))
    assert b"\njobs -j7\n" in made.log


async def test_the_builder_is_nobody_in_an_environment_of_ours_without_a_network(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_TOKEN", "secret")
    made = await bench.build(
        bench.order("id -u; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; env; ls /sys/class/net")
    )
    lines = made.log.decode().splitlines()
    facts = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert "1000" in lines
    assert {facts[each] for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1"
    assert "SOURCE_DATE_EPOCH=1700000000" in lines
    assert {line for line in lines if line.startswith(("HOME=", "TZ=", "LC_ALL="))} == {
        "HOME=/build/home", "TZ=UTC", "LC_ALL=C.UTF-8",
    }  # fmt: skip
    assert "SLIPWAY_TOKEN" not in made.log.decode()
    assert lines[lines.index("+ ls /sys/class/net") + 1] == "lo"


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        ("touch /in/spec/mine", b"Read-only file system"),
        ("touch /in/repositories/0/mine /in/toolchain/mine", b"Read-only file system"),
        ("touch /usr/bin/mine", b"Permission denied"),
        ("echo gcc-0-0 0 > /facts/packages", b"Permission denied"),
        ("cp /usr/bin/true /out/evil.rpm", b"Permission denied"),
        ("python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 5)'", b"Network is unreachable"),
        ("python3 -c 'import socket; socket.getaddrinfo(\"upstream.example\", 80)'", b"Temporary failure in name"),
    ],
)
async def test_a_build_cannot_reach_out(bench: Bench, attempt: str, said: bytes) -> None:
    with pytest.raises(BuildFailed, match=r"tiny.spec: the build failed") as caught:
        await bench.build(bench.order(attempt))
    assert said in caught.value.log


@pytest.mark.parametrize(
    "attempt",
    [
        "cp /in/toolchain/bash-[0-9]*.rpm /build/RPMS/",
        "ln -s /etc/shadow /build/RPMS/shadow.rpm",
        "ln -s /etc/shadow /build/SRPMS/shadow.src.rpm",
    ],
)
async def test_what_is_built_cannot_add_packages_to_a_release(bench: Bench, attempt: str) -> None:
    with pytest.raises(BuildFailed, match="the build made a package that its spec does not name"):
        await bench.build(bench.order(f"mkdir -p /build/RPMS /build/SRPMS; {attempt}", files="%%exclude /nothing"))


async def test_a_failing_build_shows_its_last_words_and_keeps_its_log(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match=r"the build failed[^$]*no such thing[^$]*slipway build tiny") as caught:
        await bench.build(bench.order("seq 1000; echo no such thing; exit 3"))
    assert b"\n1\n2\n3\n" in caught.value.log
    assert len(str(caught.value).splitlines()) < 32
    assert not list(bench.made("out").iterdir())


async def test_installs_what_the_spec_asks_for_from_the_given_repository(bench: Bench) -> None:
    library = {"tags": "BuildArch: noarch\nProvides: pkgconfig(answer) = 1.2", "files": "/usr/share/answer"}
    answer = bench.order(install="mkdir -p %{buildroot}/usr/share/answer", name="answer", **library)
    repository = await bench.repository(answer)
    wanted = ("pkgconfig(answer) >= 1.1", "(no-such or make)")
    order = bench.order("test -d /usr/share/answer", tags="".join(f"BuildRequires: {each}\n" for each in wanted))
    made = await bench.build(replace(order, repositories=(repository,), build_requires=wanted))
    installed = {each.nevra for each in made.build_root}
    assert "answer-1.0-1.t1.noarch" in installed
    assert not any(each.startswith("slipway-build-requires") for each in installed)


async def test_an_own_package_takes_the_place_of_its_namesake_whatever_its_version(bench: Bench) -> None:
    own = bench.order(install="install -D /usr/bin/true %{buildroot}/usr/bin/file", files="/usr/bin/file", name="file")
    repository = await bench.repository(own)  # version 1.0; the toolchain's is 1:5.44, and libtool needs one
    order = replace(bench.order("file --no-such-option"), build_requires=("file",))
    with pytest.raises(BuildFailed, match="no-such-option"):
        await bench.build(order)
    made = await bench.build(replace(order, repositories=(repository,)))
    assert "file-1.0-1.t1.x86_64" in {each.nevra for each in made.build_root}


async def test_an_own_package_that_cannot_take_that_place_is_named(bench: Bench) -> None:
    own = bench.order(install="install -D /usr/bin/true %{buildroot}/usr/bin/m4", files="/usr/bin/m4", name="m4")
    repository = await bench.repository(own)
    with pytest.raises(BuildFailed, match=r"cannot be installed[^$]*autoconf\S* requires m4 >= 1.4.13"):
        await bench.build(replace(bench.order(), repositories=(repository,)))


async def test_a_library_of_ours_is_found_by_the_compiler_and_at_run_time_without_a_script(bench: Bench) -> None:
    library = bench.order(
        "echo 'int answer(void) { return 42; }' > a.c\n"
        "gcc -shared -fPIC -Wl,-soname,libanswer.so.1 a.c -o libanswer.so.1",
        install="""
            install -D libanswer.so.1 %{buildroot}%{_libdir}/libanswer.so.1
            ln -s libanswer.so.1 %{buildroot}%{_libdir}/libanswer.so
            mkdir %{buildroot}%{_libdir}/pkgconfig
            printf 'Name: answer\\nDescription: -\\nVersion: 1.0\\nLibs: -lanswer\\n' \
                > %{buildroot}%{_libdir}/pkgconfig/answer.pc
        """,
        files="%{_libdir}/libanswer.so*\n%{_libdir}/pkgconfig/answer.pc",
        name="answer",
    )
    repository = await bench.repository(library)
    use = bench.order(
        "echo 'int main(void) { return answer(); }' > a.c\n"
        "gcc -w a.c $(pkg-config --libs answer); ./a.out || test $? = 42"
    )
    order = replace(
        use, repositories=(repository,), build_requires=("pkgconfig(answer) = 1.0", "libanswer.so.1()(64bit)")
    )
    assert "answer-1.0-1.t1.x86_64" in {each.nevra for each in (await bench.build(order)).build_root}


async def test_says_what_nothing_provides(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match=r"cannot be installed[^$]*nothing provides pkgconfig\(answer\) >= 2"):
        await bench.build(replace(bench.order(), build_requires=("gcc", "pkgconfig(answer) >= 2")))


async def test_a_spec_that_asks_for_more_than_the_order_says_fails(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match="no-such-package is needed by tiny"):
        await bench.build(bench.order(tags="BuildRequires: no-such-package"))


async def test_macro_files_are_loaded_in_order_and_what_makes_builds_equal_is_not_theirs(bench: Bench) -> None:
    one, two = bench.folder / "one.macros", bench.folder / "two.macros"
    one.write_text("%_buildhost elsewhere\n%flavour vanilla\n%use_source_date_epoch_as_buildtime 0\n")
    two.write_text("%flavour chocolate\n%dist .lost\n")
    order = bench.order("echo it is %{flavour}")
    macros = {"dist": ".t1", "_buildhost": "elsewhere", "debug_package": "%{nil}"}
    made = await bench.build(replace(order, macro_files=(one, two), macros=macros))
    assert b"it is chocolate" in made.log
    assert made.srpm.name == "tiny-1.0-1.t1.src.rpm"
    assert query(made.srpm, "%{BUILDHOST} %{BUILDTIME}\n") == ["slipway 1700000000"]


async def test_refuses_to_build_for_another_machine(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match="builds for x86_64, not for aarch64"):
        await bench.build(replace(bench.order(), arch="aarch64"))


async def test_a_build_that_takes_too_long_is_ended(bench: Bench) -> None:
    with pytest.raises(Exceeded, match=r"out of time[^$]*still running after 3 s") as caught:
        await bench.build(replace(bench.order("echo patience; sleep 60"), limits=replace(LIMITS, seconds=3)))
    assert b"patience\n" in caught.value.log


async def test_a_build_that_needs_too_much_memory_is_ended(bench: Bench) -> None:
    hungry = "python3 -c 'x = bytearray(700 << 20)'"
    with pytest.raises(Exceeded, match=r"out of memory[^$]*more than 512 MiB"):
        await bench.build(bench.order(hungry))


async def test_a_build_that_forks_too_much_is_ended_and_named(bench: Bench) -> None:
    bomb = "for i in $(seq 500); do sleep 20 & done; wait"
    with pytest.raises(Exceeded, match=r"tiny.spec: out of processes[^$]*beyond 256 processes"):
        await bench.build(bench.order(bomb))


async def test_a_full_scratch_space_is_named(bench: Bench) -> None:
    with pytest.raises(Exceeded, match=r"tiny.spec: out of scratch space[^$]*more than 64 MiB") as caught:
        await bench.build(bench.order("dd if=/dev/zero of=large bs=1M count=100"))
    assert b"dd: error writing 'large'" in caught.value.log


async def test_files_that_only_their_owner_may_read_are_built_all_the_same(bench: Bench) -> None:
    order = bench.order("cat %{SOURCE0}; echo %{secret}", tags="Source0: private.txt")
    (order.sources / "private.txt").write_text("private\n")
    (bench.folder / "secret.macros").write_text("%secret told\n")
    for path in (order.sources / "private.txt", order.spec, bench.folder / "secret.macros"):
        path.chmod(0o600)
    order.spec.parent.chmod(0o700)
    made = await bench.build(replace(order, macro_files=(bench.folder / "secret.macros",)))
    assert b"\nprivate\n" in made.log
    assert b"told\n" in made.log.replace(b"echo told\n", b"")


async def test_a_toolchain_without_the_programs_of_a_build_is_named(bench: Bench, docker_url: str) -> None:
    class Lacking(Containers):
        async def run(self, sealed: Sealed) -> Ended:
            hide = "rm /usr/bin/setpriv && exec /bin/bash /in/build.sh"
            return await super().run(replace(sealed, argv=("/bin/bash", "-c", hide)))

    with Lacking(docker_url) as containers:
        bench.builder = Builder(containers, scratch=bench.made("scratch"))
        with pytest.raises(Misconfigured, match=r"not complete[^$]*setpriv: not in the build root[^$]*distro.yaml"):
            await bench.build(bench.order())
