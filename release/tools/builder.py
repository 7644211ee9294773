"""One source package from its spec to its RPMs, in one sealed container: no network, no keys, nobody's environment."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType

from release.errors import Broken, Misconfigured, Refused
from release.tools.containers import Containers
from release.tools.process import TAIL_LINES
from release.tools.sealed import Ended, Exceeded, Limits, Sealed

_SCRIPT = files("release.tools") / "data" / "build.sh"
_SCRATCH = ("/build", "/tmp", "/var/tmp")  # noqa: S108 - folders of the container, not of this machine
# Root in the container installs packages and then becomes the builder, who has none of these.
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
_NO_PROGRAM, _NO_ROOT, _NO_BUILD = 80, 81, 82  # exit codes of the script
_LAST_WORDS = 1 << 16
_FULL = re.compile(rb"No space left on device|Disk quota exceeded")
# Equal inputs give equal bytes, whoever builds and when. These are not the distribution's to choose.
_FIXED: Mapping[str, str] = MappingProxyType(
    {
        "_topdir": "/build",
        "_buildhost": "slipway",
        "_build_id_links": "none",
        "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
    }
)


class BuildFailed(Refused):
    """The spec was understood and could not be built; `log` is the whole log of the container."""

    def __init__(self, message: str, *, log: bytes, where: str, hint: str) -> None:
        super().__init__(message, where=where, got=_tail(log), hint=hint)
        self.log = log


class RootFailed(BuildFailed):
    """What a spec asks for could not be installed: its build never began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What to build and from what. Everything named here was checked by whoever orders: the builder believes it.

    `spec` lies in a folder with its patches and local sources; `sources` is a folder with the other sources.
    `toolchain` is the folder of RPMs, with repodata, that `image` was made from; `repositories` are such folders with
    exactly the packages that this build may see, and these replace packages of the toolchain with the same name.
    `macro_files` are loaded in order after rpm's own, then `macros` are defined (dist, vendor). `epoch` (seconds
    since 1970) is SOURCE_DATE_EPOCH; `arch` is rpm's name of it. `suffix` is written behind every Release of the
    spec, and so stands in the source RPM, too: whoever builds that one again gets the same packages.
    """

    image: str
    spec: Path
    sources: Path
    toolchain: Path
    repositories: tuple[Path, ...]
    build_requires: tuple[str, ...]
    epoch: int
    arch: str
    macro_files: tuple[Path, ...] = ()
    macros: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    suffix: str = ""
    jobs: int = 2
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """A package of the build root: its NEVRA and the digest of its header (rpm's SHA256HEADER, hex)."""

    nevra: str
    header_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOutput:
    """What a build made: `rpms` sorted by name, the SRPM, the log, what was installed while it ran, and seconds."""

    rpms: tuple[Path, ...]
    srpm: Path
    log: bytes
    build_root: tuple[InstalledPackage, ...]
    rpmbuild_seconds: float
    seconds: float


class Builder:
    """Builds orders on one container engine; `scratch` is a folder for small files while a build runs."""

    def __init__(self, containers: Containers, *, scratch: Path) -> None:
        self._containers = containers
        self._scratch = scratch

    async def build(self, order: BuildOrder, out: Path) -> BuildOutput:
        """Build, and put the RPMs into the folder `out`.

        `BuildFailed` with the log when the spec cannot be built, or what it asks for not be installed; `Exceeded`,
        with the log too, for a limit; `Misconfigured` for a toolchain without the programs of a build; `Broken` when
        the engine failed or its disk is full.
        """
        await asyncio.to_thread(self._scratch.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="build-") as folder, as_file(_SCRIPT) as script:
            work = Path(folder)
            _write_order(order, work / "order")
            ended = await self._containers.run(_sealed(order, work, script))
            _check(ended, order, work / "facts")
            return _output(ended, work, out)


def _tail(log: bytes) -> str:
    return "\n       ".join(log.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])


def _write_order(order: BuildOrder, folder: Path) -> None:
    folder.mkdir()
    requires = "".join(f"Requires: {each}\n" for each in order.build_requires)
    (folder / "build-requires.spec").write_text(
        "Name: slipway-build-requires\nVersion: 1\nRelease: 1\nSummary: What a spec asks for\nLicense: none\n"
        f"BuildArch: noarch\nAutoReqProv: no\n{requires}%description\n%files\n"
    )
    defines = {**order.macros, **_FIXED}
    (folder / "defines").write_text("".join(f"{name} {value}\n" for name, value in defines.items()))
    (folder / "dnf.conf").write_text(_dnf_configuration(len(order.repositories)))


def _dnf_configuration(repositories: int) -> str:
    """Only the mounted repositories, own ones first; no plugins, no weak dependencies, nothing kept."""
    # The RPMs were checked by digest before they were mounted, and are read-only: a signature would add nothing here.
    main = ["[main]", "reposdir=/nonexistent", "plugins=0", "install_weak_deps=0", "tsflags=nodocs", "gpgcheck=0"]
    own = [(f"repositories/{n}", 1) for n in range(repositories)]
    for folder, priority in [*own, ("toolchain", 2)]:
        name = folder.replace("/", "-")
        main += [f"[{name}]", f"name={name}", f"baseurl=file:///in/{folder}", f"priority={priority}"]
    return "\n".join(main) + "\n"


def _sealed(order: BuildOrder, work: Path, script: Path) -> Sealed:
    reads = {
        "/in/build.sh": script,
        "/in/order": work / "order",
        "/in/spec": order.spec.parent,
        "/in/sources": order.sources,
        "/in/toolchain": order.toolchain,
        **{f"/in/repositories/{n}": path for n, path in enumerate(order.repositories)},
        **{f"/in/macros/{n:03}": path for n, path in enumerate(order.macro_files)},
    }
    return Sealed(
        image=order.image,
        argv=("/bin/bash", "/in/build.sh"),
        reads=reads,
        scratch=_SCRATCH,
        collect={"/facts": work / "facts", "/out": work / "out"},
        environment={
            "SPEC": order.spec.name,
            "EPOCH": str(order.epoch),
            "ARCH": order.arch,
            "JOBS": str(order.jobs),
            "SUFFIX": order.suffix,
        },
        capabilities=_CAPABILITIES,
        limits=order.limits,
    )


def _check(ended: Ended, order: BuildOrder, facts: Path) -> None:
    where, log = order.spec.name, ended.log
    if ended.code == 0:
        return
    if ended.code == _NO_PROGRAM:
        raise Misconfigured(
            "the toolchain set is not complete",
            got=_tail(log),
            expected="rpmbuild, dnf, setpriv (util-linux) and the shell's usual programs",
            hint="add what is missing to the toolchain of distro.yaml",
        )
    if ended.code not in (_NO_ROOT, _NO_BUILD):
        raise Broken(f"the build's script failed with exit code {ended.code}", where=where, got=_tail(log))
    full = _FULL.search(log[-_LAST_WORDS:])
    if ended.code == _NO_ROOT and full:
        raise Broken("the container engine's disk is full", where=where, got=_tail(log), hint="free some space")
    if ended.code == _NO_ROOT:
        raise RootFailed("its BuildRequires cannot be installed", where=where, log=log, hint="see what is missing")
    if full:
        raise Exceeded(
            "out of scratch space",
            where=where,
            log=log,
            got=f"more than {order.limits.scratch >> 20} MiB",
            hint="raise its limit of scratch space",
        )
    refused = int((facts / "refused").read_text() or 0)
    if refused:
        raise Exceeded(
            "out of processes",
            where=where,
            log=log,
            got=f"{refused} forks beyond {order.limits.pids} processes were refused",
            hint="raise its limit of processes, or let it run fewer jobs at once",
        )
    raise BuildFailed("the build failed", where=where, log=log, hint=f"slipway build {order.spec.stem}")


def _output(ended: Ended, work: Path, out: Path) -> BuildOutput:
    facts = work / "facts"
    out.mkdir(parents=True, exist_ok=True)
    made = [Path(shutil.move(path, out / path.name)) for path in sorted((work / "out").glob("*.rpm"))]
    installed = (line.split() for line in (facts / "packages").read_text().splitlines())
    return BuildOutput(
        rpms=tuple(path for path in made if not path.name.endswith(".src.rpm")),
        srpm=next(path for path in made if path.name.endswith(".src.rpm")),
        log=ended.log,
        build_root=tuple(InstalledPackage(nevra=nevra, header_digest=digest) for nevra, digest in installed),
        rpmbuild_seconds=int((facts / "nanoseconds").read_text()) / 1e9,
        seconds=ended.seconds,
    )
