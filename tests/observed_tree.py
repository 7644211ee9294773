"""Sea Linux: sixteen small packages of the kinds that builds use, made of parts that can be changed one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from release.source.distro import parse_distro
from tests import tiny_tree
from tests.conftest import ROOT

# The compiler's set, which other tests import anyway.
SEEDS = parse_distro((ROOT / "manifests" / "distro.yaml").read_text()).toolchain.seeds

_CHANGELOG = """
%changelog
* Mon Nov 16 2026 Tiny Linux maintainers <maintainers@tiny.example> - 1.0-1
- A package
"""


@dataclass(frozen=True, kw_only=True)
class Sea:
    """What the packages are made of. Each field is one thing that a commit may change."""

    body: str = "return hour % 12 * factor;"
    factor: int = 2
    symbols: str = ""
    version: str = "TIDE_1.0"
    soname: str = "libtide.so.1"
    high: int = 12
    static: int = 0
    cflags: str = ""
    manual: str = "How to read the tide."
    knot: str = "bowline"
    course: str = "north"
    lights: str = "white"
    loom: str = "s/^/twisted /"
    loom_comment: str = "twists"
    shoal: str = "rock"
    tree_macro: str = "blue"
    rope_comment: str = "rope"
    reef_requires: str = ""
    readme: str = "The deep."

    def files(self) -> dict[str, str]:
        """Every file by path, but the toolchain's lock."""
        return {**_distribution(self), **_library(self), **_programs(), **_texts(self), **_tools(self)}

    def changed(self, **words: object) -> tuple[Sea, dict[str, str]]:
        """Another sea, and the files in which it differs."""
        other = Sea(**{**{each.name: getattr(self, each.name) for each in fields(self)}, **words})  # type: ignore[arg-type]
        before = self.files()
        return other, {path: text for path, text in other.files().items() if before[path] != text}


def spec(name: str, body: str, *, tags: str = "", noarch: bool = True, release: int = 1) -> str:
    """A spec; `body` begins with what stands after the description and ends with the files."""
    return f"""\
Name: {name}
Version: 1.0
Release: {release}%{{?dist}}
Summary: The package {name}
License: Apache-2.0
{"BuildArch: noarch" if noarch else ""}
{tags}

%description
The package {name} of a distribution at sea.

{body}
{_CHANGELOG}"""


def text_spec(name: str, command: str, *, tags: str = "", release: int = 1) -> str:
    """The spec of a package that holds what `command` prints when it is built."""
    body = f"""\
%build
{{
{command}
}} > {name}.txt

%install
install -D -m 0644 {name}.txt %{{buildroot}}/usr/share/{name}/{name}.txt

%files
/usr/share/{name}
"""
    return spec(name, body, tags=tags, release=release)


def _distribution(sea: Sea) -> dict[str, str]:
    distro = tiny_tree.DISTRO.partition("images:\n")[0]
    return {
        "README.md": "# Sea Linux\n",
        "distro.yaml": f"{distro}images: []\ntoolchain:\n  lock: toolchain.lock.json\n  seeds: [{', '.join(SEEDS)}]\n",
        "macros/tiny.macros": f"{tiny_tree.MACROS}%_libdir /usr/lib\n%_prefix /usr\n%tree_colour {sea.tree_macro}\n",
        **{f"policies/{name}.yaml": tiny_tree.policy(name, above, 0)
           for name, above in (("edge", None), ("beta", "edge"), ("stable", "beta"))},
    }  # fmt: skip


def _library(sea: Sea) -> dict[str, str]:
    """A shared library with versions, what builds with it needs, and the same code as a static library."""
    tags = (
        "Source0: tide.c\nSource1: tide.h\nSource2: tide.map\nSource3: tide.pc\nSource4: MANUAL\nBuildRequires: gcc\n"
    )
    body = f"""\
%package devel
Summary: Header of tide
Requires: tide = %{{version}}-%{{release}}
%description devel
Header of tide.

%package static
Summary: Static library of tide
Requires: tide-devel = %{{version}}-%{{release}}
%description static
Static library of tide.

%build
cp %{{SOURCE0}} %{{SOURCE1}} %{{SOURCE2}} %{{SOURCE4}} .
gcc -O2 -fPIC -shared -Wl,-soname,{sea.soname} -Wl,--version-script=tide.map tide.c -o {sea.soname}
gcc -O2 -c -DTIDE_STATIC={sea.static} tide.c -o tide.o
ar rcs libtide.a tide.o

%install
install -D -m 0755 {sea.soname} %{{buildroot}}/usr/lib/{sea.soname}
ln -s {sea.soname} %{{buildroot}}/usr/lib/libtide.so
install -D -m 0644 libtide.a %{{buildroot}}/usr/lib/libtide.a
install -D -m 0644 tide.h %{{buildroot}}/usr/include/tide.h
install -D -m 0644 %{{SOURCE3}} %{{buildroot}}/usr/lib/pkgconfig/tide.pc

%files
%doc MANUAL
/usr/lib/{sea.soname}

%files devel
/usr/lib/libtide.so
/usr/include/tide.h
/usr/lib/pkgconfig/tide.pc

%files static
/usr/lib/libtide.a
"""
    return {
        "SPECS/tide/tide.spec": spec("tide", body, tags=tags, noarch=False),
        "SPECS/tide/tide.c": f"""\
#include "tide.h"
#ifndef TIDE_STATIC
#define TIDE_STATIC 0
#endif
static int factor = {sea.factor};
int tide_level(int hour) {{ hour += TIDE_STATIC; {sea.body} }}
{sea.symbols}
""",
        "SPECS/tide/tide.h": f"#define TIDE_HIGH {sea.high}\nint tide_level(int hour);\n",
        "SPECS/tide/tide.map": f"{sea.version} {{ global: tide_*; local: *; }};\n",
        "SPECS/tide/tide.pc": f"Name: tide\nDescription: Tides\nVersion: 1.0\nCflags: {sea.cflags}\nLibs: -ltide\n",
        "SPECS/tide/MANUAL": f"{sea.manual}\n",
    }


def _programs() -> dict[str, str]:
    """One linked to the library, one that holds it, one built by running the first."""

    def program(name: str, flags: str, requires: str) -> str:
        body = f"""\
%build
gcc -O2 %{{SOURCE0}} {flags} -o {name}

%install
install -D -m 0755 {name} %{{buildroot}}/usr/bin/{name}

%files
/usr/bin/{name}
"""
        return spec(name, body, tags=f"Source0: {name}.c\nBuildRequires: gcc\n{requires}", noarch=False)

    main = """\
#include <stdio.h>
#include <tide.h>
int main(void) {
#ifdef METRES
    fputs("in metres ", stdout);
#endif
    return printf("%d of %d\\n", tide_level(5), TIDE_HIGH) < 0;
}
"""
    return {
        "SPECS/gauge/gauge.spec": program(
            "gauge", "$(pkg-config --cflags --libs tide)", "BuildRequires: pkgconf\nBuildRequires: pkgconfig(tide)"
        ),
        "SPECS/gauge/gauge.c": main,
        "SPECS/anchor/anchor.spec": program("anchor", "-l:libtide.a", "BuildRequires: tide-static"),
        "SPECS/anchor/anchor.c": main,
        "SPECS/chart/chart.spec": text_spec("chart", "gauge", tags="BuildRequires: gauge"),
    }


def _texts(sea: Sea) -> dict[str, str]:
    """A data file and who prints it; of these, two specs and a stranger in one folder."""
    data = """\
%install
install -D -m 0644 %{SOURCE0} %{buildroot}/usr/share/lights/list

%files
/usr/share/lights
"""
    return {
        "SPECS/deep/lights.spec": spec("lights", data, tags="Source0: list"),
        "SPECS/deep/list": f"{sea.lights}\n",
        "SPECS/deep/whale.spec": text_spec("whale", 'echo "a %{tree_colour} whale"'),
        "SPECS/deep/README": f"{sea.readme}\n",
        "SPECS/almanac/almanac.spec": text_spec("almanac", "cat /usr/share/lights/list", tags="BuildRequires: lights"),
    }


def _tools(sea: Sea) -> dict[str, str]:
    """What builds run or read: macros, a module, a script, a header; who uses it; and who uses the first of these."""

    def one(source: str, path: str, mode: str = "0644") -> str:
        return f"%install\ninstall -D -m {mode} %{{SOURCE0}} %{{buildroot}}{path}\n\n%files\n{path}\n"

    reef = """\
%build
gcc -O2 %{SOURCE0} -o reef

%install
install -D -m 0755 reef %{buildroot}/usr/bin/reef

%files
/usr/bin/reef
"""
    module = "/usr/lib/python3/dist-packages/pilot.py"
    return {
        "SPECS/rigging/rigging.spec": spec(
            "rigging", one("macros", "/usr/lib/rpm/macros.d/macros.rigging"), tags="Source0: macros.rigging"
        ),
        "SPECS/rigging/macros.rigging": f"%rigging_knot {sea.knot} in %{{tree_colour}}\n",
        "SPECS/sail/sail.spec": text_spec("sail", 'echo "a %{?rigging_knot}"', tags="BuildRequires: rigging"),
        "SPECS/pilot/pilot.spec": spec("pilot", one("pilot.py", module), tags="Source0: pilot.py"),
        "SPECS/pilot/pilot.py": f'COURSE = "{sea.course}"\n',
        "SPECS/logbook/logbook.spec": text_spec(
            "logbook", "python3 -c 'import pilot; print(pilot.COURSE)'", tags="BuildRequires: pilot"
        ),
        "SPECS/loom/loom.spec": spec("loom", one("loom", "/usr/bin/loom", "0755"), tags="Source0: loom"),
        "SPECS/loom/loom": f"#!/bin/sh\n# {sea.loom_comment}\nexec sed '{sea.loom}'\n",
        "SPECS/rope/rope.spec": f"# {sea.rope_comment}\n"
        + text_spec("rope", "echo hemp | loom", tags="BuildRequires: loom"),
        "SPECS/harbour/harbour.spec": text_spec("harbour", "cat /usr/share/rope/rope.txt", tags="BuildRequires: rope"),
        "SPECS/shoal/shoal.spec": spec("shoal", one("shoal.h", "/usr/include/shoal.h"), tags="Source0: shoal.h"),
        "SPECS/shoal/shoal.h": f'#define SHOAL "{sea.shoal}"\n',
        "SPECS/reef/reef.spec": spec(
            "reef", reef, tags=f"Source0: reef.c\nBuildRequires: gcc shoal\n{sea.reef_requires}", noarch=False
        ),
        "SPECS/reef/reef.c": "#include <stdio.h>\n#include <shoal.h>\nint main(void) { return puts(SHOAL) < 0; }\n",
    }


def names(files: Mapping[str, str]) -> tuple[str, ...]:
    """The packages of a tree."""
    return tuple(sorted(path.rpartition("/")[2].removesuffix(".spec") for path in files if path.endswith(".spec")))


PACKAGES = names(Sea().files())
