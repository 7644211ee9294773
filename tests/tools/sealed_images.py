"""An image of links and folders only: with the host's /usr mounted it is a machine, without any toolchain."""

from __future__ import annotations

import tarfile
from pathlib import Path

BARE = "slipway-test-bare:1"


def write_bare_tar(path: Path) -> Path:
    """The tar of that image's root."""
    with tarfile.open(path, "w") as tar:
        for name in ("dev", "etc", "facts", "proc", "sys", "tmp", "usr", "work"):
            tar.addfile(_member(name, tarfile.DIRTYPE))
        for name in ("bin", "lib", "lib64", "sbin"):
            tar.addfile(_member(name, tarfile.SYMTYPE, f"usr/{name}"))
    return path


def _member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o755
    return member
