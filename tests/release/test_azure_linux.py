"""A tree of Azure Linux without a distro.yaml is read as it is."""

from __future__ import annotations

import pytest

from release.errors import Misconfigured
from release.source.azure_linux import default_distro

PATHS = (
    "SPECS/azurelinux-rpm-macros/azurelinux-rpm-macros.spec",
    "SPECS/azurelinux-rpm-macros/macros",
    "SPECS/azurelinux-rpm-macros/macros.check",
    "SPECS/azurelinux-rpm-macros/macros.python",
    "SPECS/azurelinux-rpm-macros/python.lua",
    "SPECS/azurelinux-rpm-macros/compileall2.py",
    "SPECS/pyproject-rpm-macros/macros.aaa-pyproject-srpm",
    "SPECS/perl/gendep.macros",
    "SPECS/perl/macros.perl",
    "SPECS/perl/perl.spec",
    "SPECS/perl/macros.template.in",
    "SPECS-EXTENDED/fonts/fonts.spec",
    "SPECS-EXTENDED/fonts/deep/macros.deep",
    "SPECS-SIGNED/kernel-signed/kernel-signed.spec",
    "toolkit/imageconfigs/core-container.json",
    "toolkit/imageconfigs/distroless-base.json",
    "toolkit/imageconfigs/core-efi.json",
    "toolkit/tools/macros.toolkit",
)


def test_reads_azure_linux_3_as_it_is() -> None:
    distro = default_distro(PATHS)
    assert (distro.version, distro.dist, distro.version_macros) == ("3.0", ".azl3", "azl")
    assert dict(distro.macros) == {
        "azl": "3", "with_check": "0", "dist": ".azl3", "vendor": "Microsoft Corporation",
    }  # fmt: skip
    assert distro.spec_roots == ("SPECS", "SPECS-EXTENDED", "SPECS-SIGNED")
    assert distro.macro_paths(PATHS) == (
        "SPECS/pyproject-rpm-macros/macros.aaa-pyproject-srpm",
        "SPECS/perl/macros.perl",
        "SPECS/azurelinux-rpm-macros/macros.python",
        "SPECS/azurelinux-rpm-macros/macros",  # the vendor's own: rpm loads it after macros.d
    )
    assert distro.unpinned == ("SPECS-SIGNED",)
    assert distro.lua_paths(PATHS) == ("SPECS/azurelinux-rpm-macros/python.lua",)
    assert [(each.name, each.definition) for each in distro.images] == [
        ("core-container", "toolkit/imageconfigs/core-container.json"),
        ("distroless-base", "toolkit/imageconfigs/distroless-base.json"),
    ]


def test_reads_cbl_mariner_2_as_it_is() -> None:
    distro = default_distro(["SPECS/mariner-rpm-macros/macros", "SPECS/a/a.spec"])
    assert (distro.version, distro.dist, distro.version_macros) == ("2.0", ".cm2", "mariner")


def test_refuses_a_tree_of_another_layout() -> None:
    with pytest.raises(Misconfigured, match=r"no distro\.yaml"):
        default_distro(["README.md", "SPECS/a/a.spec"])
