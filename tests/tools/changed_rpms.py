"""Real RPMs of one small source package, built by rpmbuild and gcc: a library, its headers, a tool, some data.

Every part is a field, so that a test can change exactly one thing.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

LIBRARY = """
extern int keel_flag;
int keel_flag = 1;
const char *keel_names[4] = {"a", "b", "c", "d"};
int keel_lay(int length) { return length + 1; }
int keel_lift(int length) { return length - 1; }
int keel_weld(void) { return 3; }
"""
VERSIONS = "KEEL_1.0 { global: keel_lay; keel_lift; keel_flag; keel_names; local: *; };"
TOOL = """
extern int keel_lay(int);
void _start(void) { keel_lay(1); for (;;) ; }
"""
MODULE = "int probe(void) { return 7; }\n"
STATIC = "int keel_static(void) { return 1; }\n"
SPEC = """
Name: keel
Version: {version}
Release: {release}
Summary: {summary}
License: {license}
{more}
%description
A keel.

%package devel
Summary: Headers of keel
Requires: keel%{{?_isa}} = %{{version}}-%{{release}}
%description devel
Headers of keel.

%install
mkdir -p %{{buildroot}}
cp -a %{{_sourcedir}}/root/. %{{buildroot}}/
{install}
{scripts}
%files
/usr/lib64/libkeel.so.1.2
/usr/lib64/libkeel.so.1
/usr/lib64/keel
/usr/bin/*
/usr/lib/python3.11
/usr/share/keel
/usr/share/locale
%config(noreplace) /etc/keel.conf
/usr/share/doc/keel
/usr/share/man/man1/*
/usr/lib/.build-id
%ghost /var/lib/keel.state
{files}
%files devel
/usr/lib64/libkeel.so
/usr/lib64/libkeel.a
/usr/lib64/pkgconfig/keel.pc
/usr/include/keel.h
/usr/lib/rpm/macros.d/macros.keel
/usr/share/cmake/keel.cmake

%changelog
* Thu Jan 01 2026 Shipwright <shipwright@example.org> - 1.2-1
- {changelog}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keel:
    """What the package is made of."""

    version: str = "1.2"
    release: str = "2.skiff1"
    summary: str = "A keel"
    license: str = "Apache-2.0"
    more: str = ""
    install: str = ""
    scripts: str = "%post -p /sbin/ldconfig"
    files: str = ""
    changelog: str = "Launch."
    library: str = LIBRARY
    versions: str = VERSIONS
    soname: str = "libkeel.so.1"
    link: str = ""
    note: str = '{"release":"2.skiff1"}'
    debug_file: str = "keel-1.2-2.skiff1.debug"
    tool: str = TOOL
    module: str = MODULE
    static: str = STATIC
    header: str = "#define KEEL_MAX 10\nint keel_lay(int length);\n"
    pc: str = "Name: keel\nDescription: keel\nVersion: 1.2\nLibs: -lkeel\n"
    macros: str = "%keel_prefix /usr/keel\n"
    cmake: str = "set(KEEL 1)\n"
    script: str = "#!/bin/sh\necho keel\n"
    python: str = "DEPTH = 1\n"
    bytecode_seconds: int = 1
    data: str = "planks 12\n"
    configuration: str = "depth = 1\n"
    doc: str = "How to lay a keel.\n"
    man: str = ".TH KEEL 1\n"
    translation: str = "kiel"
    build_id: str = "0x" + "ab" * 20
    seconds: int = 1767225600
    payload: str = "w3.zstdio"
    ar_time: int = 0
    mode: int = 0o644
    compressed: bytes = b""


def build(keel: Keel, folder: Path) -> dict[str, Path]:
    """Its RPMs by package name (`keel`, `keel-devel`), below `folder`, which must be empty."""
    _lay_out(keel, folder / "SOURCES" / "root")
    values = {each.name: getattr(keel, each.name) for each in fields(keel)}
    spec = folder / "keel.spec"
    spec.write_text(SPEC.format(**values))
    defines = {
        "_topdir": folder,
        "_tmppath": folder / "tmp",
        "_binary_payload": keel.payload,
        "_build_id_links": "none",
        "use_source_date_epoch_as_buildtime": 1,
        "__brp_strip": "%{nil}",
        "__brp_strip_static_archive": "%{nil}",
        "__brp_compress": "%{nil}",
        "__brp_check_rpaths": "%{nil}",
        "__brp_elfperms": "%{nil}",
        "__brp_python_bytecompile": "%{nil}",
        "debug_package": "%{nil}",
    }
    words = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    _run(["rpmbuild", "-bb", *words, str(spec)], folder, seconds=keel.seconds)
    built = sorted((folder / "RPMS").rglob("*.rpm"))
    return {"keel-devel" if path.name.startswith("keel-devel") else "keel": path for path in built}


def _lay_out(keel: Keel, root: Path) -> None:
    texts = {
        "usr/include/keel.h": keel.header,
        "usr/lib64/pkgconfig/keel.pc": keel.pc,
        "usr/lib/rpm/macros.d/macros.keel": keel.macros,
        "usr/share/cmake/keel.cmake": keel.cmake,
        "usr/bin/keel-sh": keel.script,
        "usr/lib/python3.11/site-packages/keel.py": keel.python,
        "usr/share/keel/planks": keel.data,
        "etc/keel.conf": keel.configuration,
        "usr/share/doc/keel/README": keel.doc,
        "usr/share/man/man1/keel.1": keel.man,
        "usr/share/locale/de/LC_MESSAGES/keel.mo": keel.translation,
        "var/lib/keel.state": "state",
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "usr/bin/keel-sh").chmod(0o755)
    (root / "usr/share/keel/planks").chmod(keel.mode)
    if keel.compressed:
        (root / "usr/share/keel/more.gz").write_bytes(keel.compressed)
    _bytecode(root / "usr/lib/python3.11/site-packages/__pycache__/keel.cpython-311.pyc", keel.bytecode_seconds)
    links = root / "usr/lib/.build-id" / keel.build_id[2:4]
    links.mkdir(parents=True)
    (links / keel.build_id[4:]).symlink_to("../../../../usr/lib64/libkeel.so.1.2")
    _compile(keel, root)


def _bytecode(path: Path, seconds: int) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xa7\x0d\x0d\x0a" + bytes(4) + seconds.to_bytes(4, "little") + bytes(4) + b"code")


def _compile(keel: Keel, root: Path) -> None:
    work = root.parent / "work"
    for folder in (work, root / "usr/lib64/keel"):
        folder.mkdir(parents=True)
    for name, text in (
        ("lib.c", keel.library),
        ("tool.c", keel.tool),
        ("module.c", keel.module),
        ("st.c", keel.static),
    ):
        (work / name).write_text(text)
    (work / "versions").write_text(keel.versions)
    library = root / "usr/lib64/libkeel.so.1.2"
    ids = [f"-Wl,--build-id={keel.build_id}", "-Xlinker", f"--package-metadata={keel.note}"]
    shared = ["gcc", "-O1", "-fPIC", "-shared", "-nostdlib", "-s", *ids]
    versions = ["-Wl,--version-script=versions"] if keel.versions else []
    _run([*shared, *versions, f"-Wl,-soname,{keel.soname}", *keel.link.split(), "-o", str(library), "lib.c"], work)
    _run([*shared, "-o", str(root / "usr/lib64/keel/probe.so"), "module.c"], work)
    tool = ["gcc", "-O1", "-fPIE", "-pie", "-nostdlib", "-s", *ids, "-o", str(root / "usr/bin/keel"), "tool.c"]
    _run([*tool, str(library)], work)
    (work / keel.debug_file).write_text(keel.debug_file)
    for path in (library, root / "usr/lib64/keel/probe.so", root / "usr/bin/keel"):
        _run(["objcopy", f"--add-gnu-debuglink={keel.debug_file}", str(path)], work)
    (root / "usr/lib64/libkeel.so").symlink_to("libkeel.so.1")
    (root / "usr/lib64/libkeel.so.1").symlink_to("libkeel.so.1.2")
    _run(["gcc", "-O1", "-c", "st.c"], work)
    _archive(root / "usr/lib64/libkeel.a", (work / "st.o").read_bytes(), keel.ar_time)
    shutil.rmtree(work)


def _archive(path: Path, member: bytes, seconds: int) -> None:
    header = f"{'st.o/':16}{seconds:<12}{0:<6}{0:<6}{'100644':<8}{len(member):<10}`\n"
    path.write_bytes(b"!<arch>\n" + header.encode() + member + b"\n" * (len(member) % 2))


def _run(argv: list[str], folder: Path, *, seconds: int = 1767225600) -> None:
    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": str(seconds), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
