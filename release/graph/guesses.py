"""What a package is probably called that provides a capability nobody declares: each ecosystem's naming convention.

What rpmbuild generates (`perl(Carp)`, `python3dist(six)`) is known only after a build. Until then an edge to the
package that by its name must be meant is better than none; it is marked as guessed, and gone once the true Provides
are known. Sources: Fedora Packaging Guidelines (Perl, Python, Ruby, Naming), and the names in Azure Linux 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WRAPPED = re.compile(r"(?P<kind>[A-Za-z0-9_.+-]+)\((?P<name>[^()\[\]]+)(\[[^\]]*\])?\)(\(64bit\))?\Z")
_VERSION_AT_THE_END = re.compile(r"-?[0-9][0-9.]*\Z")
# `{0}` is the name inside the parentheses. The last ones are the interpreters, which bring modules of their own.
_CONVENTIONS = {
    "perl": ("perl-{0}", "perl-libs", "perl-interpreter", "perl"),
    "python3dist": ("python3-{0}", "python-{0}", "{0}"),
    "rubygem": ("rubygem-{0}", "ruby"),
    "ruby": ("ruby-{0}", "ruby"),
    "pkgconfig": ("{0}-devel", "lib{0}-devel", "{0}-dev", "{0}"),
    "cmake": ("{0}-devel", "lib{0}-devel", "{0}"),
    "font": ("{0}-fonts", "{0}"),
    "php": ("php-{0}", "php-common", "php"),
    "npm": ("nodejs-{0}", "{0}"),
    "golang": ("golang-{0}-devel", "golang-{0}"),
    "crate": ("rust-{0}-devel", "rust-{0}"),
    "ocaml": ("ocaml-{0}-devel", "ocaml-{0}", "ocaml"),
    "ghc": ("ghc-{0}-devel", "ghc-{0}"),
    "R": ("R-{0}", "R-core"),
    "lua": ("lua-{0}", "lua"),
    "mvn": ("{0}",),
    "osgi": ("{0}",),
    "tex": ("texlive-{0}", "texlive-base", "texlive"),
}  # fmt: skip


def likely_names(capability: str) -> Iterator[str]:
    """Names of binary packages that may provide `capability` (a name without a version), the likeliest first.

    Capitals do not matter. Empty for a plain name: whoever wants `foo` means the package `foo`.
    """
    if capability.startswith("/"):
        yield capability.rpartition("/")[2]
        return
    found = _WRAPPED.match(capability)
    if found is None:
        return
    kind = "python3dist" if re.match(r"python3?(\.[0-9]+)?dist\Z", found["kind"]) else found["kind"]
    for convention in _CONVENTIONS.get(kind, ()):
        for spelling in _spellings(kind, found["name"]):
            yield convention.format(spelling)


def _spellings(kind: str, name: str) -> Iterator[str]:
    """The ways in which a package name may spell the name of a module; the same one may come twice."""
    if kind == "mvn":
        name = name.split(":")[1] if ":" in name else name
    plain = name.replace("::", "-").replace("/", "-").removesuffix(".sty")
    yield plain
    if kind == "perl" and plain.count("-"):  # a distribution is mostly called like the first of its modules
        yield plain.rpartition("-")[0]
    yield plain.replace(".", "-")
    yield plain.replace("_", "-")
    yield plain.replace("-", "_")
    if kind in ("pkgconfig", "cmake"):
        yield plain.removeprefix("lib")
        yield _VERSION_AT_THE_END.sub("", plain)
        yield re.sub(r"[-.].*", "", plain)
