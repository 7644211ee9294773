"""What each kind of file of an RPM counts as: one table, each line with its reason; docs/interfaces.md mirrors it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FileKind(StrEnum):
    """The kinds of files that are told apart."""

    GHOST = "ghost"
    BUILD_ID = "build-id"
    DEBUG = "debug"
    DOCUMENTATION = "documentation"
    TRANSLATION = "translation"
    CACHE = "cache"
    BYTECODE = "bytecode"
    DIRECTORY = "directory"
    LINK = "link"
    DEVICE = "device"
    SHARED_LIBRARY = "shared-library"
    TOOL_LIBRARY = "tool-library"
    MODULE = "module"
    EXECUTABLE = "executable"
    STATIC = "static"
    HEADER = "header"
    BUILD_FILE = "build-file"
    RPM_MACROS = "rpm-macros"
    SCRIPT_MODULE = "script-module"
    BINDING = "binding"
    ARCHIVE = "archive"
    CONFIGURATION = "configuration"
    DATA = "data"


class Counts(StrEnum):
    """What of a file is part of the interface digest; path, mode, owner and group count with it, except for NOTHING."""

    NOTHING = "nothing"
    EXPORTS = "exports"
    CONTENT = "content"
    TARGET = "target"
    EXISTENCE = "existence"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """One line of the table. `paths` are shell patterns in which a star also matches slashes.

    `product` says whether the content is part of the product digest too; a BUILD_ID's path is not even that.
    """

    kind: FileKind
    counts: Counts
    reason: str
    paths: tuple[str, ...] = ()
    product: bool = True


RULES: tuple[KindRule, ...] = (
    KindRule(
        kind=FileKind.GHOST,
        counts=Counts.NOTHING,
        reason="%ghost files are not in the package; they appear on a running system",
    ),
    KindRule(
        kind=FileKind.BUILD_ID,
        counts=Counts.NOTHING,
        paths=("/usr/lib/.build-id", "/usr/lib/.build-id/*", "/usr/lib/debug/.build-id", "/usr/lib/debug/.build-id/*"),
        reason="links named after build ids, which change with every release number; nothing in a build follows them",
        product=False,
    ),
    KindRule(
        kind=FileKind.DEBUG,
        counts=Counts.NOTHING,
        paths=("/usr/lib/debug", "/usr/lib/debug/*", "/usr/src/debug", "/usr/src/debug/*"),
        reason="read by debuggers only; belongs, by its build id, to the very binaries that it was made with, and "
        "carries the release number in paths inside it",
        product=False,
    ),
    KindRule(
        kind=FileKind.DOCUMENTATION,
        counts=Counts.NOTHING,
        paths=(
            "/usr/share/doc",
            "/usr/share/doc/*",
            "/usr/share/man",
            "/usr/share/man/*",
            "/usr/share/info",
            "/usr/share/info/*",
            "/usr/share/licenses",
            "/usr/share/licenses/*",
            "/usr/share/help/*",
            "/usr/share/gtk-doc/*",
            "/usr/share/javadoc/*",
        ),
        reason="for people; a build root may leave it out (--nodocs) and is none the worse. Also what %doc, %license "
        "or %readme marks elsewhere, unless a line below says that builds read it",
    ),
    KindRule(
        kind=FileKind.TRANSLATION,
        counts=Counts.NOTHING,
        paths=("/usr/share/locale", "/usr/share/locale/*", "*/LC_MESSAGES", "*/LC_MESSAGES/*", "*.qm"),
        reason="builds run in the C.UTF-8 locale and see no translated message. Also what %lang marks elsewhere, "
        "unless a line below says that builds read it",
    ),
    KindRule(
        kind=FileKind.CACHE,
        counts=Counts.NOTHING,
        paths=("/etc/ld.so.cache", "/var/cache/*", "/var/log/*"),
        reason="made anew on every system, or written by it",
    ),
    KindRule(
        kind=FileKind.BYTECODE,
        counts=Counts.NOTHING,
        reason="a .pyc whose .py is in the same package: made from it, holds its time, and differs between equal "
        "builds (reference counts are written into it). A .pyc alone counts as a script module",
        product=False,
    ),
    KindRule(
        kind=FileKind.DIRECTORY,
        counts=Counts.EXISTENCE,
        reason="a build can ask whether it is there, and may it write",
    ),
    KindRule(kind=FileKind.LINK, counts=Counts.TARGET, reason="a build follows it: libfoo.so -> libfoo.so.1.2"),
    KindRule(kind=FileKind.DEVICE, counts=Counts.EXISTENCE, reason="devices, pipes and sockets: type and number"),
    KindRule(
        kind=FileKind.TOOL_LIBRARY,
        counts=Counts.CONTENT,
        paths=(
            "*/libpython3*.so*",
            "*/libperl.so*",
            "*/libruby*.so*",
            "*/libguile-*.so*",
            "*/liblua*.so*",
            "*/libtcl*.so*",
            "*/libnode.so*",
            "*/libR.so",
            "*/libLLVM*.so*",
            "*/libLTO.so*",
            "*/libclang*.so*",
            "*/liblld*.so*",
            "*/libgccjit.so*",
            "*/librustc_driver-*.so",
            "*/libbfd-*.so",
            "*/libopcodes-*.so",
            "*/libctf*.so*",
            "*/libgprofng*.so*",
        ),
        reason="the body of a compiler, linker or interpreter: what it does decides what a build makes, so it counts "
        "like the executable that it is a part of",
    ),
    KindRule(
        kind=FileKind.SHARED_LIBRARY,
        counts=Counts.EXPORTS,
        paths=("/lib/*", "/lib64/*", "/usr/lib/*", "/usr/lib64/*", "/usr/local/lib/*", "/usr/local/lib64/*"),
        reason="linking reads the soname, the exported symbols with version, binding, type and (of data, for copy "
        "relocations) size, the version definitions, which libraries it needs itself, and what a compiler left in it "
        "for others (Rust's metadata, Go's export data, code to inline); it does not read code",
    ),
    KindRule(
        kind=FileKind.MODULE,
        counts=Counts.CONTENT,
        reason="plugins and extension modules (without a versioned soname, outside the linker's folders): loaded by "
        "name into a tool or an interpreter that the build runs, so that their code is the tool's behaviour",
    ),
    KindRule(
        kind=FileKind.EXECUTABLE,
        counts=Counts.CONTENT,
        reason="a build may run it: programs, and every file with an x bit",
    ),
    KindRule(
        kind=FileKind.STATIC,
        counts=Counts.CONTENT,
        paths=("*.a", "*.o", "*.lo", "*.la", "*.ko", "*.rlib", "*.rmeta", "*.cma", "*.cmxa", "*.cmi", "*.hi"),
        reason="code that becomes part of what is built: static linking follows content (and so do Go, Rust, Haskell)",
    ),
    KindRule(
        kind=FileKind.HEADER,
        counts=Counts.CONTENT,
        paths=("/usr/include/*", "*.h", "*.hh", "*.hpp", "*.hxx", "*.inc", "*.mod"),
        reason="becomes part of what is compiled, in any line",
    ),
    KindRule(
        kind=FileKind.BUILD_FILE,
        counts=Counts.CONTENT,
        paths=(
            "*.pc",
            "*.cmake",
            "*.m4",
            "*.mk",
            "*.am",
            "*.prf",
            "*.pri",
            "/usr/share/aclocal/*",
            "/usr/share/cmake*",
        ),
        reason="tells a build which flags to use and where things are",
    ),
    KindRule(
        kind=FileKind.RPM_MACROS,
        counts=Counts.CONTENT,
        paths=("/usr/lib/rpm/*", "/etc/rpm/*"),
        reason="macros, dependency generators and post-install scripts of rpmbuild: every build runs them",
    ),
    KindRule(
        kind=FileKind.SCRIPT_MODULE,
        counts=Counts.CONTENT,
        paths=("*.py", "*.pyc", "*.pyi", "*.pth", "*.pm", "*.pl", "*.rb", "*.lua", "*.tcl", "*.js", "*.el", "*.scm"),
        reason="interpreted code that a build imports or runs (a .pyc without the time in its header)",
    ),
    KindRule(
        kind=FileKind.BINDING,
        counts=Counts.CONTENT,
        paths=("*.gir", "*.typelib", "*.vapi", "*.deps", "*.its", "*.wsdl", "*.xsd", "*.dtd", "*.rnc", "*.proto"),
        reason="descriptions from which a build generates or checks code and documents",
    ),
    KindRule(
        kind=FileKind.ARCHIVE,
        counts=Counts.CONTENT,
        paths=("*.jar", "*.war", "*.whl", "*.egg", "*.zip"),
        reason="the names and contents of its members, without their times",
    ),
    KindRule(
        kind=FileKind.CONFIGURATION,
        counts=Counts.CONTENT,
        paths=("/etc/*",),
        reason="changes what tools do during a build",
    ),
    KindRule(
        kind=FileKind.DATA,
        counts=Counts.CONTENT,
        reason="everything else, known or not: the safe side",
    ),
)

_RULE = {rule.kind: rule for rule in RULES}


def rule_of(kind: FileKind) -> KindRule:
    """The line of the table for a kind."""
    return _RULE[kind]
