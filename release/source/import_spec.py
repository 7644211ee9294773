"""The spec that repacks Debian's binary packages of one source package: text in, no build, every file listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from release.source.debian import Control, Kind, PackedFile

# The package of ours that brings the root's symlinks, /etc/passwd and the rest of what Debian's scripts would make.
FILESYSTEM = "stage0-filesystem"
# What Debian's postinst scripts would make with update-alternatives, as files of the package itself.
_ALTERNATIVES: Mapping[str, Mapping[str, str]] = {
    "debianutils": {"usr/bin/which": "which.debianutils"},
    "g++": {"usr/bin/c++": "g++"},
    "gawk": {"usr/bin/awk": "gawk"},
    "gcc": {"usr/bin/cc": "gcc"},
}
_VERSIONED = re.compile(r"(?P<link>usr/bin/(aclocal|automake))-[\d.]+\Z")
_DOCUMENTATION = re.compile(r"usr/share/(doc|info|man)/")
_TRANSLATION = re.compile(r"usr/share/(?:locale|man)/(?P<language>[a-z]{2,3}(_[A-Z]{2})?)[./@]")
# As Fedora's glibc does: whoever installs a library, ldconfig runs once at the end, and specs need no script for it.
# Its auxiliary cache holds inode numbers: a later run can do without it, a reproducible image must.
_LDCONFIG = """
%transfiletrigger{event} -n libc-bin -P 2000000 -p <lua> -- /usr/lib /usr/lib64
rpm.execute("/usr/sbin/ldconfig")
os.remove("/var/cache/ldconfig/aux-cache")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One unpacked binary package: its control fields, its paths, and the capabilities found in its files."""

    control: Control
    files: tuple[PackedFile, ...]
    provides: tuple[str, ...] = ()


def alternatives(package: str, paths: Iterable[str]) -> dict[str, str]:
    """The links that a package gets beside its own `paths`: path to target."""
    versioned = (_VERSIONED.match(path) for path in paths)
    found = {match["link"]: match[0].rpartition("/")[2] for match in versioned if match}
    return {**found, **_ALTERNATIVES.get(package, {})}


def file_list(imported: Imported) -> str:
    """The `%files -f` text: owner, mode and kind of every path; documentation, translations and configuration
    are marked, so that an image may leave them out; the copyright file is a licence and always stays."""
    return "".join(f"{_file_line(each)}\n" for each in imported.files)


def spec_text(source: str, packages: Sequence[Imported], *, lists: str) -> str:
    """One spec for the packages of a source that share an arch; `<lists>/<package>.files` hold their file lists.

    The package named like its source is the main one, so that each RPM names its source (SOURCERPM).
    """
    mains = [each for each in packages if each.control.name == source]
    others = [each for each in packages if each.control.name != source]
    head = [_package(f"Name: {source}", each) for each in mains] or [_sourceless(source, others[0])]
    body = [_package(f"%package -n {each.control.name}", each) for each in others]
    files = [_files_section(each, lists) for each in [*mains, *others]]
    return "\n".join([*head, *body, *files])


def _package(first_line: str, imported: Imported) -> str:
    control = imported.control
    tags = [
        first_line,
        f"Version: {control.version}",
        f"Release: {control.release or 0}",
        *([f"Epoch: {control.epoch}"] if control.epoch else []),
        f"Summary: {_escaped(control.summary)}",
        "Vendor: Debian",
        f"License: see /usr/share/doc/{control.name}/copyright",
        *([f"URL: {_escaped(control.url)}"] if control.url else []),
        *(["BuildArch: noarch"] if control.arch == "noarch" else []),
        "AutoReqProv: no",
        f"Requires(pre): {FILESYSTEM}",
        *(f"Requires: {each}" for each in control.requires),
        *(f"Provides: {each}" for each in (*control.provides, *imported.provides)),
        f"%description -n {control.name}",
        f"Debian's {control.name}, imported as it is: stage 0 of a distribution, not built from source by it.",
    ]
    return "\n".join(tags) + "\n"


def _sourceless(source: str, like: Imported) -> str:
    """A main package for a source that has none of its name; without %files it is never written."""
    version = like.control.version
    tags = [f"Name: {source}", f"Version: {version}", f"Release: {like.control.release or 0}"]
    tags += ["BuildArch: noarch"] if like.control.arch == "noarch" else []
    return "\n".join([*tags, f"Summary: {source}", "License: none", "%description", ""])


def _files_section(imported: Imported, lists: str) -> str:
    name = imported.control.name
    triggers = [_LDCONFIG.replace("{event}", event) for event in ("in", "postun")] if name == "libc-bin" else []
    return "\n".join([*triggers, f"%files -n {name} -f {lists}/{name}.files", ""])


def _file_line(file: PackedFile) -> str:
    attributes = f"%attr({file.mode:04o}, {file.owner}, {file.group})"
    mode = f"%attr(-, {file.owner}, {file.group})" if file.kind is Kind.SYMLINK else attributes
    marks = " ".join([*_marks(file), mode])
    return f'{marks} "/{_escaped_path(file.path)}"'


def _marks(file: PackedFile) -> list[str]:
    if file.kind is Kind.FOLDER:
        return ["%dir"]
    if file.path.startswith("etc/"):
        return ["%config(noreplace)"]
    if file.path.endswith("/copyright"):
        return ["%license"]
    translation = _TRANSLATION.match(file.path)
    language = [f"%lang({translation['language']})"] if translation else []
    return language + (["%doc"] if _DOCUMENTATION.match(file.path) else [])


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _escaped_path(path: str) -> str:
    """A path that rpm's %files globs match as it stands: each special character alone in brackets, as in glob(7)."""
    return _escaped(re.sub(r"([*?[{])", r"[\1]", path))
