"""A root of the host's own files that holds rpm's Python bindings, a shell and little else: made in seconds."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = (
    "/usr/bin/python3",
    "/bin/sh",
    "/usr/bin/sleep",
    "/usr/bin/id",
    "/usr/bin/touch",
    "/usr/bin/cat",
    "/usr/bin/ls",
    "/usr/bin/seq",
    "/usr/bin/setsid",
    "/usr/bin/cut",
    "/usr/bin/tr",
    "/usr/bin/head",
    "/usr/bin/grep",
)
PACKAGES = (
    "python3-rpm",
    "rpm-common",
    "librpm9",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3.11-minimal",
)
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


def write_parser_root(tar: Path) -> None:
    """Write an uncompressed tar of the root; needs a Debian host with python3-rpm (dnf brings it)."""
    files = {path for package in PACKAGES for path in _files_of(package)} | set(PROGRAMS)
    files |= {library for path in sorted(files) if _is_binary(path) for library in _libraries(path)}
    with tarfile.open(tar, "w") as out:
        for name, target in LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            out.addfile(link)
        placed = {_under_usr(path) for path in files}
        for path in sorted(placed | {str(Path(path).resolve()) for path in placed}):
            out.add(path, path.lstrip("/"), recursive=False)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        out.addfile(temporary)


def _files_of(package: str) -> Iterable[str]:
    listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=True).stdout.splitlines()
    return (path for path in listed if Path(path).is_file() and not path.startswith(("/usr/share/", "/etc/")))


def _is_binary(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _libraries(path: str) -> Iterable[str]:
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout.split()
    return (word for word in listed if word.startswith("/"))


def _under_usr(path: str) -> str:
    first = path.split("/")[1]
    return f"/usr{path}" if first in LINKS else path
