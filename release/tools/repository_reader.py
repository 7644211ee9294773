"""Runs with the system's Python, which has dnf: what packages of an RPM repository need, and the files themselves.

Standard input: {"baseurl", "packages", "home", "download": whether the files are wanted}. Standard output: {"packages":
[{"name", "version", "arch", "sha256", "file"}]}, or {"error": text, "retry": whether the repository itself failed}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import dnf  # type: ignore[import-not-found]  # the system's Python has it, our own environment does not
import dnf.exceptions  # type: ignore[import-not-found]
import hawkey  # type: ignore[import-not-found]


def main() -> None:
    """Answer the one question on standard input."""
    asked = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"packages": read(**asked)}
    except dnf.exceptions.Error as error:
        ours = isinstance(error, dnf.exceptions.MarkingError | dnf.exceptions.DepsolveError)
        answer = {"error": str(error).strip(), "retry": not ours}
    json.dump(answer, sys.stdout)


def read(baseurl: str, packages: list[str], home: str, download: bool) -> list[dict[str, str]]:
    """The closure as if nothing were installed; with `download` its files are on this machine afterwards."""
    with dnf.Base() as base:
        conf = base.conf
        for option in ("installroot", "cachedir", "persistdir", "logdir"):
            folder = Path(home) / option
            folder.mkdir(parents=True, exist_ok=True)
            setattr(conf, option, str(folder))
        conf.install_weak_deps = False
        conf.substitutions["releasever"] = ""  # a distribution that begins has none
        base.repos.add_new_repo("toolchain", conf, baseurl=[baseurl])
        base.fill_sack(load_system_repo=False)
        for each in packages:
            base.install(each)
        base.resolve()
        chosen = sorted(base.transaction.install_set, key=str)
        if download:
            base.download_packages(chosen)
        return [described(each) for each in chosen]


def described(package: Any) -> dict[str, str]:
    """One package, with the sha256 that the repository's metadata promises."""
    kind, checksum = package.chksum
    if kind != hawkey.CHKSUM_SHA256:
        raise dnf.exceptions.Error(f"{package} has no sha256 in the repository's metadata")
    return {
        "name": package.name,
        "version": package.evr,
        "arch": package.arch,
        "sha256": checksum.hex(),
        "file": package.localPkg(),
    }


if __name__ == "__main__":
    main()
