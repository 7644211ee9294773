"""A sealed place without a container engine: Linux namespaces by bubblewrap, holding the system's own rpm."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from release.errors import Misconfigured
from release.tools.process import run
from release.tools.sealed import Ended
from release.tools.system import RPM_BINDINGS

PYTHON = "/usr/bin/python3"  # the system's: it has the bindings of the system's rpm
BINDINGS = Path(RPM_BINDINGS)
_RPM = (Path("/usr/lib/rpm"), BINDINGS.parent)
_LIBRARIES = "librpm*.so.*"
_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # for leaving root
_SCRATCH_BYTES = 16 << 20
_TMP = "/tmp"  # noqa: S108 - of the place, not of this machine
# systemd.exec(5), DynamicUser: no package and no person has a user in this range. One each, because the kernel
# counts the processes of a user wherever they run, and a fork bomb must not starve its neighbours.
_USERS = (61184, 65519)


class InNamespaces:
    """The system's rpm (Debian packages bubblewrap and python3-rpm) in namespaces of its own: starts in 60 ms.

    Inside are a read-only /usr, an empty /proc and /dev, a small /tmp and what a call mounts; no network, no other
    process, an unprivileged user without capabilities. What runs inside ends with us, however we end.
    """

    own_user = True

    def __init__(self, *, scratch_bytes: int = _SCRATCH_BYTES) -> None:
        self._scratch_bytes = scratch_bytes

    async def identity(self) -> str:
        """By the bytes of rpm's libraries, bindings and macro files. `Misconfigured` where there is no rpm."""
        return await asyncio.to_thread(_identity)

    async def run(
        self, argv: Sequence[str], *, reads: Mapping[str, Path], environment: Mapping[str, str], seconds: float
    ) -> Ended:
        """See `release.tools.places.Place`. `Broken` when it does not end in time."""
        began = time.monotonic()
        # Not on the command line, which is there to be read inside: a value may be for the program alone.
        sealing = "".join(f"{word}\0" for word in _sealing(environment, reads, self._scratch_bytes)).encode()
        words = ["bwrap", "--args", "0", "--", *_as_nobody(), *argv]
        done = await run(words, seconds=seconds, stdin=sealing, check=False)
        return Ended(code=done.code, log=done.stdout + done.stderr, seconds=time.monotonic() - began)


def _sealing(environment: Mapping[str, str], reads: Mapping[str, Path], scratch: int) -> Iterator[str]:
    yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--die-with-parent", "--new-session", "--hostname", "slipway", "--clearenv")
    # Not as process 1: that is bubblewrap's own, of our user, so that its end reaches it and with it all others.
    if os.geteuid() == 0:  # root needs no user namespace, which a container may forbid
        yield from ("--cap-drop", "ALL")
        for name in _CAPABILITIES:
            yield from ("--cap-add", name)
    else:
        yield from ("--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534")
    yield from ("--ro-bind", "/usr", "/usr", "--perms", "0755", "--dir", "/etc")
    yield from ("--ro-bind-try", "/etc/alternatives", "/etc/alternatives")
    for name in ("bin", "sbin", "lib", "lib64"):
        link = Path("/", name)
        yield from (
            ("--symlink", f"usr/{name}", f"/{name}") if link.is_symlink() else ("--ro-bind-try", f"/{name}", f"/{name}")
        )
    yield from ("--proc", "/proc", "--dev", "/dev", "--size", str(scratch), "--perms", "1777", "--tmpfs", _TMP)
    for path, host in reads.items():
        yield from ("--ro-bind", str(host.absolute()), path)
    yield from ("--remount-ro", "/", "--chdir", "/")
    for name, value in environment.items():
        yield from ("--setenv", name, value)


def _as_nobody() -> tuple[str, ...]:
    """Root leaves its user inside, for good: bubblewrap alone would keep it."""
    if os.geteuid() != 0:
        return ()
    user = str(random.randint(*_USERS))  # noqa: S311 - no secret
    ids = ("--reuid", user, "--regid", user, "--clear-groups")
    less = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs")
    return ("setpriv", *ids, *less, "--")


@cache
def _identity() -> str:
    if not BINDINGS.exists() or not shutil.which("bwrap"):
        raise Misconfigured(
            "specs cannot be read without a container engine here",
            expected="the Debian packages bubblewrap and python3-rpm",
            hint="apt-get install bubblewrap python3-rpm",
        )
    found = hashlib.sha256()
    for path in sorted(_parts()):
        found.update(f"{path}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return f"sha256:{found.hexdigest()}"


def _parts() -> Iterator[Path]:
    for folder in _RPM:
        yield from (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    yield from Path("/usr/lib").glob(f"*-linux-gnu/{_LIBRARIES}")
