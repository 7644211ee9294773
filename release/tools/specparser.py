"""Reads specs with the distribution's own rpm in a sealed place, and remembers by content what it read."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.digests import digest_of, digest_of_json, hex_of
from release.errors import Broken, Misconfigured, Refused
from release.tools.containers import Containers
from release.tools.process import BASE_ENVIRONMENT
from release.tools.sealed import Ended, Limits, Sealed

_READER = Path(__file__).with_name("specreader.py")
_TREE, _OWN = "/tree", "/slipway"
_NOBODY = "65534:65534"
_LIMIT_SPEC_BYTES = 4 << 20
_SECONDS = 10  # for one spec; real ones need a small part of one
_MEGABYTES = 512
_SLICE = 100  # specs worth a container of their own: it starts in about as long as it reads them
_LINE = re.compile(r"(?:line |\.spec:)(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseOrder:
    """Specs to read. `tree` is a checked-out tree; `specs` maps paths in it to the git tree id of their folder.

    `macro_files` (paths in the tree) are loaded after rpm's own, then `macros` are defined. `image` is the toolchain
    image, named by its content, `arch` rpm's name of the architecture to read for.
    """

    tree: Path
    specs: Mapping[str, str]
    macro_files: tuple[str, ...]
    macros: Mapping[str, str]
    image: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Facts (JSON for release/source/specs.py) by spec path, and one refusal for each spec that has none."""

    facts: Mapping[str, str]
    failures: tuple[Refused, ...]


class SpecParser:
    """Runs specreader.py over the specs that `cache` (a folder) does not know yet."""

    def __init__(self, *, containers: Containers, cache: Path, seconds: int = _SECONDS) -> None:
        self._containers = containers
        self._cache = cache
        self._seconds = seconds

    async def parse(self, order: ParseOrder) -> Parsed:
        """Facts for every spec that rpm can read; the others are refused one by one and stop nobody.

        A spec is read without network, as nobody, in a process of its own with a limit of time and memory. It may
        read its folder, the macro files and the toolchain, which together are the key of the cache. `Refused` when
        a macro file does not load, `Broken` or `Misconfigured` when the container cannot do its work.
        """
        places = {spec: self._place(key) for spec, key in _keys(order).items()}
        known = {spec: place.read_text() for spec, place in places.items() if place.exists()}
        unknown = [spec for spec in order.specs if spec not in known]
        large = [spec for spec in unknown if _size(order.tree / spec) > _LIMIT_SPEC_BYTES]
        answers = await self._read(order, [spec for spec in unknown if spec not in large])
        read = {spec: json.dumps(answer["facts"]) for spec, answer in answers.items() if "facts" in answer}
        for spec, facts in read.items():
            _write(places[spec], facts)
        failures = [_too_large(spec) for spec in large]
        failures += [_refusal(spec, answer["error"]) for spec, answer in answers.items() if "error" in answer]
        every = {**known, **read}
        return Parsed(facts={spec: every[spec] for spec in order.specs if spec in every}, failures=tuple(failures))

    def _place(self, key: str) -> Path:
        return self._cache / hex_of(key)[:2] / f"{hex_of(key)}.json"

    async def _read(self, order: ParseOrder, specs: list[str]) -> dict[str, dict[str, Any]]:
        """Answers by spec, from as many containers as are worth it."""
        count = min(os.cpu_count() or 1, -(-len(specs) // _SLICE))
        slices = [specs[n::count] for n in range(count)]
        read = await asyncio.gather(*(self._run(order, each) for each in slices))
        return {spec: answer for answers in read for spec, answer in answers.items()}

    async def _run(self, order: ParseOrder, specs: list[str]) -> dict[str, dict[str, Any]]:
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache, prefix="request-") as folder:
            own = _staged(Path(folder), order, specs, self._seconds)
            ended = await self._containers.run(
                Sealed(
                    image=order.image,
                    argv=("python3", "-I", "-B", f"{_OWN}/{_READER.name}", f"{_OWN}/request.json"),
                    reads={_OWN: own, _TREE: order.tree},
                    environment={**BASE_ENVIRONMENT, "HOME": "/nonexistent"},
                    user=_NOBODY,
                    limits=Limits(memory=2 << 30, pids=256, seconds=60 + self._seconds * len(specs)),
                    log_bytes=256 << 20,
                )
            )
        return _answers(ended, specs)


def _staged(own: Path, order: ParseOrder, specs: list[str], seconds: int) -> Path:
    """The reader and its request in the folder `own`, which nobody, too, can read; and the tree likewise."""
    for folder in (own, order.tree):
        folder.chmod(folder.stat().st_mode | 0o055)
    shutil.copyfile(_READER, own / _READER.name)
    request = {
        "tree": _TREE,
        "specs": specs,
        "macro_files": list(order.macro_files),
        "defines": dict(order.macros),
        "arch": order.arch,
        "seconds": seconds,
        "megabytes": _MEGABYTES,
    }
    (own / "request.json").write_text(json.dumps(request))
    return own


def _keys(order: ParseOrder) -> dict[str, str]:
    """The cache key of each spec: by content of all that reading it can see, the reader itself included."""
    common = {
        "reader": digest_of(_READER.read_bytes()),
        "macro_files": [digest_of(_content(order.tree, path)) for path in order.macro_files],
        "macros": dict(order.macros),
        "image": order.image,
        "arch": order.arch,
    }
    shared = digest_of_json(common)
    return {spec: digest_of_json([shared, Path(spec).name, tree_id]) for spec, tree_id in order.specs.items()}


def _content(tree: Path, path: str) -> bytes:
    try:
        return (tree / path).read_bytes()
    except OSError as error:
        raise Misconfigured("a macro file cannot be read", where="distro.yaml", got=error) from error


def _size(path: Path) -> int:
    """Bytes of a file; one that is not there is rpm's to complain about."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _answers(ended: Ended, specs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the reader said; whatever else is in the log belongs to the error that it explains."""
    lines = ended.log.splitlines()
    read = [json.loads(line) for line in lines if line.startswith(b"{")]
    for answer in read:
        if "spec" not in answer:
            raise Refused("the macros of the tree do not load", got=answer["error"], where="distro.yaml: macro_files")
    answers = {answer["spec"]: answer for answer in read}
    missing = [spec for spec in specs if spec not in answers]
    if ended.code or missing:
        tail = b"\n".join(line for line in lines[-10:] if not line.startswith(b"{")).decode("utf-8", "replace")
        raise Broken(
            "the spec parser did not end its work",
            where=missing[0] if missing else None,
            got=f"exit code {ended.code}; {tail or 'no message'}",
            hint="the toolchain set needs python3 and rpm's Python bindings (dnf brings both)",
        )
    return answers


def _refusal(spec: str, text: str) -> Refused:
    """rpm's message, with the line where it names one."""
    message = text.replace(f"{_TREE}/", "").removesuffix("can't parse specfile").strip()
    line = _LINE.search(message)
    return Refused(
        "rpm cannot read this spec",
        where=f"{spec}:{line[1]}" if line else spec,
        got=message.replace("\n", "\n       "),
        expected="a spec that is read in seconds, without network, writing or waiting",
        hint=f"see what rpm sees: rpmspec -P {spec}",
    )


def _too_large(spec: str) -> Refused:
    return Refused("this spec is too large", where=spec, expected=f"at most {_LIMIT_SPEC_BYTES >> 20} MiB")


def _write(place: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half of it, and two writers write the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(place)
