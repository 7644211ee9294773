"""Tiny Linux: a distribution of six packages and two images, whole enough to be released in a minute."""

from __future__ import annotations

import json

SEEDS = (
    "bash", "coreutils", "dash", "diffutils", "dnf", "file", "findutils", "gawk", "gpg", "grep", "gzip", "libc-bin",
    "rpm", "sed", "tar", "util-linux",
)  # fmt: skip
CHAIN = ("aa", "bb", "cc")  # each one needs the one before it
PACKAGES = (*CHAIN, "dd", "tiny-release", "tiny-repos")

DISTRO = f"""\
name: tiny
title: Tiny Linux
version: "1"
dist: .tiny1
vendor: Tiny Linux
url: https://slipway.example/tiny
bug_url: https://slipway.example/tiny/issues
identity: https://slipway.example/tiny
arches: [x86_64]
branch: stable
channels_branch: channels
channels: [edge, beta, stable]
spec_roots: [SPECS]
macro_files: [macros/tiny.macros]
rpms_repository: tiny/rpms
releases_repository: tiny/releases
images:
  - {{name: base, repository: tiny/base, definition: imageconfigs/base/base.json}}
  - {{name: distroless, repository: tiny/distroless, definition: imageconfigs/distroless/distroless.json}}
toolchain:
  lock: toolchain.lock.json
  seeds: [{", ".join(SEEDS)}]
"""

MACROS = """\
%_dbpath /usr/lib/sysimage/rpm
%_db_backend sqlite
%debug_package %{nil}
%_build_id_links none
%_binary_payload w1.zstdio
"""


def spec(name: str, *, tags: str = "", build: str = ":", install: str = ":", files: str = "", release: int = 1) -> str:
    """A spec of a package that holds no program of an architecture."""
    return f"""\
Name: {name}
Version: 1.0
Release: {release}%{{?dist}}
Summary: The package {name}
License: Apache-2.0
BuildArch: noarch
AutoReqProv: no
{tags}
%description
The package {name} of a very small distribution.

%build
{build}

%install
{install}

%files
{files}

%changelog
* Mon Nov 16 2026 Tiny Linux maintainers <maintainers@tiny.example> - 1.0-{release}
- A package
"""


def aa(word: str = "salt") -> dict[str, str]:
    """The library that others are made from: it says `word`."""
    return {
        "SPECS/aa/aa.spec": spec(
            "aa",
            tags="Source0: aa.txt",
            install="install -D -m 0644 %{SOURCE0} %{buildroot}/usr/share/aa/aa.txt",
            files="/usr/share/aa/aa.txt",
        ),
        "SPECS/aa/aa.txt": f"{word}\n",
    }


def dd(install: str = ":", files: str = "") -> str:
    """The spec of the leaf; more may be installed."""
    return spec(
        "dd",
        install=f"install -d %{{buildroot}}/usr/share/dd\necho leaf > %{{buildroot}}/usr/share/dd/dd.txt\n{install}",
        files=f"/usr/share/dd/dd.txt\n{files}",
    )


def base_image(command: str = "/bin/bash") -> str:
    """The definition of an image with a shell and dnf, whose containers run `command`."""
    system = {
        "Name": "base",
        "Packages": ["tiny-release", "stage0-filesystem", "libc6", "libc-bin", "bash", "coreutils", "dash", "dnf",
                     "rpm", "tiny-repos"],
        "DisableRpmDocs": True,
        "OverrideRpmLocales": "NONE",
    }  # fmt: skip
    return json.dumps({"SystemConfigs": [system], "Container": {"Cmd": [command]}}, indent=1)


def distroless_image(*more: str, word: str = "") -> str:
    """The definition of an image with the end of the chain and what that needs, and the packages `more`; `word` is
    an argument of its program, which ignores it."""
    names = ["tiny-release", "stage0-filesystem", "libc6", "libc-bin", "dash", "cc", *more]
    system = {"Name": "distroless", "Packages": names, "DisableRpmDocs": True, "OverrideRpmLocales": "NONE"}
    return json.dumps({"SystemConfigs": [system], "Container": {"Cmd": ["/usr/bin/cc-says", word]}}, indent=1)


def policy(channel: str, upstream: str | None, soak: int) -> str:
    """A policy that asks for every proof, and for `soak` seconds."""
    return f"""\
channel: {channel}
upstream: {upstream or "null"}
production: false
valid_seconds: 604800
lanes:
  normal: {{soak_seconds: {soak}, approvals: 0}}
gates:
  - {{id: signed, kind: signature}}
  - {{id: built-here, kind: provenance}}
  - {{id: listed, kind: sbom}}
  - {{id: closed, kind: closure}}
  - {{id: descends, kind: ancestry}}
  - {{id: trusted, kind: trust, parameters: {{accept: [embedded]}}}}
  - {{id: soaked, kind: soak}}
"""


def tree() -> dict[str, str]:
    """Every file by path, but the toolchain's lock."""
    return {
        "README.md": "# Tiny Linux\n",
        "distro.yaml": DISTRO,
        "macros/tiny.macros": MACROS,
        **aa(),
        "SPECS/bb/bb.spec": spec(
            "bb",
            tags="BuildRequires: aa\nRequires: aa",
            build='echo "bb with $(cat /usr/share/aa/aa.txt)" > bb.txt',
            install="install -D -m 0644 bb.txt %{buildroot}/usr/share/bb/bb.txt",
            files="/usr/share/bb/bb.txt",
        ),
        "SPECS/cc/cc.spec": spec(
            "cc",
            tags="BuildRequires: bb\nRequires: bb\nRequires: dash",
            build="printf '#!/bin/sh\\necho cc has %s\\n' \"'$(cat /usr/share/bb/bb.txt)'\" > cc-says",
            install="install -D -m 0755 cc-says %{buildroot}/usr/bin/cc-says",
            files="/usr/bin/cc-says",
        ),
        "SPECS/dd/dd.spec": dd(),
        "SPECS/tiny-release/tiny-release.spec": spec(
            "tiny-release",
            tags="Source0: macros.tiny\nProvides: system-release = 1\nProvides: system-release(releasever) = 1",
            build="printf 'NAME=\"Tiny Linux\"\\nID=tiny\\nVERSION_ID=1\\n' > os-release",
            install="install -D -m 0644 os-release %{buildroot}/usr/lib/os-release\n"
            "install -D -m 0644 %{SOURCE0} %{buildroot}/usr/lib/rpm/macros.d/macros.tiny\n"
            "install -d %{buildroot}/etc\nln -s ../usr/lib/os-release %{buildroot}/etc/os-release",
            files="/usr/lib/os-release\n/etc/os-release\n/usr/lib/rpm/macros.d/macros.tiny",
        ),
        "SPECS/tiny-release/macros.tiny": "%_dbpath /usr/lib/sysimage/rpm\n%_db_backend sqlite\n",
        "SPECS/tiny-repos/tiny-repos.spec": spec(
            "tiny-repos",
            tags="Source0: tiny.repo\nSource1: RPM-GPG-KEY-tiny\nRequires: system-release",
            install="install -D -m 0644 %{SOURCE0} %{buildroot}/etc/yum.repos.d/tiny.repo\n"
            "install -D -m 0644 %{SOURCE1} %{buildroot}/etc/pki/rpm-gpg/RPM-GPG-KEY-tiny",
            files="/etc/yum.repos.d/tiny.repo\n/etc/pki/rpm-gpg/RPM-GPG-KEY-tiny",
        ),
        "SPECS/tiny-repos/tiny-repos.signatures.json": '{"Signatures": {}}\n',
        "SPECS/tiny-repos/tiny.repo.in": "[tiny]\nname=Tiny Linux\nbaseurl=@GATEWAY@/stable/$basearch\nenabled=0\n"
        "gpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-tiny\n",
        "imageconfigs/base/base.json": base_image(),
        "imageconfigs/distroless/distroless.json": distroless_image(),
        "policies/edge.yaml": policy("edge", None, 0),
        "policies/beta.yaml": policy("beta", "edge", 1),
        "policies/stable.yaml": policy("stable", "beta", 1),
    }  # fmt: skip
