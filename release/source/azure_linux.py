"""What an Azure Linux tree is where it has no `distro.yaml`: read as it is, for graphs and forecasts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from release.errors import Misconfigured
from release.source.distro import Distro, ImageEntry, Toolchain

# The package of macros tells the version: CBL-Mariner 2.0 named itself otherwise than Azure Linux 3.0.
_VERSIONS: Mapping[str, tuple[str, str, Mapping[str, str]]] = MappingProxyType(
    {
        "azurelinux-rpm-macros": ("3.0", ".azl3", MappingProxyType({"azl": "3"})),
        "mariner-rpm-macros": ("2.0", ".cm2", MappingProxyType({"mariner": "2"})),
    }
)
_ROOT = re.compile(r"(SPECS[A-Z-]*)/[^/]+/[^/]+\.spec")
_MACROS = re.compile(r"SPECS[A-Z-]*/[^/]+/macros\.[A-Za-z0-9._-]+")
_NO_MACROS = (".in", ".patch", ".spec", ".sig", ".txt", ".md", ".json")
_MODULE = re.compile(r"SPECS[A-Z-]*/[a-z0-9-]*rpm-macros/[A-Za-z0-9_-]+\.lua")
_IMAGE = re.compile(r"(?:toolkit/)?imageconfigs/(?P<name>[a-z0-9-]*container[a-z0-9-]*|distroless-[a-z0-9-]+)\.json")
_SIGNED = "-SIGNED"  # sources are RPMs of other specs, and files that were signed outside: nobody can pin them
_CHECKS = "macros.check"  # a package of its own: makes a failed %check no failure


def default_distro(paths: Collection[str]) -> Distro:
    """The distribution of a tree by its regular files. `Misconfigured` when it is not in the layout of Azure Linux.

    Specs are those of all `SPECS*` folders. Macro files are every `macros.*` beside a spec, by name, and then the one
    of the vendor: the order in which rpm loads its macros.d and a vendor's file (rpm, lib/rpmrc.c, macrofiles). Names
    of channels and repositories are placeholders: to release a tree, write its `distro.yaml`.
    """
    roots = sorted({found[1] for path in paths if (found := _ROOT.fullmatch(path))})
    vendor = next((name for name in _VERSIONS for root in roots if f"{root}/{name}/macros" in paths), None)
    if vendor is None:
        raise Misconfigured(
            "the tree has no distro.yaml, and is not Azure Linux",
            expected="distro.yaml, or SPECS/azurelinux-rpm-macros/macros",
            hint="see docs/distribution.md",
        )
    version, dist, defines = _VERSIONS[vendor]
    last = next(f"{root}/{vendor}/macros" for root in roots if f"{root}/{vendor}/macros" in paths)
    return Distro(
        name="azurelinux",
        title="Azure Linux",
        version=version,
        dist=dist,
        vendor="Microsoft Corporation",
        url="https://github.com/microsoft/azurelinux",
        bug_url="https://github.com/microsoft/azurelinux/issues",
        identity="https://slipway.example/azurelinux",
        arches=("x86_64",),
        branch=version,
        channels_branch="channels",
        channels=("edge", "beta", "stable"),
        spec_roots=tuple(roots),
        macro_files=(*_by_name(path for path in paths if _MACROS.fullmatch(path)), last),
        lua_modules=_by_name(path for path in paths if _MODULE.fullmatch(path)),
        version_macros=next(iter(defines)),
        defines=MappingProxyType({**defines, "with_check": "0"}),
        rpms_repository="azurelinux/rpms",
        releases_repository="azurelinux/releases",
        images=tuple(
            ImageEntry(name=found["name"], repository=f"azurelinux/{found['name']}", definition=path)
            for path in sorted(paths)
            if (found := _IMAGE.fullmatch(path))
        ),
        toolchain=Toolchain(lock="toolchain.lock.json"),
        guessed=True,
        unpinned=tuple(root for root in roots if root.endswith(_SIGNED)),
    )


def _by_name(paths: Iterable[str]) -> tuple[str, ...]:
    kept = (path for path in paths if posixpath.basename(path) != _CHECKS and not path.endswith(_NO_MACROS))
    return tuple(sorted(kept, key=lambda path: (posixpath.basename(path), path)))
