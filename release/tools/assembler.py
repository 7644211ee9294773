"""Runs inside the sealed container, by the toolchain's own Python, rpm and dnf: solve, install, pack a clean root.

It is started as `python3 -m release.tools.assembler resolve|install` with this source tree mounted read-only, and
uses nothing but the standard library, the bindings that dnf brings and the rooms beside it. What it is asked lies in
/order, what it answers in /result: `packages.json` and `root.tar`, or `error.json` when it refuses.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from release.accounts import Group, User
from release.errors import Broken, Error, Misconfigured, Refused
from release.tools.packing import pack
from release.tools.rootfinish import Finish, NewFile, finish

ORDER, RESULT, REPOSITORY = Path("/order"), Path("/result"), Path("/repository")
WORK = Path("/work")
TREE = WORK / "tree"
_REPOSITORY_NAME = "assembly"
_TEXTS = ("name", "version", "release", "arch", "summary", "license", "vendor", "url")


def resolve(order: dict[str, Any]) -> list[dict[str, Any]]:
    """What dnf would install into an empty root, with what rpm says of each file."""
    import dnf  # type: ignore[import-not-found]  # the toolchain has it, our own environment does not

    base = dnf.Base()
    base.conf.installroot = str(WORK / "empty")
    base.conf.install_weak_deps = False
    base.conf.substitutions["releasever"] = ""  # dnf reads it from the root's release package, and there is none yet
    base.repos.add_new_repo(_REPOSITORY_NAME, base.conf, baseurl=[REPOSITORY.as_uri()])
    base.fill_sack(load_system_repo=False)
    try:
        for word in order["packages"]:
            base.install(word)
        base.resolve()
    except dnf.exceptions.Error as error:
        raise Misconfigured(
            "the packages of an image cannot be installed", where=order["name"], got=str(error),
            hint="change the definition's package lists, or build what is missing",
        ) from error  # fmt: skip
    chosen = sorted(base.transaction.install_set, key=str)
    return [_described(REPOSITORY / package.location, package.chksum[1].hex()) for package in chosen]


def _described(path: Path, sha256: str) -> dict[str, Any]:
    import rpm  # type: ignore[import-not-found]  # as above

    reader = rpm.TransactionSet()
    reader.setVSFlags(rpm._RPMVSF_NOSIGNATURES)  # dnf checks them when it installs; here no key is known yet
    with path.open("rb") as file:
        header = reader.hdrFromFdno(file)
    return {**_identity(header), "file": path.name, "digest": f"sha256:{sha256}"}


def _identity(header: Any) -> dict[str, Any]:
    return {
        **{key: header[key] or "" for key in _TEXTS},
        "epoch": header["epoch"] or 0,
        "source_rpm": header["sourcerpm"] or "",
        "build_time": header["buildtime"],
        "size": header["longsize"],
        "header_digest": header["sha256header"],
    }


def install(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Install exactly the packages of the order, signatures checked, and finish the root; what its database says."""
    macros = ("" if order["documentation"] else "%_excludedocs 1\n") + (
        f"%_install_langs {order['locales']}\n" if order["locales"] else ""
    )
    _run_dnf(order, macros)
    installed = list(_installed())
    for number, script in enumerate(order["scripts"]):
        _run_script(script, ORDER / "scripts" / str(number))
    _run(["ldconfig", "-r", str(TREE)])
    database = _output(["rpm", "--eval", "%_dbpath"]).strip()
    _compact(TREE / database.lstrip("/"))
    work = Finish(
        database=database,
        groups=tuple(Group(**each) for each in order["groups"]),
        users=tuple(User(**each) for each in order["users"]),
        files=tuple(
            NewFile(path=each["path"], content=(ORDER / "files" / str(number)).read_bytes(), mode=each["mode"])
            for number, each in enumerate(order["files"])
        ),
        macros=macros,
        manifests=_manifests(installed) if order["manifest_only"] else (),
    )
    sink = _File(RESULT / "root.tar")
    os.chroot(TREE)  # from here on a path means what it means inside the image, whatever links its packages hold
    os.chdir("/")
    finish(Path("/"), work)
    pack(Path("/"), sink, epoch=order["epoch"])
    return [{key: value for key, value in each.items() if key != "install_time"} for each in installed]


def _run_dnf(order: dict[str, Any], macros: str) -> None:
    Path("~/.rpmmacros").expanduser().write_text(macros)
    configuration = WORK / "dnf.conf"
    configuration.write_text(
        f"[main]\ninstallroot={TREE}\nreposdir=/nonexistent\ninstall_weak_deps=0\nbest=1\nplugins=0\ngpgcheck=1\n"
        f"[{_REPOSITORY_NAME}]\nname=assembly\nbaseurl={REPOSITORY.as_uri()}\ngpgkey={(ORDER / 'key.asc').as_uri()}\n"
    )
    TREE.mkdir()
    done = _completed(["dnf", "-y", "-c", str(configuration), "install", *order["nevras"]])
    if done.returncode:
        unsigned = "GPG" in done.stdout or "not signed" in done.stdout
        family = Refused if unsigned else Broken
        raise family("dnf did not install the packages of an image", where=order["name"], got=_tail(done.stdout))


def _installed() -> Iterator[dict[str, Any]]:
    import rpm

    database = rpm.TransactionSet(str(TREE))
    headers = sorted(database.dbMatch(), key=lambda header: (header["name"], header["arch"] or ""))
    for header in headers:
        if header["name"] != "gpg-pubkey":
            yield {**_identity(header), "install_time": header["installtime"]}
    database.closeDB()


def _manifests(installed: list[dict[str, Any]]) -> tuple[str, str]:
    """What the Azure Linux toolkit leaves in an image without rpm database, which scanners read: /var/lib/rpmmanifest.

    Source: generateContainerManifests in the toolkit's installutils.go, whose columns scanners depend on.
    """
    names, table = "", ""
    for each in installed:
        version = f"{each['version']}-{each['release']}"
        names += f"{each['name']}-{version}.{each['arch']}\n"
        columns = (
            each["name"], version, each["install_time"], each["build_time"], each["vendor"] or "(none)", "(none)",
            each["size"], each["arch"], each["epoch"], each["source_rpm"] or "(none)",
        )  # fmt: skip
        table += "\t".join(str(column) for column in columns) + "\n"
    return names, table


def _run_script(script: dict[str, str], source: Path) -> None:
    inside = Path("tmp/slipway-script")
    target = TREE / inside
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o700)
    try:
        _run(["chroot", str(TREE), "/bin/sh", "-c", f"/{inside} {script['arguments']}"], where=script["name"])
    finally:
        target.unlink()


def _compact(folder: Path) -> None:
    """Write the rpm database anew, so that equal content is equal bytes, and drop what only a running rpm needs."""
    path = folder / "rpmdb.sqlite"
    if not path.is_file():
        raise Broken(
            "rpm left no sqlite database", where=str(folder), hint="the toolchain's rpm needs %_db_backend sqlite"
        )
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("VACUUM")
    for leftover in ("rpmdb.sqlite-wal", "rpmdb.sqlite-shm", ".rpm.lock"):
        (folder / leftover).unlink(missing_ok=True)


def _run(argv: list[str], *, where: str | None = None) -> None:
    done = _completed(argv)
    if done.returncode:
        raise Misconfigured(f"{where or argv[0]} failed in the image", got=_tail(done.stdout))


def _output(argv: list[str]) -> str:
    return _completed(argv).stdout


def _completed(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-20:])


def main(verb: str) -> int:
    """Do what the order asks; the exit code is that of the error."""
    order = json.loads((ORDER / "order.json").read_text())
    answers = os.open(RESULT, os.O_RDONLY | os.O_DIRECTORY)  # still reachable when the root has changed
    try:
        _answer(answers, "packages.json", {"resolve": resolve, "install": install}[verb](order))
    except Error as error:
        _answer(answers, "error.json", error.to_json())
        return error.exit_code
    return 0


class _File:
    """The packed root, in a file that stays open when the root changes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)

    def write(self, content: bytes) -> None:
        self._file.write(content)

    def copy(self, descriptor: int, size: int) -> bool:
        while size:
            chunk = os.read(descriptor, min(size, 1 << 20))
            if not chunk:
                return False
            self._file.write(chunk)
            size -= len(chunk)
        return True

    def close(self) -> None:
        self._file.close()


def _answer(folder: int, name: str, value: Any) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
    with os.fdopen(file, "w") as stream:
        json.dump(value, stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
