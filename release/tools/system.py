"""The programs Slipway needs from the operating system, and how to get them. Standard library only, because it
runs before anything of ours is installed (`python3 -m release.tools.system install`)."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable

RPM_BINDINGS = "/usr/lib/python3/dist-packages/rpm/__init__.py"  # a file: what has no program is found by one
# program -> Debian package that holds it, with what Slipway uses it for
PROGRAMS: dict[str, tuple[str, str]] = {
    "git": ("git", "the distribution's repository"),
    "docker-registry": ("docker-registry", "the embedded registry"),
    "dockerd": ("docker.io", "sealed builds, where no container engine answers"),
    "docker": ("docker.io", "the demo's consumer builds an image with it"),
    "rpm": ("rpm", "reading packages"),
    "rpmbuild": ("rpm", "importing the toolchain (stage 0)"),
    "rpmsign": ("rpm", "signing package headers"),
    "rpmkeys": ("rpm", "checking package signatures"),
    "dnf": ("dnf", "assembling roots, and the demo's consumer"),
    "gpg": ("gnupg", "the OpenPGP key of packages and repositories"),
    "dpkg-deb": ("dpkg", "importing the toolchain (stage 0)"),
    "apt-get": ("apt", "importing the toolchain (stage 0)"),
    "dpkg-source": ("dpkg-dev", "upstream sources from the system's source packages"),
    "bwrap": ("bubblewrap", "reading specs where there is no container engine"),
    RPM_BINDINGS: ("python3-rpm", "reading the headers of packages, and specs where there is no container engine"),
}
# What only the tests use.
TEST_PROGRAMS: dict[str, tuple[str, str]] = {
    "cpio": ("cpio", "a third party that unpacks our packages"),
    "gcc": ("gcc", "small libraries whose interface is changed on purpose"),
    "openssl": ("openssl", "a third party that reads our certificates"),
    "skopeo": ("skopeo", "a third party that reads what we push"),
}


def missing_programs(programs: Iterable[str] = PROGRAMS) -> tuple[str, ...]:
    """Programs that are not on PATH (system folders included, which a plain user's PATH may lack)."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return tuple(each for each in programs if not (shutil.which(each, path=path) or _is_file(each)))


def _is_file(path: str) -> bool:
    return path.startswith("/") and os.path.isfile(path)  # noqa: PTH113 - pathlib is not needed here otherwise


def install_commands(programs: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The commands that install what is missing, as argv; a person without root pastes them after `sudo`."""
    packages = sorted({(PROGRAMS | TEST_PROGRAMS)[program][0] for program in programs})
    return (("apt-get", "update"), ("apt-get", "install", "-y", "--no-install-recommends", *packages))


def install(*, tests: bool = False) -> int:
    """Install what is missing, for the tests too or not, where we are root; otherwise print the exact commands.
    Returns an exit code."""
    wanted = PROGRAMS | (TEST_PROGRAMS if tests else {})
    missing = missing_programs(wanted)
    if not missing:
        print("system packages: all there")
        return 0
    commands = install_commands(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"missing programs: {', '.join(missing)}. Install them, then run this again:", file=sys.stderr)
        for command in commands:
            print(f"  sudo {shlex.join(command)}", file=sys.stderr)
        return 2
    for command in commands:
        print(f"system packages: {shlex.join(command)}", flush=True)
        # Services that a package would start are not ours to start: policy-rc.d is a machine's choice, RUNLEVEL=1
        # makes invoke-rc.d leave them alone.
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
            return done.returncode
    still = missing_programs(wanted)
    if still:
        print(f"still missing after the installation: {', '.join(still)}", file=sys.stderr)
    return 2 if still else 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["install"], ["install", "--tests"]):
        sys.exit("usage: python3 -m release.tools.system install [--tests]")
    sys.exit(install(tests="--tests" in sys.argv))
