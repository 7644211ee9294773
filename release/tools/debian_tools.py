"""Foreign judges: one program of a newer Debian suite, fetched and verified by apt, unpacked and not installed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from release.errors import Error, Misconfigured
from release.tools.process import run

FETCH_SECONDS = 300.0
# Lists of a whole suite cost as much as the program: no translations.
_QUIET = ("-q", "-o", "Acquire::Languages=none")


async def fetch_tool(package: str, suite: str, folder: Path) -> Path:
    """The program of a Debian package: `<folder>/<suite>/<package>/usr/bin/<package>`, fetched the first time only.

    The mirror is the one apt is configured with and the signatures are checked by apt's own keyring; apt's
    configuration and the machine's packages stay as they are. `Misconfigured` where this is no Debian, `Broken`
    where the mirror or the package cannot be had.
    """
    home = (folder / suite / package).absolute()
    program = home / "usr" / "bin" / package
    if program.exists():
        return program
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{package}-") as scratch:
        unpacked = Path(scratch) / "root"
        deb = await _download(package, suite, await _mirror(), Path(scratch))
        await run(["dpkg-deb", "--extract", deb, unpacked], seconds=FETCH_SECONDS)
        if not home.exists():  # another process may have been faster
            unpacked.rename(home)
    return program


async def _mirror() -> str:
    """The first Debian mirror of the machine's apt; the security archive has no newer suites."""
    try:
        listed = await run(["apt-get", "indextargets", "--format", "$(SITE)", "Label: Debian"], seconds=60)
    except Error as error:
        raise Misconfigured("this machine's apt names no mirror", got=error.message, expected="a Debian") from error
    sites = listed.text.split()
    if not sites:
        raise Misconfigured("apt has no Debian mirror", expected="a source labelled Debian", hint="apt-get update")
    return sites[0]


async def _download(package: str, suite: str, mirror: str, scratch: Path) -> Path:
    sources = scratch / "sources.list"
    sources.write_text(f"deb {mirror} {suite} main\n")
    (scratch / "status").touch()
    for folder in ("lists", "cache/archives"):  # apt does not make these itself
        (scratch / folder / "partial").mkdir(parents=True)
    private = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::Lists": scratch / "lists",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
    }
    options = [*_QUIET, *(word for key, value in private.items() for word in ("-o", f"{key}={value}"))]
    await run(["apt-get", *options, "update", "--error-on=any"], seconds=FETCH_SECONDS)
    await run(["apt-get", *options, "download", package], seconds=FETCH_SECONDS, cwd=scratch)
    return next(each for each in scratch.iterdir() if each.suffix == ".deb")  # noqa: ASYNC240 - six local entries
