"""A toolchain for assembling images, made in seconds of the host's own files: dnf, rpm, a shell and what they need."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from release.tools.containers import Containers

PROGRAMS = ("dnf", "rpm", "coreutils", "dash", "libc-bin", "gpg", "libpython3.11-stdlib")
UNUSED = {"perl", "perl-base", "libperl5.36", "perl-modules-5.36", "debconf"}  # rpm's build scripts want them
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
LEFT_OUT = re.compile(r"/usr/share/(doc|man|locale|info|lintian|bash-completion)/|/(etc|var)/")
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    # Debian's rpm keeps its database in the home folder of whoever calls it.
    "usr/lib/rpm/macros.d/macros.test": "%_dbpath /usr/lib/sysimage/rpm\n%_db_backend sqlite\n%__gpg /usr/bin/gpg\n",
}


def assembly_image(url: str) -> str:
    """The name of the image on the engine at `url`; made when it is not there. Needs a Debian host that has dnf."""
    packages = sorted(_closure())
    versions = subprocess.run(["dpkg-query", "-W", *packages], capture_output=True, check=True).stdout
    tag = hashlib.sha256(versions + Path(__file__).read_bytes()).hexdigest()[:16]
    return asyncio.run(_imported(url, f"slipway-test/assembly:{tag}", packages))


async def _imported(url: str, name: str, packages: list[str]) -> str:
    containers = Containers(url)
    try:
        if not await containers.has_image(name):
            with tempfile.TemporaryDirectory() as scratch:
                tar = Path(scratch) / "root.tar"
                _write(tar, packages)
                await containers.import_root(tar, name)
    finally:
        containers.close()
    return name


def _closure() -> set[str]:
    """The installed packages that PROGRAMS need, the first of alternatives, without what is not used here."""
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package}\t${Provides}\t${Pre-Depends},${Depends}\n"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    needs: dict[str, str] = {}
    providers: dict[str, list[str]] = defaultdict(list)
    for line in listed.splitlines():
        package, provides, needs[package] = line.split("\t")
        for virtual in _names(provides.replace(",", "|")):
            providers[virtual].append(package)
    found: set[str] = set()
    pending = list(PROGRAMS)
    while pending:
        package = pending.pop()
        if package in found | UNUSED:
            continue
        found.add(package)
        for clause in needs[package].split(","):
            known = [
                name if name in needs else providers[name][0]
                for name in _names(clause)
                if name in needs or providers[name]
            ]
            pending += known[:1]
    return found


def _names(clause: str) -> list[str]:
    return [re.split(r"[ (:]", each.strip())[0] for each in clause.split("|") if each.strip()]


def _write(tar: Path, packages: list[str]) -> None:
    listed = subprocess.run(["dpkg", "-L", *packages], capture_output=True, text=True, check=True).stdout
    with tarfile.open(tar, "w") as out:
        for name, target in LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            out.addfile(link)
        for path in sorted(set(_files(listed))):
            out.add(path, path.lstrip("/"), recursive=False)
        for name, text in TEXTS.items():
            file = tarfile.TarInfo(name)
            file.size = len(text)
            out.addfile(file, io.BytesIO(text.encode()))


def _files(listed: str) -> Iterator[str]:
    for line in listed.splitlines():
        path = f"/usr{line}" if line.split("/")[1:2] and line.split("/")[1] in LINKS else line
        if LEFT_OUT.match(path) or not (Path(path).is_symlink() or Path(path).is_file()):
            continue
        yield path
        compiled = Path(path).parent / "__pycache__" / f"{Path(path).stem}.cpython-311.pyc"
        if path.endswith(".py") and compiled.is_file():  # dnf starts in half the time
            yield str(compiled)
