"""Reading a commit: out of git alone, with whatever it says of itself, by the system's own rpm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from release.errors import Misconfigured, Refused
from release.source.distro import parse_distro
from release.tools.git import Repository
from tasks.read import SourceTree, open_tree, read_tree, refuse_failures, system_parser
from tests.tiny_tree import DISTRO, MACROS, aa
from tests.tools.git_world import make_world, put
from tests.tools.spec_tree import SPEC

AZURE: Mapping[str, str] = {
    "SPECS/azurelinux-rpm-macros/macros": "%_lib lib\n%flavour() %{lua: print(require('azl.srpm.words').word)}\n",
    "SPECS/azurelinux-rpm-macros/words.lua": "return {word = 'sweet'}\n",
    "SPECS/cmake/macros.cmake": (
        "%cmake cmake\n%cmake@@CMAKE_MAJOR_VERSION@@ %cmake\n%_cmake_version @@CMAKE_VERSION@@\n"
    ),
    "SPECS/kernel/macros.kernel": "%1 a mistake, which rpm only warns of\n%kernel_word good\n%broken %{lua:\n",
    "SPECS/cmake/cmake.spec": SPEC.format(name="cmake", more="Requires: %flavour"),
    "SPECS/kernel/kernel.spec": SPEC.format(
        name="kernel", more="Source0: config\nSource1: https://one.example/k.tar.gz"
    ),
    "SPECS/kernel/config": "y\n",
    "SPECS/kernel/README": "words\n",
    "SPECS/kernel/kernel.signatures.json": json.dumps({"Signatures": {"k.tar.gz": "ab" * 32}}),
    "SPECS-EXTENDED/driver/driver.spec": SPEC.format(
        name="driver", more="Requires: kernel = %{azl_kernel_version}, %{kernel_word}"
    ),
    "SPECS-EXTENDED/arm/arm.spec": SPEC.format(name="arm", more="ExclusiveArch: aarch64"),
    "SPECS-EXTENDED/bad/bad.spec": SPEC.format(name="bad", more="Lycense: MIT"),
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_world(tmp_path).here()


def committed(repository: Repository, files: Mapping[str, str], after: str | None = None) -> str:
    return put(repository, {path: text.encode() for path, text in files.items()}, after=after)


async def read(repository: Repository, commit: str, tmp_path: Path) -> SourceTree:
    return await read_tree(repository, commit, parser=system_parser(tmp_path / "cache"), arch="x86_64")


async def test_reads_an_azure_linux_tree_that_has_no_distro_yaml(repository: Repository, tmp_path: Path) -> None:
    source = await read(repository, committed(repository, AZURE), tmp_path)
    packages = {package.name: package for package in source.packages}
    assert set(packages) == {"cmake", "driver", "kernel"}
    assert packages["kernel"].evr == "1.3-2.azl3"
    assert packages["cmake"].binaries[0].requires == ("sweet",)
    assert packages["driver"].binaries[0].requires == ("good", "kernel = 1.3")
    assert [package.name for package in source.elsewhere] == ["arm"]
    macros, bad = source.failures
    assert bad.where == "SPECS-EXTENDED/bad/bad.spec:7" and "Unknown tag: Lycense" in str(bad.got)
    assert macros.where == "SPECS/kernel/macros.kernel:1" and "%broken has unterminated body" in str(macros.got)
    again = await read(repository, source.tree.commit.sha, tmp_path)  # out of the cache
    assert [each.to_json() for each in again.failures] == [each.to_json() for each in source.failures]
    with pytest.raises(Refused, match="cannot read all of this macro file"):
        refuse_failures(source)


async def test_what_is_no_file_among_the_macros_of_a_guessed_list_is_left_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for path, text in AZURE.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / "SPECS/odd/macros.folder").mkdir(parents=True)
    (tree / "SPECS/odd/macros.folder/x").write_text("x")
    (tree / "SPECS/odd/macros.gone").symlink_to("nowhere")
    commit = subprocess.run(
        'git init -q && git add -A && git -c user.name=a -c user.email=a@x commit -qm a && '
        'git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),SPECS/odd/macros.sub && '
        'git -c user.name=a -c user.email=a@x commit -qm b && git rev-parse HEAD',
        shell=True, cwd=tree, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    found = await read(Repository(url=str(tree), mirrors=tmp_path / "mirrors"), commit, tmp_path)
    assert found.tree.macro_files[-2:] == ("SPECS/kernel/macros.kernel", "SPECS/azurelinux-rpm-macros/macros")
    assert {package.name for package in found.packages} == {"cmake", "driver", "kernel"}


async def test_sources_that_other_specs_make_need_no_hash(repository: Repository, tmp_path: Path) -> None:
    signed = SPEC.format(name="signed", more="Source0: kernel-%{version}-%{release}.%{_arch}.rpm")
    files = {
        **AZURE,
        "SPECS-SIGNED/signed/signed.spec": signed,
        "SPECS/open/open.spec": signed.replace("signed", "open"),
    }
    source = await read(repository, committed(repository, files), tmp_path)
    assert "signed" in {package.name for package in source.packages}
    assert "has no pinned hash" in source.failed["SPECS/open/open.spec"].message


async def test_a_readme_changes_no_package_and_a_source_changes_its_own(repository: Repository, tmp_path: Path) -> None:
    first = committed(repository, AZURE)
    second = committed(repository, {"SPECS/kernel/README": "other\n", "README": "x\n"}, first)
    third = committed(repository, {"SPECS/kernel/config": "n\n"}, second)
    one, two, three = [
        {package.name: package.content for package in (await read(repository, commit, tmp_path)).packages}
        for commit in (first, second, third)
    ]
    assert one == two
    assert {name for name in two if two[name] != three[name]} == {"kernel"}


async def test_stages_what_a_build_sees_and_no_other_file(repository: Repository, tmp_path: Path) -> None:
    source = await read(repository, committed(repository, AZURE), tmp_path)
    kernel = next(package for package in source.packages if package.name == "kernel")
    source.tree.stage(kernel.files, tmp_path / "out")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == ["SPECS/kernel/config", "SPECS/kernel/kernel.spec"]


async def test_stages_macro_files_in_order_with_their_placeholders_filled(
    repository: Repository, tmp_path: Path
) -> None:
    source = await read(repository, committed(repository, AZURE), tmp_path)
    places = source.tree.stage_macros(source.packages, tmp_path / "macros")
    assert [place.name for place in places] == ["macros.cmake", "macros.kernel", "macros"]
    assert places[0].read_text() == "%cmake cmake\n%cmake1 %cmake\n%_cmake_version 1.3\n"


async def test_a_commit_speaks_for_itself_in_distro_yaml_unless_another_is_given(
    repository: Repository, tmp_path: Path
) -> None:
    commit = committed(repository, {"distro.yaml": DISTRO, "macros/tiny.macros": MACROS, **aa()})
    tree = await open_tree(repository, commit)
    assert (tree.distro.name, tree.specs) == ("tiny", ("SPECS/aa/aa.spec",))
    other = parse_distro(DISTRO.replace("name: tiny", "name: other"))
    assert (await open_tree(repository, commit, distro=other)).distro.name == "other"
    with pytest.raises(Misconfigured, match="the toolchain set is not pinned"):
        _ = tree.lock


async def test_what_a_killed_reader_staged_is_removed_by_the_next(repository: Repository, tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    stray = tmp_path / "cache" / f"stage-{ended.pid}-x"
    stray.mkdir(parents=True)
    stray.chmod(0o111)
    await read(repository, committed(repository, AZURE), tmp_path)
    assert [path.name for path in (tmp_path / "cache").glob("stage-*")] == []
