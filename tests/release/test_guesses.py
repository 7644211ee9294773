"""Which package a naming convention points to."""

from __future__ import annotations

import pytest

from release.graph.guesses import likely_names


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("perl(Try::Tiny)", "perl-Try-Tiny"),
        ("perl(Class::XSAccessor::Array)", "perl-Class-XSAccessor"),
        ("perl(strict)", "perl"),
        ("python3dist(ruamel.yaml)", "python3-ruamel-yaml"),
        ("python3.12dist(six)", "python-six"),
        ("python3dist(requests[socks])", "python3-requests"),
        ("python3dist(zope-event)", "python3-zope_event"),
        ("rubygem(json)", "rubygem-json"),
        ("ruby(release)", "ruby"),
        ("pkgconfig(zlib)", "zlib-devel"),
        ("pkgconfig(xcb)", "libxcb-devel"),
        ("pkgconfig(libssh2)", "ssh2-devel"),
        ("pkgconfig(glib-2.0)", "glib-devel"),
        ("cmake(simdjson)", "simdjson-devel"),
        ("font(lato)", "lato-fonts"),
        ("php(language)", "php"),
        ("npm(yarn)", "nodejs-yarn"),
        ("mvn(org.ow2.asm:asm)", "asm"),
        ("tex(ulem.sty)", "texlive-ulem"),
        ("/usr/bin/make", "make"),
    ],
)
def test_knows_how_an_ecosystem_names_its_packages(capability: str, name: str) -> None:
    assert name in likely_names(capability)


def test_the_likeliest_comes_first() -> None:
    assert next(likely_names("perl(Carp)")) == "perl-Carp"
    assert next(likely_names("pkgconfig(x11)")) == "x11-devel"


@pytest.mark.parametrize("capability", ["zlib-devel", "unknown(x)", "libz.so.1()(64bit)", "libz.so.1(ZLIB_1.2)(64bit)"])
def test_a_plain_name_and_an_unknown_kind_give_no_guess(capability: str) -> None:
    assert list(likely_names(capability)) == []
