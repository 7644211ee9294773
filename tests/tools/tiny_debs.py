"""Small .deb files, made by hand with the members that a test is about: also such as no honest tool would write."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

MTIME = 1600000000
CONTROL = """Package: {name}
Source: {source}
Version: {version}
Architecture: {arch}
Maintainer: nobody <nobody@example.org>
Depends: {depends}
Description: {name} for a test
 No more than that.
"""


def file(name: str, content: bytes = b"", mode: int = 0o644, group: str = "root") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.uname, member.gname, member.mtime = len(content), mode, "root", group, MTIME
    return member, content


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    member, _ = file(name, mode=mode)
    member.type = tarfile.DIRTYPE
    return member, b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member, _ = file(name, mode=0o777 if kind == tarfile.SYMTYPE else 0o755)
    member.type, member.linkname = kind, target
    return member, b""


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return link(name, target, tarfile.LNKTYPE)


def write_deb(
    folder: Path,
    name: str,
    members: Iterable[tuple[tarfile.TarInfo, bytes]],
    *,
    source: str | None = None,
    version: str = "1.0-1",
    arch: str = "amd64",
    depends: str = "libc6 (>= 2.36)",
) -> Path:
    """Write `<folder>/<name>.deb` with exactly these data members (deb(5): an ar of debian-binary and two tars)."""
    control = CONTROL.format(name=name, source=source or name, version=version, arch=arch, depends=depends)
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": _tar([file("./control", control.encode())]),
        "data.tar": _tar(members),
    }
    work = folder / f"{name}.parts"
    work.mkdir(parents=True)
    for part, content in parts.items():
        (work / part).write_bytes(content)
    deb = folder / f"{name}.deb"
    subprocess.run(["ar", "rcD", str(deb), *(str(work / part) for part in parts)], check=True)
    return deb


def _tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
