"""What rpm and dnf do for an image, inside the assembly container: solve, describe, install, and a database at rest.

The toolchain's Python runs it: the standard library and the bindings that dnf brings, nothing else.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from release.errors import Broken, Misconfigured, Refused

_REPOSITORY = "assembly"
_TEXTS = ("name", "version", "release", "arch", "summary", "license", "vendor", "url")
_TAIL_LINES = 20
Described = dict[str, Any]
"""The fields of `release.product.image_packages.ImagePackage`, by name."""


def solve(repository: Path, words: Iterable[str], work: Path) -> list[Described]:
    """What dnf would install into an empty root, with what rpm says of each file of the repository.

    `work` is a folder for whatever dnf wants to write.
    """
    import dnf  # type: ignore[import-not-found]  # the toolchain has it, our own environment does not

    base = dnf.Base()
    base.conf.installroot = str(work / "empty")
    base.conf.logdir = base.conf.cachedir = base.conf.persistdir = str(work)
    base.conf.install_weak_deps = False
    base.conf.substitutions["releasever"] = ""  # dnf reads it from the root's release package, and there is none yet
    base.repos.add_new_repo(_REPOSITORY, base.conf, baseurl=[repository.as_uri()])
    base.fill_sack(load_system_repo=False)
    try:
        for word in words:
            base.install(word)
        base.resolve()
    except dnf.exceptions.Error as error:
        raise Misconfigured(
            "the packages of an image cannot be installed",
            got=str(error).strip(),
            hint="change the definition's package lists, or build what is missing",
        ) from error
    chosen = sorted(base.transaction.install_set, key=str)
    return [_of_file(repository / package.location, package.chksum[1].hex()) for package in chosen]


def _of_file(path: Path, sha256: str) -> Described:
    import rpm  # type: ignore[import-not-found]  # as above

    reader = rpm.TransactionSet()
    reader.setVSFlags(rpm._RPMVSF_NOSIGNATURES)  # dnf checks them when it installs; here no key is known yet
    with path.open("rb") as file:
        return {**_of_header(reader.hdrFromFdno(file)), "file": path.name, "digest": f"sha256:{sha256}"}


def _of_header(header: Any) -> Described:
    return {
        **{key: header[key] or "" for key in _TEXTS},
        "epoch": header["epoch"] or 0,
        "source_rpm": header["sourcerpm"] or "",
        "build_time": header["buildtime"],
        "size": header["longsize"],
        "header_digest": header["sha256header"],
    }


def install(tree: Path, repository: Path, nevras: Iterable[str], *, key: Path, configuration: Path) -> None:
    """Install exactly these packages into `tree`, each checked against the public key; rpm's macros are the caller's.

    `configuration` is where dnf's own goes. `Refused` for a missing or wrong signature, `Broken` for all else.
    """
    configuration.write_text(
        f"[main]\ninstallroot={tree}\nreposdir=/nonexistent\ninstall_weak_deps=0\nbest=1\nplugins=0\ngpgcheck=1\n"
        f"[{_REPOSITORY}]\nname={_REPOSITORY}\nbaseurl={repository.as_uri()}\ngpgkey={key.as_uri()}\n"
    )
    code, text = run(["dnf", "-y", "--releasever=", "-c", str(configuration), "install", *nevras])
    if code:
        unsigned = "GPG" in text or "not signed" in text
        raise (Refused if unsigned else Broken)("dnf did not install the packages of an image", got=tail(text))


def installed(tree: Path) -> list[Described]:
    """What the root's database says, and when each package was installed (`install_time`); keys are no packages."""
    import rpm

    database = rpm.TransactionSet(str(tree))
    headers = [header for header in database.dbMatch() if header["name"] != "gpg-pubkey"]
    found = [{**_of_header(header), "install_time": header["installtime"]} for header in headers]
    database.closeDB()
    return sorted(found, key=lambda each: (each["name"], each["arch"]))


def manifests(packages: Iterable[Described]) -> tuple[str, str]:
    """container-manifest-1 and -2, which scanners read in an image without rpm database.

    Source: generateContainerManifests in the Azure Linux toolkit's installutils.go; scanners depend on its columns.
    """
    names, table = "", ""
    for each in packages:
        version = f"{each['version']}-{each['release']}"
        times = (each["install_time"], each["build_time"])
        rest = (each["size"], each["arch"], each["epoch"], each["source_rpm"] or "(none)")
        columns = (each["name"], version, *times, each["vendor"] or "(none)", "(none)", *rest)
        names += f"{each['name']}-{version}.{each['arch']}\n"
        table += "\t".join(map(str, columns)) + "\n"
    return names, table


def rest(folder: Path) -> None:
    """Write the rpm database anew and drop what only a running rpm needs.

    Equal content becomes equal bytes whatever happened before, and the copy has no write-ahead log, which nobody could
    open on a read-only file system (sqlite.org/wal.html, "Read-Only Databases").
    """
    path = folder / "rpmdb.sqlite"
    if not path.is_file():
        raise Broken(
            "rpm left no sqlite database", where=str(folder), hint="the toolchain's rpm needs %_db_backend sqlite"
        )
    fresh = folder / "fresh"
    with closing(sqlite3.connect(path)) as database:
        database.execute("VACUUM INTO ?", (str(fresh),))
    fresh.chmod(0o644)
    fresh.replace(path)
    for leftover in ("rpmdb.sqlite-wal", "rpmdb.sqlite-shm", ".rpm.lock"):
        (folder / leftover).unlink(missing_ok=True)


def run(argv: list[str]) -> tuple[int, str]:
    """Run a tool of the toolchain to its end: its exit code, and output and errors as one text."""
    done = subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


def output(argv: list[str]) -> str:
    """What a tool says that must not fail; `Broken` when it does."""
    code, text = run(argv)
    if code:
        raise Broken(f"{argv[0]} failed with exit code {code}", got=tail(text))
    return text.strip()


def tail(text: str) -> str:
    """The end of an output, for a message."""
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])
