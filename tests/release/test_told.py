"""A certificate in words: one screen, with the way of the change and the digests that were compared."""

from __future__ import annotations

import dataclasses

from release.digests import digest_of
from release.forecast.told import told
from release.source.certificates import Certificate, Certificates, Outcome
from tests.release.test_certificates import BUILD
from tests.release.test_forecast_words import SMALL
from tests.release.test_keys import A, B, recipe


def certificate(outcome: Outcome = Outcome.UNCHANGED, **facts: tuple[str, ...]) -> Certificate:
    return Certificate(outcome=outcome, evr="1-1", build=BUILD, recipe=recipe(), **facts)


BEFORE = Certificates(
    packages={
        "base": certificate(),
        "lib": certificate(consumed=("base-devel",)),
        "tool": certificate(consumed=("lib-devel", "make")),
        "other": certificate(consumed=("lib",)),
    },
    interfaces={"base-devel": A, "lib-devel": A, "lib": A, "make": A},
)
NOW = Certificates(
    packages={
        "base": certificate(
            Outcome.BUILT, reasons=("its spec or a file beside it changed",), differs=("/b.h changed",)
        ),
        "lib": certificate(
            Outcome.BUILT,
            reasons=("its build observes a change of base-devel",),
            via=("base",),
            consumed=("base-devel",),
        ),
        "tool": certificate(
            Outcome.KEPT,
            reasons=("its build observes a change of lib-devel",),
            via=("lib",),
            consumed=("lib-devel", "make"),
        ),
        "other": certificate(Outcome.SKIPPED, consumed=("lib",)),
    },
    interfaces={"base-devel": B, "lib-devel": B, "lib": A, "make": A},
)


def words(package: str) -> str:
    return "\n".join(told(package, NOW, release="R-20261126.2", before=BEFORE, forecast=SMALL))


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def test_says_what_became_of_a_package_and_on_which_way_the_change_came() -> None:
    assert words("tool").splitlines() == [
        "tool 1-1 was built again and came out the same: the published RPMs stay",
        "  (R-20261126.2).",
        "",
        "  its build observes a change of lib-devel",
        "",
        "The change came this way",
        "  base: its spec or a file beside it changed",
        "  lib: its build observes a change of base-devel",
        "  tool: its build observes a change of lib-devel",
        "",
        "Compared",
        "  its spec, files, macros and toolchain are as before",
        f"  lib-devel                 {short(A)} -> {short(B)}",
        f"  make                      {short(A)} as before",
        "",
        "Forecast and fact of this release: 1 certain: 1 built, 0 kept. 2 possible: 1",
        "  built, 1 kept, 0 skipped.",
    ]


def test_says_why_a_package_was_left_alone() -> None:
    shown = words("other")
    assert "was not built, although packages below it were: its build observed no" in shown
    assert f"  lib                       {short(A)} as before" in shown
    assert "The change came this way" not in shown


def test_says_what_others_can_observe() -> None:
    assert "What others can observe of its change\n  /b.h changed" in words("base")


def test_a_first_release_compares_with_nothing() -> None:
    shown = "\n".join(told("lib", NOW, release="R-1", before=None))
    assert f"base-devel                nothing -> {short(B)}" in shown


def test_a_way_in_a_circle_ends() -> None:
    circle = Certificates(
        packages={"a": certificate(Outcome.BUILT, via=("b",)), "b": certificate(Outcome.BUILT, via=("a",))}
    )
    assert "  b: built\n  a: built" in "\n".join(told("a", circle, release="R-1", before=None))


def test_the_largest_certificate_stays_on_one_screen() -> None:
    names = tuple(f"a-binary-package-with-a-long-name-{n}" for n in range(400))
    many = dataclasses.replace(
        NOW.packages["tool"],
        recipe=recipe(macros=B, toolchain=B),
        reasons=tuple(f"a reason of many words that nearly fills the whole of a line {n}" for n in range(9)),
        consumed=names,
        differs=tuple(f"/usr/include/{n}.h changed" for n in range(50)),
    )
    chain = {f"p{n}": certificate(Outcome.BUILT, via=(f"p{n - 1}" if n else "base",)) for n in range(30)}
    packages = {**NOW.packages, **chain, "tool": dataclasses.replace(many, via=("p29",))}
    now = Certificates(packages=packages, interfaces={name: digest_of(name.encode()) for name in names})
    lines = told("tool", now, release="R-20261126.2", before=BEFORE, forecast=SMALL)
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert "  and 397 more binary packages that were in its build root" in lines
    assert "  and 30 more between them" in lines
    assert "  and 7 more reasons" in lines
