"""Reads binary RPM files: headers with the system's rpm, payloads in limited processes, as interfaces."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.errors import Broken, Refused
from release.interfaces.file_kinds import ElfType
from release.interfaces.interfaces import BinaryInterface
from release.interfaces.rpm_headers import FileReading, HeaderFile, RpmHeader, interface_of
from release.tools.process import run

_HEADER_READER = Path(__file__).with_name("header_reader.py")
_SYSTEM_PYTHON = "/usr/bin/python3"  # the one that rpm's bindings belong to, whatever Python runs this
OURS = Path(__file__).parents[2]
_HEADER_SECONDS = 300.0
SECONDS = 120.0  # for any RPM, and more for a large one:
BYTES_A_SECOND = 1 << 20  # of the compressed file; twenty times slower than measured
LIMIT_UNPACKED = 64 << 30
_WORTH_A_PROCESS = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRpm:
    """One RPM whose header was read: its file, the size of that, and the request for the reader of its payload, in
    that one's own words."""

    path: Path
    size: int
    header: RpmHeader
    request: Mapping[str, Any]


async def read_interfaces(paths: Sequence[Path]) -> tuple[BinaryInterface, ...]:
    """The interface of each binary RPM, in the order of `paths`.

    `Refused` for a file that is damaged, is a source RPM, or holds something else than its header says; a file inside
    that cannot be understood counts by its bytes. Blocks nobody: the work is done by other processes.
    """
    opened = await open_rpms(paths)
    readings = await _payloads(opened)
    return tuple(interface_of(each.header, readings[each.path], file=each.path.name) for each in opened)


async def open_rpms(paths: Sequence[Path]) -> tuple[OpenRpm, ...]:
    """The headers of binary RPMs, in the order of `paths`; `Refused` as in `read_interfaces`."""
    if not paths:
        return ()
    answers = await _headers(paths)
    return tuple(_opened(answer, path) for answer, path in zip(answers, paths, strict=True))


async def _headers(paths: Sequence[Path]) -> list[dict[str, Any]]:
    asked = json.dumps([str(path.absolute()) for path in paths]).encode()
    done = await run([_SYSTEM_PYTHON, "-I", "-B", _HEADER_READER], seconds=_HEADER_SECONDS, stdin=asked)
    answers = [json.loads(line) for line in done.text.splitlines()]
    if len(answers) != len(paths):
        raise Broken("the reader of RPM headers lost an answer", got=len(answers), expected=len(paths))
    for answer, path in zip(answers, paths, strict=True):
        if "error" in answer:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise Refused("not a whole RPM file", where=path.name, got=said or answer["error"])
    return [answer["header"] for answer in answers]


def _header(answer: dict[str, Any], path: Path) -> RpmHeader:
    if not answer["sourcerpm"]:
        raise Refused("a source RPM has no interface", where=path.name, expected="a binary RPM")
    files = tuple(HeaderFile(*row) for row in answer["files"])
    unpacked = sum(each.size for each in files)
    if unpacked > LIMIT_UNPACKED:
        raise Refused("unpacks to too much", where=path.name, got=f"{unpacked} bytes", expected=f"<= {LIMIT_UNPACKED}")
    same = ("name", "epoch", "version", "release", "arch", "sha256", "dependencies", "texts", "scripts")
    return RpmHeader(**{key: answer[key] for key in same}, source=answer["sourcerpm"], files=files)


def _opened(answer: dict[str, Any], path: Path) -> OpenRpm:
    """A file of 4 GiB or more makes a payload that only rpm can read: then every file counts by its digest (rpm 4.12,
    "stripped" cpio)."""
    header, payload = _header(answer, path), answer["payload"]
    request = {
        "path": str(path.absolute()),
        "offset": payload["offset"],
        "compressor": payload["compressor"],
        "digest": payload["digest"],
        "sizes": {each.path: each.size for each in header.files if each.has_content},
        "wanted": {} if payload["large"] else header.wanted(),
    }
    return OpenRpm(path=path, size=path.stat().st_size, header=header, request=request)


async def _payloads(orders: Sequence[OpenRpm]) -> dict[Path, dict[str, FileReading]]:
    if not orders:
        return {}
    shares = _shares(orders)
    answers = await asyncio.gather(*(_read(share) for share in shares))
    return {
        order.path: readings
        for share, answer in zip(shares, answers, strict=True)
        for order, readings in zip(share, answer, strict=True)
    }


def _shares(orders: Sequence[OpenRpm]) -> list[list[OpenRpm]]:
    """A share for each process, of about the same number of bytes."""
    worth = sum(order.size for order in orders) // _WORTH_A_PROCESS
    count = max(1, min(len(os.sched_getaffinity(0)), len(orders), worth))
    shares: list[list[OpenRpm]] = [[] for _ in range(count)]
    for order in sorted(orders, key=lambda order: -order.size):
        min(shares, key=lambda share: sum(each.size for each in share)).append(order)
    return [share for share in shares if share]


async def _read(share: list[OpenRpm]) -> list[dict[str, FileReading]]:
    done = await run(
        [sys.executable, "-B", "-m", "release.tools.payload_reader"],
        seconds=SECONDS + sum(order.size for order in share) / BYTES_A_SECOND,
        cwd=OURS,
        stdin=json.dumps({"rpms": [dict(order.request) for order in share]}).encode(),
    )
    answers = [json.loads(line) for line in done.text.splitlines()]
    for order, answer in zip(share, answers, strict=True):
        if "error" in answer:
            raise Refused("not the package that its header says", where=order.path.name, got=answer["error"])
    return [{path: _reading(found) for path, found in answer["readings"].items()} for answer in answers]


def _reading(found: dict[str, Any]) -> FileReading:
    elf = ElfType(found["elf"]) if found["elf"] else None
    return FileReading(content=found["content"], elf=elf, soname=found["soname"], exports=tuple(found["exports"]))
