"""The toolchain as an image: its RPMs installed into an empty root once per digest; every build starts from it."""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from release.digests import hex_of
from release.errors import Broken
from release.tools.containers import Containers
from release.tools.process import TAIL_LINES
from release.tools.sealed import Limits, Sealed

_BARE = "slipway-bare:1"
_LINKS = ("bin", "lib", "lib64", "sbin")
_FOLDERS = ("dev", "etc", "in", "proc", "sys", "tmp", "usr", "var/tmp")
# What installing packages needs: owners and modes of files, a chroot for scripts, /dev/null in it.
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT")
_LIMITS = Limits(seconds=900.0)
_SCRIPT = files("release.tools") / "data" / "toolchain-root.sh"


def toolchain_image(digest: str) -> str:
    """The name of the image that holds the toolchain set of this digest."""
    return f"slipway-toolchain:{hex_of(digest)}"


async def make_toolchain_image(containers: Containers, *, rpms: Path, digest: str, scratch: Path) -> str:
    """Install the RPMs of the folder `rpms` (the whole set, closed) as an image, unless the engine has it; its name.

    The folder `scratch` receives the packed root for a while. `Broken` when a dependency is missing or a script fails.
    """
    name = toolchain_image(digest)
    if await containers.has_image(name):
        return name
    await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="toolchain-") as folder, as_file(_SCRIPT) as script:
        await _bare_image(containers, Path(folder))
        reads = {"/usr": Path("/usr"), "/in/rpms": rpms, "/in/root.sh": script}
        ended = await containers.run(
            Sealed(
                image=_BARE,
                argv=("/bin/sh", "/in/root.sh"),
                reads=reads,
                collect={"/out": Path(folder)},
                capabilities=_CAPABILITIES,
                limits=_LIMITS,
            )
        )
        if ended.code:
            tail = ended.log.decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
            raise Broken("the toolchain cannot be installed", where=str(rpms), got="\n       ".join(tail))
        await containers.import_root(Path(folder) / "root.tar", name)
    return name


async def _bare_image(containers: Containers, folder: Path) -> None:
    """An image of folders and links only: the host's /usr, mounted read-only, makes a machine of it."""
    if await containers.has_image(_BARE):
        return
    tar = folder / "bare.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in _FOLDERS:
            archive.addfile(_member(path, tarfile.DIRTYPE))
        for path in _LINKS:
            archive.addfile(_member(path, tarfile.SYMTYPE, f"usr/{path}"))
    await containers.import_root(tar, _BARE)


def _member(path: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.linkname, member.mode = kind, link, 0o755
    return member
