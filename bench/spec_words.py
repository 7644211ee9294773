"""The words that drawn specs are made of: what the sections of each kind of package say, and filling."""

from __future__ import annotations

import random
from collections.abc import Mapping

MAINTAINERS = ("Ada Synth <ada@synthetic.example>", "Servicing Account <servicing@synthetic.example>",
               "Grace Stub <grace@synthetic.example>", "Alan Mock <alan@synthetic.example>")  # fmt: skip
WORDS = (
    "buffer", "client", "server", "module", "handle", "parser", "stream", "socket", "thread", "option",
    "config", "default", "library", "runtime", "upstream", "install", "target", "support", "feature",
    "version", "release", "compat", "static", "shared", "header", "symbol", "legacy", "system", "service",
    "daemon", "network", "protocol", "encoder", "decoder", "archive", "image", "kernel", "driver", "memory",
    "cache", "index", "query", "schema", "table", "record", "plugin", "backend", "frontend", "wrapper",
    "binding", "script", "template", "locale", "timezone", "certificate", "key",
)  # fmt: skip
GROUPS = ("Applications/System", "Development/Libraries", "System Environment/Base")

KINDS = {
    "python": {"python3-devel", "python3-setuptools", "python3-pip", "python3-wheel"},
    "perl": {"perl-devel", "perl-interpreter", "perl-generators", "perl", "perl(ExtUtils::MakeMaker)"},
    "go": {"golang", "golang < 1.25"},
    "cmake": {"cmake"},
    "meson": {"meson"},
}
BUILD = {
    "python": ["%py3_build"],
    "perl": ['perl Makefile.PL INSTALLDIRS=vendor NO_PACKLIST=1 OPTIMIZE="%{optflags}"', "%make_build"],
    "go": ["export GOPATH=%{gopath}", "%gobuild -o bin/%{name} ."],
    "cmake": ["%cmake -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE=Release", "%cmake_build"],
    "meson": ["%meson", "%meson_build"],
    "configure": ["%configure --disable-static --disable-silent-rules", "%make_build"],
}
INSTALL = {
    "python": ["%py3_install"],
    "perl": ["make pure_install DESTDIR=%{buildroot}", "%{_fixperms} %{buildroot}/*"],
    "go": ["install -D -m 0755 bin/%{name} %{buildroot}%{_bindir}/%{name}"],
    "cmake": ["%cmake_install"],
    "meson": ["%meson_install"],
    "configure": ["%make_install", "find %{buildroot} -type f -name '*.la' -delete -print"],
}
CHECK = {
    "python": ["%{python3} -m pytest -v"],
    "perl": ["make test"],
    "go": ["go test ./..."],
    "cmake": ["%ctest"],
    "meson": ["%meson_test"],
    "configure": ["make %{?_smp_mflags} check || make test"],
}
# read by a shell escape each, as in real trees: most of the time that rpm needs for a spec
PLACES = {
    "python": ("%{python3_sitelib}/*",),
    "perl": ("%{perl_vendorlib}/*", "%{_mandir}/man3/*"),
}
FILES: Mapping[str, tuple[str, ...]] = {
    "devel": ("%{_includedir}/*", "%{_libdir}/*.so", "%{_libdir}/pkgconfig/*.pc"),
    "static": ("%{_libdir}/*.a",),
    "libs": ("%{_libdir}/*.so.*",),
    "doc": ("%doc README* NEWS* AUTHORS", "%{_mandir}/man3/*"),
    "docs": ("%doc README* NEWS* AUTHORS", "%{_mandir}/man3/*"),
    "lang": ("%{_datadir}/locale/*",),
}


def patch_text(key: str) -> str:
    """A patch of a real one's size."""
    draw = random.Random(f"patch {key}")
    lines = [f"From: {draw.choice(MAINTAINERS)}", f"Subject: {sentence(draw)}", ""]
    for _ in range(1 + int(draw.expovariate(0.5))):
        file, line = f"src/{draw.choice(WORDS)}_{draw.choice(WORDS)}.c", draw.randrange(10, 4000)
        lines += [f"--- a/{file}", f"+++ b/{file}", f"@@ -{line},12 +{line},14 @@ {draw.choice(WORDS)}(void)"]
        lines += [f"{draw.choice('   +-')}\t{_statement(draw)}" for _ in range(14)]
    return "\n".join(lines) + "\n"


def sentence(draw: random.Random, words: int = 7) -> str:
    """Three words or more, as a summary or a line of a changelog."""
    return " ".join(draw.choices(WORDS, k=draw.randrange(3, words + 1))).capitalize()


def _statement(draw: random.Random) -> str:
    one, two = draw.choice(WORDS), draw.choice(WORDS)
    return draw.choice(
        (f"if ({one}->{two} > 0x{draw.randrange(4096):x})", f"return {one}_{two}(ctx, {one});", f"{one} = {two};")
    )


def shell_line(draw: random.Random) -> str:
    """A line as %install sections have them."""
    one, two = draw.choice(WORDS), draw.choice(WORDS)
    return draw.choice(
        (
            f"install -D -m 0644 {one}/{two}.conf %{{buildroot}}%{{_sysconfdir}}/%{{name}}/{two}.conf",
            f"install -d %{{buildroot}}%{{_datadir}}/%{{name}}/{one}",
            f"sed -i 's|@{one.upper()}@|%{{_prefix}}|g' {one}/{two}.in",
            f"rm -rf %{{buildroot}}%{{_docdir}}/{one}",
            f"mkdir -p {one}/{two} && cp -a {one}.{two} {one}/{two}/",
            f"ln -sf {one}.so.%{{version}} %{{buildroot}}%{{_libdir}}/lib{one}.so",
            f"export {one.upper()}={two} # {sentence(draw)}",
        )
    )
