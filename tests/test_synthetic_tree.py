"""The synthetic tree of the benchmarks: rpm itself reads the facts of the real one out of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import facts, synthetic_tree
from bench.facts import Commit, Kind, Spec
from release.source.distro import parse_distro
from release.source.specs import parse_signatures

ODD = (
    "perl", "ruby", "openssh", "iser", "xpmem-hwe", "golang-1.23", "rust-1.75", "python-h5py", "maven-surefire",
    "shim-unsigned-x64", "mariadb", "ding-libs", "kernel-uki", "prebuilt-ca-certificates", "lldb", "postfix", "R",
)  # fmt: skip
QUERY = "P %{NAME} %{EVR} %{ARCH}\\n[+%{PROVIDENEVRS}\\n][-%{REQUIRENEVRS}\\n]"


def checked_out(folder: Path, count: int, commits: int = 0) -> Path:
    synthetic_tree.make(folder, count=count, commits=commits)
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first commit of the tree in its real size."""
    return checked_out(tmp_path_factory.mktemp("synthetic") / "tree", synthetic_tree.REAL_COUNT)


def rpmspec(root: Path, spec: Spec, *words: str) -> list[str]:
    loads = [f"--load={root}/SPECS/{folder}/{name}"
             for folder, names in synthetic_tree.MACRO_FILES.items() for name in names]  # fmt: skip
    done = subprocess.run(
        ["rpmspec", "-q", "--target=x86_64", f"--define=dist {facts.DIST}", *loads, *words, root / spec.path],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def read_by_rpm(root: Path, spec: Spec) -> dict[str, tuple[str, str, set[str], set[str]]]:
    """Binary package -> version, architecture, provides, requires."""
    found: dict[str, tuple[str, str, set[str], set[str]]] = {}
    for line in rpmspec(root, spec, "--builtrpms", f"--qf={QUERY}"):
        if line.startswith("P "):
            _, name, evr, arch = line.split(" ")
            found[name] = (evr, arch, set(), set())
        else:
            found[name][2 if line[0] == "+" else 3].add(line[1:])
    return found


def in_the_facts(spec: Spec) -> dict[str, tuple[str, str, set[str], set[str]]]:
    return {
        each.name: (
            each.evr,
            "noarch" if each.noarch else "x86_64",
            {*each.provides, *each.own_provides},
            set(each.requires),
        )
        for each in spec.binaries
    }


def differing(root: Path, specs: tuple[Spec, ...]) -> list[str]:
    wrong = []
    for spec in specs:
        *requires, name = rpmspec(root, spec, "--srpm", "--qf=[%{REQUIRENEVRS}\\n]%{NAME}\\n")
        needs = {each for each in requires if not each.startswith("rpmlib(")}
        if (name, needs, read_by_rpm(root, spec)) != (spec.name, set(spec.build_requires), in_the_facts(spec)):
            wrong.append(spec.path)
    return wrong


def test_rpm_reads_the_facts_out_of_the_specs(tree: Path) -> None:
    specs = facts.specs()
    chosen = tuple(spec for n, spec in enumerate(specs) if n % 40 == 0 or spec.stem in ODD)
    assert len(chosen) > 50
    assert differing(tree, chosen) == []


@pytest.mark.parametrize("count", [500, 2500])
def test_rpm_reads_a_tree_of_another_size(tmp_path: Path, count: int) -> None:
    specs = facts.scaled(count)
    assert len(specs) == count
    assert differing(checked_out(tmp_path / "tree", count), specs[::60]) == []


def test_a_tree_of_another_size_has_the_same_shape() -> None:
    def needs(count: int) -> float:
        return sum(map(len, facts.edges(facts.scaled(count)).values())) / count

    real = needs(synthetic_tree.REAL_COUNT)
    assert [count for count in (500, 1000, 2500, 5000) if abs(needs(count) / real - 1) > 0.1] == []


def test_a_clone_needs_the_clones_and_not_the_originals_where_there_are_both() -> None:
    specs = {spec.path: spec for spec in facts.scaled(5000)}
    clone = specs["SPECS/libmamba-c1/libmamba-c1.spec"]
    original = specs["SPECS/libmamba/libmamba.spec"]
    assert "reproc-devel-c1" in clone.build_requires or "reproc-c1" in clone.build_requires
    assert len(clone.build_requires) == len(original.build_requires)
    assert "cmake" in clone.build_requires


def test_the_same_facts_give_the_same_commits(tmp_path: Path) -> None:
    heads = {
        subprocess.run(
            ["git", "-C", checked_out(tmp_path / name, 500, 20), "rev-parse", "HEAD"], capture_output=True, check=True
        ).stdout
        for name in ("one", "two")
    }
    assert len(heads) == 1


def test_slipway_reads_the_distribution_and_the_signatures(tree: Path) -> None:
    distro = parse_distro((tree / "distro.yaml").read_text())
    paths = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(distro.macro_paths(paths)) == 9
    assert sum(map(distro.is_spec, paths)) == synthetic_tree.REAL_COUNT
    signatures = list(tree.rglob("*.signatures.json"))
    assert len(signatures) == synthetic_tree.REAL_COUNT
    assert all(parse_signatures(path.read_text(), path.name) for path in signatures)


def test_each_commit_touches_the_folders_of_the_real_one(tmp_path: Path) -> None:
    count = 60
    folder = tmp_path / "tree"
    synthetic_tree.make(folder, commits=count, checkout=False)
    log = subprocess.run(
        ["git", "-C", folder, "log", "--reverse", "--format=@%ct", "--name-only", "base..stable"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    blocks = [block.split() for block in log.split("@")[1:]]
    known = {spec.folder for spec in facts.specs()}
    assert len(blocks) == count
    for commit, (time, *paths) in zip(facts.commits(), blocks, strict=False):
        assert int(time) == commit.time
        touched = {path.split("/")[1] for path in paths if path.startswith("SPECS/")}
        assert touched == known & set(commit.folders)


def test_a_commit_patches_or_raises_or_updates_a_spec() -> None:
    tree = synthetic_tree.SyntheticTree()
    seen = set()
    for commit in facts.commits():
        before = dict(tree.states)
        tree.apply(commit)
        for spec in tree.touched(commit):
            kind = facts.kind(commit, spec)
            old, new = before[spec.path], tree.states[spec.path]
            seen.add(kind)
            assert len(new.patches) == (0 if kind is Kind.UPDATE else len(old.patches) + (kind is Kind.PATCH))
            assert (new.version != old.version) == (kind is Kind.UPDATE)
            assert (new.release.partition("_")[0] == "1") == (kind is Kind.UPDATE)
    assert seen == set(Kind)


def test_a_release_that_is_higher_than_the_number_of_commits_was_never_set_back() -> None:
    specs = {spec.stem: spec for spec in facts.specs()}
    several = next(each for each in facts.commits() if {"glibc", "qemu"} <= set(each.folders))
    assert facts.kind(several, specs["glibc"]) is Kind.RAISE
    assert facts.kind(several, specs["qemu"]) is Kind.UPDATE


def test_what_is_replayed_from_facts_is_what_rpm_reads(tmp_path: Path) -> None:
    tree = synthetic_tree.SyntheticTree()
    for commit in facts.commits():
        tree.apply(commit)
    folder = tmp_path / "tree"
    synthetic_tree.make(folder)
    touched = [spec for name in ("perl", "golang", "valkey", "ruby", "llvm", "glibc") for spec in tree.touched(
        Commit("", 0, (name, name)))]  # fmt: skip
    assert differing(folder, tuple(map(tree.stated, touched))) == []
