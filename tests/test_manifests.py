"""Skiff Linux keeps its promises: every source pinned, every dependency known, every definition and policy readable.

The specs are read by the machine's own rpmspec, so no daemon is needed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from release.channel.policies import GateKind
from release.channel.policy_files import parse_policy
from release.graph.graph import Graph
from release.product.image_definitions import read_definition
from release.source.distro import Distro, parse_distro
from release.source.specs import BinaryPackage, Package, Source, parse_signatures, signatures_path
from tests.conftest import ROOT

MANIFESTS = ROOT / "manifests"
DEMO = MANIFESTS / "demo" / "lua-fix.patch"
SPECS = sorted(str(path.relative_to(MANIFESTS)) for path in MANIFESTS.glob("SPECS*/*/*.spec"))
# `slipway init` makes both for one installation, and pins them
GENERATED = {"skiff.repo", "RPM-GPG-KEY-skiff"}
# what seeds bring along by dependency, and images ask for by name
FROM_STAGE0 = {"libc6", "stage0-filesystem"}


@cache
def distro() -> Distro:
    return parse_distro((MANIFESTS / "distro.yaml").read_text())


def rpmspec(tree: Path, spec: str, *words: str) -> str:
    """What rpmspec says of a spec, with the tree's own macros and nothing of the machine's."""
    macros = {**distro().macros, "_sourcedir": str((tree / spec).parent)}
    argv = ["rpmspec", *(word for name, value in macros.items() for word in ("--define", f"{name} {value}"))]
    argv += [f"--load={tree / path}" for path in distro().macro_files]
    done = subprocess.run([*argv, *words, tree / spec], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return done.stdout


def listed_files(text: str) -> dict[str, tuple[str, ...]]:
    """The literal paths of each `%files` section of an expanded spec, by the section's argument."""
    sections = re.split(r"(?m)^%(files|changelog)\b", text)
    found: dict[str, tuple[str, ...]] = {}
    for kind, body in zip(sections[1::2], sections[2::2], strict=True):
        head, _, lines = body.partition("\n")
        if kind == "files":
            found[head.strip()] = tuple(re.findall(r"(?m)^(/[^\s*?]+)$", lines))
    return found


def source(full: str, folder: Path, pins: Mapping[str, str]) -> Source:
    name = full.rpartition("/")[2]
    local = (folder / name).exists() or name in GENERATED
    return Source(file=name, url=full if "://" in full else None, sha256=pins.get(name), local=local)


@cache
def package(spec: str, tree: Path = MANIFESTS) -> Package:
    """A package as the pipeline would see it."""
    text, folder = rpmspec(tree, spec, "-P"), (tree / spec).parent
    pins = parse_signatures((tree / signatures_path(spec)).read_text(), signatures_path(spec))
    name, evr, summary, licence, url, epoch, description = rpmspec(
        tree,
        spec,
        "-q",
        "--srpm",
        "--qf",
        "%{NAME}\n%{EVR}\n%{SUMMARY}\n%{LICENSE}\n%{URL}\n%{CHANGELOGTIME}\n%{DESCRIPTION}",
    ).split("\n", 6)
    return Package(
        name=name,
        evr=evr,
        spec=spec,
        folder=str(Path(spec).parent),
        content="",
        sources=tuple(source(each, folder, pins) for each in re.findall(r"(?m)^Source\d*:\s*(\S+)", text)),
        patches=tuple(source(each, folder, pins) for each in re.findall(r"(?m)^Patch\d*:\s*(\S+)", text)),
        build_requires=tuple(rpmspec(tree, spec, "-q", "--buildrequires").splitlines()),
        binaries=tuple(binaries(tree, spec, name, listed_files(text))),
        summary=summary,
        description=description,
        license=licence,
        url=url,
        epoch=int(epoch),
    )


def binaries(tree: Path, spec: str, name: str, files: Mapping[str, tuple[str, ...]]) -> Iterator[BinaryPackage]:
    for line in rpmspec(tree, spec, "-q", "--qf", "%{NAME}\t%{EVR}\t[%{PROVIDES}|]\t[%{REQUIRES}|]\n").splitlines():
        binary, evr, provides, requires = line.split("\t")
        owned = files.get("" if binary == name else binary.removeprefix(f"{name}-"), ())
        generated = tuple(f"pkgconfig({Path(path).stem})" for path in owned if path.endswith(".pc"))
        yield BinaryPackage(
            name=binary,
            evr=evr,
            provides=(*filter(None, provides.split("|")), *generated),
            requires=tuple(each for each in requires.split("|") if each and not each.startswith("rpmlib(")),
            files=owned,
        )


def graph() -> Graph:
    seeds = [BinaryPackage(name=seed, evr="1-1") for seed in distro().toolchain.seeds]
    return Graph.of([package(spec) for spec in SPECS], seeds)


def upstream(each: Package) -> bool:
    return bool(each.pinned)


# --- specs


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_says_what_it_is(spec: str) -> None:
    read = package(spec)
    assert Path(spec).stem == read.name
    assert read.summary and read.license and read.description
    assert not read.summary.endswith(".")
    assert read.url.startswith("http")
    assert read.evr.endswith(distro().dist)


@pytest.mark.parametrize("spec", SPECS)
def test_the_newest_changelog_entry_is_of_this_version(spec: str) -> None:
    newest = rpmspec(MANIFESTS, spec, "-q", "--srpm", "--qf", "[%{CHANGELOGNAME}\n]").splitlines()[0]
    assert newest.endswith(f"- {package(spec).evr.removesuffix(distro().dist)}")


@pytest.mark.parametrize("spec", SPECS)
def test_every_source_is_pinned_and_every_pin_is_used(spec: str) -> None:
    read = package(spec)
    folder = (MANIFESTS / spec).parent
    sources = {each.file: each for each in (*read.sources, *read.patches)}
    pins = parse_signatures((MANIFESTS / signatures_path(spec)).read_text(), spec)
    assert set(pins) <= set(sources)
    assert {each.file for each in read.sources} - set(pins) <= GENERATED
    for name, each in sources.items():
        if (folder / name).exists() and each.sha256:
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == each.sha256
        if not each.local:
            assert each.url and each.url.startswith(("https://", "http://"))


def test_a_patch_lies_beside_its_spec_and_says_why() -> None:
    patches = [(MANIFESTS / each.folder / patch.file) for each in map(package, SPECS) for patch in each.patches]
    assert patches
    for path in patches:
        reason, _, change = path.read_text().partition("\ndiff --git ")
        assert len(reason) > 80 and change, f"{path} has no reason or no change"


def test_nothing_lies_in_a_spec_folder_that_nobody_names() -> None:
    known = {
        f"{each.folder}/{source.file}" for each in map(package, SPECS) for source in (*each.sources, *each.patches)
    }
    known |= {*SPECS, *map(signatures_path, SPECS), "SPECS/skiff-repos/skiff.repo.in"}
    assert {str(path.relative_to(MANIFESTS)) for path in MANIFESTS.glob("SPECS/*/*")} <= known


def test_a_library_keeps_its_headers_in_a_package_of_their_own() -> None:
    for each in map(package, SPECS):
        for binary in each.binaries:
            owns_headers = any(path.endswith((".h", ".pc")) for path in binary.files)
            assert not owns_headers or binary.name.endswith("-devel") or binary.name == "scdoc"


# --- the distribution as a whole


def test_there_are_enough_real_packages_to_be_a_distribution() -> None:
    packages = [package(spec) for spec in SPECS]
    assert len(packages) >= 14
    assert sum(map(upstream, packages)) >= 12
    folders = [each.folder for each in packages]
    assert len(set(folders)) < len(folders), "one folder holds two specs"
    assert any("noarch" in (MANIFESTS / spec).read_text() for spec in SPECS)


def test_every_build_requirement_is_ours_or_a_seed() -> None:
    assert graph().unresolved == ()


def test_every_seed_is_there_for_a_reason_that_is_written() -> None:
    text = (MANIFESTS / "distro.yaml").read_text()
    asked = {requirement for each in map(package, SPECS) for requirement in each.build_requires}
    below = text.split("# BuildRequires of our specs\n")[1]
    assert set(re.findall(r"- (\S+)", below)) <= asked


def test_a_library_a_library_that_uses_it_and_a_tool_that_uses_that() -> None:
    made = graph()
    levels = [[each for each in level if upstream(made.packages[each])] for level in made.order()]
    depth = {name: number for number, level in enumerate(levels) for name in level}
    assert (depth["libmd"], depth["libbsd"], depth["signify"]) == (0, 1, 2)
    assert {"libmd", "libbsd"} <= made.build_inputs("signify")
    assert {"lua-lpeg", "lua-yaml", "skiff-info"} <= set(made.dependents("lua"))
    assert not made.dependents("tree"), "the leaf of the benchmark"


def test_the_release_package_and_the_distribution_agree() -> None:
    release = package("SPECS/skiff-release/skiff-release.spec")
    assert release.evr == f"{distro().version}-1{distro().dist}"
    assert f"ID={distro().name}\n" in (MANIFESTS / release.spec).read_text()
    provides = {provided for binary in release.binaries for provided in binary.provides}
    assert {"system-release", "system-release(releasever)"} <= {provided.split(" ")[0] for provided in provides}


def test_the_packaged_repository_checks_everything_and_waits_to_be_enabled() -> None:
    lines = (MANIFESTS / "SPECS/skiff-repos/skiff.repo.in").read_text().splitlines()
    assert {"enabled=0", "gpgcheck=1", "repo_gpgcheck=1"} <= set(lines)
    assert "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-skiff" in lines
    assert "baseurl=@GATEWAY@/stable/$basearch" in lines


# --- images and policies


@pytest.mark.parametrize("image", distro().images, ids=lambda image: image.name)
def test_an_image_is_made_of_packages_that_exist(image: object) -> None:
    entry = next(each for each in distro().images if each is image)
    definition = read_definition(entry.definition, lambda path: (MANIFESTS / path).read_bytes())
    ours = {binary.name for spec in SPECS for binary in package(spec).binaries}
    assert set(definition.packages) <= ours | set(distro().toolchain.seeds) | FROM_STAGE0
    assert {"skiff-release", "skiff-info"} <= set(definition.packages)
    assert not definition.root.manifest_only, "scanners look for the database of packages"
    assert [(user.name, user.uid) for user in definition.root.users] == [("nonroot", 65532)]


def test_the_distroless_image_has_no_shell_and_no_package_manager() -> None:
    definition = read_definition("imageconfigs/distroless.json", lambda path: (MANIFESTS / path).read_bytes())
    assert not {"bash", "dash", "coreutils", "dnf", "rpm"} & set(definition.packages)
    assert definition.runtime.user == "65532:65532"


def test_every_channel_has_a_policy_that_leads_on_from_the_one_before() -> None:
    policies = [
        parse_policy((MANIFESTS / f"policies/{name}.yaml").read_text(), name=name) for name in distro().channels
    ]
    assert [policy.upstream for policy in policies] == [None, *distro().channels[:-1]]
    assert not any(policy.production for policy in policies)
    soaks = [policy.lanes[0].soak_seconds for policy in policies]
    assert soaks == sorted(soaks) and soaks[-1] < 60
    assert all(GateKind.SOAK in {gate.kind for gate in policy.gates} for policy in policies[1:])


# --- the demo's change


@pytest.fixture
def patched(tmp_path: Path) -> Iterator[Path]:
    """The distribution's own repository after the demo's change was merged."""
    tree = tmp_path / "tree"
    shutil.copytree(MANIFESTS, tree, ignore=shutil.ignore_patterns("demo"))
    identity = ["-c", "user.name=Test", "-c", "user.email=test@skiff.example"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=Skiff"]):
        subprocess.run(["git", *identity, *words], cwd=tree, check=True)
    subprocess.run(["git", *identity, "am", "--quiet", DEMO], cwd=tree, check=True, capture_output=True)
    yield tree


def test_the_demo_mends_a_library_that_others_depend_on(patched: Path) -> None:
    spec = "SPECS/lua/lua.spec"
    before, after = package(spec), package(spec, patched)
    assert (before.evr, after.evr) == (f"5.4.4-1{distro().dist}", f"5.4.4-2{distro().dist}")
    new = {patch.file for patch in after.patches} - {patch.file for patch in before.patches}
    assert new == {"CVE-2022-28805.patch", "CVE-2022-33099.patch", "lua-5.4.4-closethread.patch"}
    assert all((patched / "SPECS/lua" / name).exists() for name in new)
    newest = rpmspec(patched, spec, "-q", "--srpm", "--qf", "[%{CHANGELOGNAME}\n]").splitlines()[0]
    assert newest.endswith("- 5.4.4-2")


def test_the_demo_changes_one_folder_in_one_commit(patched: Path) -> None:
    changed = subprocess.run(
        ["git", "diff", "--name-only", "HEAD~1"], cwd=patched, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {str(Path(path).parent) for path in changed} == {"SPECS/lua"}
    header = (patched / "SPECS/lua/lua-5.4.4-closethread.patch").read_text()
    assert "+LUA_API int        (lua_closethread)" in header, "a dependent sees another header, so it is rebuilt"
