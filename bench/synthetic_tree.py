"""A git repository of the shape of Azure Linux 3.0, from its facts: for tests, benchmarks and replays.

    python -m bench.synthetic_tree FOLDER [--scale N] [--commits N]

The specs stand at the same paths, and rpm reads the same names, versions, BuildRequires, Provides and Requires out of
them; their words are drawn. Above the tag `base` stands one commit for each real one, with its time, and it touches
the spec folders that the real one touched. What it does there is a rule (`facts.Kind`): a patch, a raised release or a
new version. Folders that the tree does not have are passed over; a commit that has no other changes the README.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import facts
from bench.facts import Commit, Kind, Spec
from bench.spec_text import BASE_TIME, State, first_state, source_folder_files, source_name, spec_text, stated

REAL_COUNT = 1540
BRANCH = "stable"
_PERSON = "Synthetic Maintainer <maintainer@synthetic.example>"
_MACROS = Path(__file__).with_name("data") / "macros"
# the spec whose folder holds the macro file, as in a real tree
MACRO_FILES: Mapping[str, tuple[str, ...]] = {
    "azurelinux-rpm-macros": ("macros", "macros.meson"),
    "pyproject-rpm-macros": ("macros.pyproject",),
    "perl": ("macros.perl",),
    "cmake": ("macros.cmake",),
    "golang": ("macros.go",),
    "systemd": ("macros.systemd",),
    "kernel-srpm-macros": ("macros.kernel-srpm",),
    "lua-rpm-macros": ("macros.lua",),
}
IMAGES: Mapping[str, tuple[str, ...]] = {
    "base": ("core-packages-container", "bash", "dnf", "azurelinux-release"),
    "distroless": ("distroless-packages-base", "azurelinux-release"),
    "python": ("distroless-packages-base", "python3", "python3-pip"),
    "golang": ("core-packages-container", "golang", "gcc"),
}
Files = dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Made:
    """A repository that was made: how many specs and commits it has, and the size of a spec in bytes (median)."""

    specs: int
    commits: int
    spec_bytes: int


class SyntheticTree:
    """The tree at one commit: `specs` by path, and the state of each. `apply` brings it to the next commit."""

    def __init__(self, count: int = REAL_COUNT) -> None:
        self.specs: dict[str, Spec] = {spec.path: spec for spec in facts.scaled(count)}
        self.states: dict[str, State] = {path: first_state(spec) for path, spec in self.specs.items()}
        self._pinned = _pinned(tuple(self.specs.values()))
        self._askers = _askers(self._pinned, self.specs.values())
        self._by_folder: dict[str, list[Spec]] = {}
        for spec in self.specs.values():
            self._by_folder.setdefault(spec.folder, []).append(spec)
        self._news: list[str] = []

    def files(self) -> dict[str, bytes]:
        """Every file of the tree by path."""
        every: Files = {"README.md": self._readme(), "distro.yaml": _distro().encode()}
        for image, names in IMAGES.items():
            every[f"imageconfigs/{image}/{image}.json"] = _image(image, names)
        for folder, names in MACRO_FILES.items():
            every.update({f"SPECS/{folder}/{name}": (_MACROS / name).read_bytes() for name in names})
        for spec in self.specs.values():
            every.update(self.spec_files(spec))
        return {path: content for path, content in every.items() if content is not None}

    def spec_files(self, spec: Spec) -> Files:
        """A spec, its signatures and what lies beside it."""
        state, folder, pinned = self.states[spec.path], f"SPECS/{spec.folder}", self._others(spec)
        text = spec_text(spec, state, pinned, MACRO_FILES.get(spec.stem, ()))
        source = source_name(spec, state)
        signatures = {"Signatures": {source: hashlib.sha256(source.encode()).hexdigest()}}
        files: Files = {spec.path: text.encode()}
        files[f"{folder}/{spec.stem}.signatures.json"] = f"{json.dumps(signatures, indent=1)}\n".encode()
        files.update({f"{folder}/{name}": content.encode() for name, content in source_folder_files(spec, state, text)})
        return files

    def stated(self, spec: Spec) -> Spec:
        """What rpm reads out of a spec at this commit, when it is given the version macros of the other specs."""
        return stated(spec, self.states[spec.path], self._others(spec))

    def followers(self, spec: Spec) -> tuple[Spec, ...]:
        """The specs that speak of this one's version, so that their text says something else when it changes."""
        return tuple(self.specs[path] for path in self._askers.get(spec.path, ()))

    def _others(self, spec: Spec) -> dict[str, tuple[Spec, State]]:
        return {name: (self.specs[path], self.states[path]) for name, path in self._pinned.items() if path != spec.path}

    def apply(self, commit: Commit) -> Files:
        """What a commit changes: path -> new content, None where a file goes."""
        touched = self.touched(commit)
        changed: Files = {}
        for spec in touched:
            before = self.states[spec.path]
            after = self._next(commit, spec)
            self.states[spec.path] = after
            changed.update({f"SPECS/{spec.folder}/{patch}": None for patch in set(before.patches) - set(after.patches)})
        for spec in touched:
            changed.update(self.spec_files(spec))
        if not touched:
            self._news.append(f"- {time.strftime('%Y-%m-%d', time.gmtime(commit.time))}: {commit.commit[:10]}")
            changed["README.md"] = self._readme()
        return changed

    def touched(self, commit: Commit) -> tuple[Spec, ...]:
        """The specs that a commit changes: of a folder with several, what is no update changes the one that is named
        like it."""
        specs = [spec for folder in commit.folders for spec in self._by_folder.get(folder, ())]
        return tuple(spec for spec in specs if spec.stem == spec.folder or facts.kind(commit, spec) is Kind.UPDATE)

    def _next(self, commit: Commit, spec: Spec) -> State:
        state = self.states[spec.path]
        match facts.kind(commit, spec):
            case Kind.PATCH:
                return state.patched(commit.time, random.Random(commit.commit))
            case Kind.RAISE:
                return state.raised(commit.time)
            case Kind.UPDATE:
                return state.updated(commit.time)

    def _readme(self) -> bytes:
        return "\n".join(["# A synthetic distribution", "", f"{len(self.specs)} specs.", *self._news, ""]).encode()


def make(folder: Path, *, count: int = REAL_COUNT, commits: int | None = None, checkout: bool = True) -> Made:
    """Make the repository: the branch `stable` with the commits above the tag `base`, checked out if told so."""
    replayed = facts.commits()[:commits]
    tree = SyntheticTree(count)
    first = tree.files()
    git(folder.parent, "init", "--quiet", "--initial-branch", BRANCH, str(folder))
    with FastImport(folder) as write:
        write(_commit_block(BRANCH, BASE_TIME, f"The tree: {count} specs", first))
        write(f"reset refs/tags/base\nfrom refs/heads/{BRANCH}\n\n".encode())
        for commit in replayed:
            write(_commit_block(BRANCH, commit.time, _subject(commit), tree.apply(commit)))
    if checkout:
        git(folder, "reset", "--quiet", "--hard", BRANCH)
    sizes = sorted(len(first[path]) for path in tree.specs)
    return Made(specs=count, commits=len(replayed), spec_bytes=sizes[len(sizes) // 2])


def add_commit(folder: Path, branch: str, parent: str, files: Files, *, when: int = BASE_TIME + 1) -> str:
    """One more commit on a new branch above `parent`: its id. The working tree stays as it is."""
    with FastImport(folder) as write:
        write(_commit_block(branch, when, "One more commit", files, parent=git(folder, "rev-parse", parent)))
    return git(folder, "rev-parse", branch)


class FastImport:
    """`git fast-import` to write into: `with FastImport(folder) as write`."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["git", "-C", str(folder), "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE
        )

    def __enter__(self) -> Callable[[bytes], object]:
        assert self._process.stdin
        return self._process.stdin.write

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        if self._process.wait():
            raise RuntimeError("git fast-import failed")


def _commit_block(branch: str, when: int, subject: str, files: Mapping[str, bytes | None], parent: str = "") -> bytes:
    return b"".join(_parts(branch, when, subject, files, parent))


def _parts(branch: str, when: int, subject: str, files: Mapping[str, bytes | None], parent: str) -> Iterator[bytes]:
    text = subject.encode()
    yield f"commit refs/heads/{branch}\ncommitter {_PERSON} {when} +0000\ndata {len(text)}\n".encode() + text + b"\n"
    if parent:
        yield f"from {parent}\n".encode()
    for path, content in files.items():
        if content is None:
            yield f'D "{path}"\n'.encode()
    for path, content in files.items():
        if content is not None:
            yield f'M 100644 inline "{path}"\ndata {len(content)}\n'.encode() + content + b"\n"
    yield b"\n"


def _subject(commit: Commit) -> str:
    word = "Patch" if len(commit.folders) == 1 else "Update"
    return f"{word} {', '.join(commit.folders[:5])}\n\nAs {commit.commit}"


def _pinned(tree: tuple[Spec, ...]) -> dict[str, str]:
    """Package name -> path of its spec, where another spec asks for its exact version."""
    makers: dict[str, list[Spec]] = {}
    for spec in tree:
        for binary in spec.binaries:
            makers.setdefault(binary.name, []).append(spec)
    asked = {(text.split(" ")[0], spec.path) for spec in tree for text in spec.dependencies
             if " = " in text and not text.startswith("(")}  # fmt: skip
    return {name: makers[name][0].path for name, path in sorted(asked)
            if len(makers.get(name, ())) == 1 and makers[name][0].path != path}  # fmt: skip


def _askers(pinned: Mapping[str, str], specs: Iterable[Spec]) -> dict[str, tuple[str, ...]]:
    """Path of a spec -> paths of those that ask for exactly the version it has now."""
    evrs = {binary.name: binary.evr for spec in specs for binary in spec.binaries}
    found: dict[str, dict[str, None]] = {}
    for spec in specs:
        for text in spec.dependencies:
            name, _, evr = text.partition(" = ")
            # a version with an epoch is written out, so that the text stays what it is (bench/spec_text.py)
            if ":" in evr or pinned.get(name, spec.path) == spec.path:
                continue
            if evrs[name] in (evr, f"{evr}-{evrs[name].rpartition('-')[2]}"):
                found.setdefault(pinned[name], {})[spec.path] = None
    return {path: tuple(each) for path, each in found.items()}


def _image(name: str, packages: tuple[str, ...]) -> bytes:
    system = {"Name": name, "Packages": list(packages), "DisableRpmDocs": True, "OverrideRpmLocales": "NONE"}
    return f"{json.dumps({'IsContainerImage': True, 'SystemConfigs': [system]}, indent=1)}\n".encode()


def _distro() -> str:
    macro_files = [f"SPECS/{folder}/{name}" for folder, names in MACRO_FILES.items() for name in names]
    images = "\n".join(
        f"  - {{name: {name}, repository: synthetic/{name}, definition: imageconfigs/{name}/{name}.json}}"
        for name in IMAGES
    )
    return f"""\
name: synthetic
title: Synthetic Linux
version: "3.0"
dist: {facts.DIST}
vendor: Synthetic Linux
url: https://synthetic.example
bug_url: https://synthetic.example/issues
identity: https://synthetic.example/identity
arches: [x86_64]
branch: {BRANCH}
channels_branch: channels
channels: [edge, beta, stable]
spec_roots: [SPECS]
macro_files: [{", ".join(macro_files)}]
rpms_repository: synthetic/rpms
releases_repository: synthetic/releases
images:
{images}
toolchain:
  lock: toolchain.lock.json
  seeds: [bash, coreutils, dnf, gcc, make, rpm]
"""


def git(folder: Path, *words: str) -> str:
    """What git prints when it is run in a folder."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Make a repository and say what it holds."""
    parser = argparse.ArgumentParser(prog="python -m bench.synthetic_tree", description="A tree for benchmarks.")
    parser.add_argument("folder", type=Path, help="where to make the git repository; must not exist")
    parser.add_argument("--scale", type=int, default=REAL_COUNT, help=f"how many specs (default {REAL_COUNT})")
    parser.add_argument("--commits", type=int, default=None, help="how many of the real commits (default all 370)")
    given = parser.parse_args()
    if given.folder.exists():
        parser.error(f"{given.folder} exists")
    start = time.perf_counter()
    made = make(given.folder.absolute(), count=given.scale, commits=given.commits)
    print(f"{given.folder}: {made.specs} specs (median {made.spec_bytes / 1000:.1f} kB) and {made.commits} commits "
          f"above the tag 'base', in {time.perf_counter() - start:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
