"""What a sealed reader of specs may see of a tree: each spec folder alone, the macro files, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from release.errors import Broken, Error, Refused
from release.tools.git_files import CommitFiles, write_file

READERS = tuple(Path(__file__).with_name(name) for name in ("specreader.py", "specmacros.py"))
READER = READERS[0]
TREE = "/tree"
MACROS = "macros"  # the folder in it that every spec may read
LIMIT_SPEC_BYTES = 4 << 20
_HIDDEN = 0o111  # names in it can be used by who knows them, and listed by nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be read out of `files`, and how: see `ParseOrder`. `specs` maps each to macros of its own, the other
    files their paths to their contents. The limits are those of one spec."""

    files: CommitFiles
    specs: Mapping[str, Mapping[str, str]]
    macro_files: Mapping[str, bytes]
    lua_modules: Mapping[str, bytes]
    macros: Mapping[str, str]
    arch: str
    seconds: int
    strict: bool = True
    megabytes: int = 512
    processes: int = 64
    user_is_ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A folder for one run of the reader, to be mounted at /tree. `request` is where the request lies in the place.

    `refused` are the specs that nobody needs to read, and why. Whoever made it removes it.
    """

    folder: Path
    request: str
    specs: tuple[str, ...]
    refused: Mapping[str, Error]

    def remove(self) -> None:
        """Remove the folder."""
        _remove(self.folder)


def make_stage(work: Work, parent: Path) -> Stage:
    """Write the stage to a new folder below `parent`. `Refused` for a macro file that is no file of the tree.

    What a spec reads is a part of the key of its facts, so it must not read more than that: its folder lies under a
    name that only we know, in a folder that cannot be listed, and another folder's name is never told to it.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for stray in parent.glob("stage-*"):
            if not Path("/proc", stray.name.split("-")[1]).exists():
                _remove(stray)  # whoever made it was killed
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=f"stage-{os.getpid()}-"))
        try:
            return _written(work, folder)
        except BaseException:
            _remove(folder)
            raise
    except OSError as error:
        raise Broken("cannot write what the spec parser reads", where=str(parent), got=error) from error


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody else removes the same stray
        folder.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _written(work: Work, folder: Path) -> Stage:
    names, refused = _named(work)
    for path, text in {**work.macro_files, **work.lua_modules}.items():
        write_file(folder / MACROS / path, text)
    places: dict[str, Path] = {}
    for beside, name in names.items():
        places |= {path: folder / name / path for path in work.files.below(beside)}
    work.files.stage(places)
    specs: dict[str, str] = {}
    for spec in (each for each in work.specs if each not in refused):
        name = names[posixpath.dirname(spec)]
        size = (folder / name / spec).stat().st_size
        if size > LIMIT_SPEC_BYTES:
            refused[spec] = _too_large(spec, size)
        else:
            specs[spec] = name
    request = f"{secrets.token_hex(16)}.json"
    write_file(folder / request, json.dumps(_request(work, specs)).encode())
    for part in READERS:
        write_file(folder / part.name, part.read_bytes())
    folder.chmod(_HIDDEN)
    return Stage(folder=folder, request=f"{TREE}/{request}", specs=tuple(specs), refused=refused)


def _named(work: Work) -> tuple[dict[str, str], dict[str, Error]]:
    """The secret name of each folder that can be staged; of the others, why their specs are refused."""
    names: dict[str, str] = {}
    refused: dict[str, Error] = {}
    for spec in work.specs:
        beside = posixpath.dirname(spec)
        try:
            if beside not in names:
                for path in work.files.below(beside):
                    work.files.linked(path)
                names[beside] = secrets.token_hex(16)
        except Refused as error:
            refused[spec] = error
    return names, refused


def _request(work: Work, specs: Mapping[str, str]) -> Mapping[str, object]:
    return {
        "tree": TREE,
        "macros": MACROS,
        "macro_files": list(work.macro_files),
        "lua_modules": {posixpath.basename(path).removesuffix(".lua"): path for path in work.lua_modules},
        "own_macros": {spec: dict(work.specs[spec]) for spec in specs},
        "defines": dict(work.macros),
        "arch": work.arch,
        "specs": dict(specs),
        "strict": work.strict,
        "seconds": work.seconds,
        "megabytes": work.megabytes,
        "processes": work.processes,
        "user_is_ours": work.user_is_ours,
    }


def _too_large(spec: str, size: int) -> Refused:
    limit = f"at most {LIMIT_SPEC_BYTES >> 20} MiB"
    return Refused("this spec is too large", where=spec, got=f"{size} bytes", expected=limit)
