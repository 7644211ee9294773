"""Runs inside the sealed container, by the toolchain's own Python: what a root will hold, and then that root, packed.

It is started as `python3 -m release.tools.assembler resolve|install` with this source tree mounted read-only. What it
is asked lies in /order; what it answers in /result: `packages.json` and `root.tar`, or `error.json` when it refuses.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from release.errors import Error, Misconfigured
from release.product.roots import Root, Script
from release.tools import rpmroot
from release.tools.packing import pack
from release.tools.rootfinish import finish

ORDER, RESULT, REPOSITORY, WORK = Path("/order"), Path("/result"), Path("/repository"), Path("/work")
TREE = WORK / "tree"


def resolve(order: dict[str, Any]) -> list[rpmroot.Described]:
    """`{"packages": [...]}` -> what dnf would install."""
    return rpmroot.solve(REPOSITORY, order["packages"], WORK)


def install(order: dict[str, Any]) -> list[rpmroot.Described]:
    """`{"root", "packages": [NEVRA], "key", "epoch"}` -> what the database of the root says, and /result/root.tar."""
    root, key = Root.from_json(order["root"]), WORK / "key.asc"
    Path("~/.rpmmacros").expanduser().write_text(root.macros)
    key.write_text(order["key"])
    TREE.mkdir()
    rpmroot.install(TREE, REPOSITORY, order["packages"], key=key, configuration=WORK / "dnf.conf")
    packages = rpmroot.installed(TREE)
    for script in root.scripts:
        _run_inside(script)
    rpmroot.output(["ldconfig", "-r", str(TREE)])
    database = rpmroot.output(["rpm", "--eval", "%_dbpath"])
    rpmroot.rest(TREE / database.lstrip("/"))
    with (RESULT / "root.tar").open("wb", buffering=0) as file:
        os.chroot(TREE)  # from here on a path means what it means inside the image, whatever links its packages hold
        os.chdir("/")
        finish(Path("/"), root, database=database, manifests=rpmroot.manifests(packages))
        pack(Path("/"), FileSink(file.fileno()), epoch=order["epoch"])
    return packages


def _run_inside(script: Script) -> None:
    inside = Path("tmp/slipway-script")
    target = TREE / inside
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(script.content)
    target.chmod(0o700)
    code, text = rpmroot.run(["chroot", str(TREE), "/bin/sh", "-c", f"/{inside} {script.arguments}"])
    if code:
        raise Misconfigured("a script failed in the image", where=script.name, got=rpmroot.tail(text))
    target.unlink()


class FileSink:
    """The packed root goes into an open file, uncompressed: the host compresses and hashes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        """Take bytes."""
        while content:
            content = content[os.write(self._descriptor, content) :]

    def copy(self, descriptor: int, size: int) -> bool:
        """Take exactly `size` bytes from an open file; False when it ends early."""
        while size:
            count = os.sendfile(self._descriptor, descriptor, None, size)
            if not count:
                return False
            size -= count
        return True


def main(verb: str) -> int:
    """Do what the order asks; the exit code is that of the error."""
    order = json.loads((ORDER / "order.json").read_text())
    RESULT.mkdir(exist_ok=True)
    answers = os.open(RESULT, os.O_RDONLY | os.O_DIRECTORY)  # still reachable when the root has changed
    try:
        _answer(answers, "packages.json", {"resolve": resolve, "install": install}[verb](order))
    except Error as error:
        _answer(answers, "error.json", error.to_json())
        return error.exit_code
    return 0


def _answer(folder: int, name: str, value: Any) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
    with os.fdopen(file, "w") as stream:
        json.dump(value, stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
