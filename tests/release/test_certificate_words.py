"""One package's certificate on one screen of plain words."""

from __future__ import annotations

import dataclasses

import pytest

from release.digests import digest_of
from release.errors import Misconfigured
from release.source.certificate_words import why
from release.source.certificates import Certificates, Outcome
from tests.release.test_certificates import CERTIFICATE, A, B

LIB = dataclasses.replace(
    CERTIFICATE, evr="2-1", consumed=(), unseen=(), reasons=("its spec or a file beside it changed",),
    differs=("lib-devel: /usr/include/lib.h changed",),
)  # fmt: skip
USER = dataclasses.replace(
    CERTIFICATE, evr="1-2.t1^1", consumed=("lib", "lib-devel"), unseen=(), via=("libs",),
    reasons=("its build observes a change of lib-devel",), compared={"lib-devel": (A, B)},
)  # fmt: skip
SKIPPED = dataclasses.replace(CERTIFICATE, outcome=Outcome.SKIPPED)
ALL = Certificates(packages={"libs": LIB, "user": USER, "far": SKIPPED}, interfaces={"lib": A, "lib-devel": B})


def told(package: str, certificates: Certificates = ALL) -> tuple[str, ...]:
    return why(package, certificates, release="R-20261126.1", commit="c" * 40)


def test_tells_the_reason_the_path_and_the_digests() -> None:
    assert told("user") == (
        "user 1-2.t1^1",
        f"in R-20261126.1, commit cccccccccccc, build {digest_of(b'build')[:19]}",
        "",
        "outcome         built: it has new RPMs",
        "why             its build observes a change of lib-devel",
        "path            libs: its spec or a file beside it changed",
        f"compared        lib-devel: {A[:19]} -> {B[:19]}",
        "                in its build root and as before: lib",
        "observed of it  no change: nobody above it had to be built for it",
    )


def test_tells_what_others_observe_of_a_changed_package() -> None:
    assert told("libs")[-1] == "observed of it  lib-devel: /usr/include/lib.h changed"


def test_tells_why_a_package_was_not_built() -> None:
    lines = told("far")
    assert lines[3] == "outcome         skipped: what was built below it looks to its build as it did"
    assert "equal" in lines[4]


def test_fits_one_screen_whatever_it_has_to_say() -> None:
    names = tuple(f"package-{n}" for n in range(400))
    large = dataclasses.replace(
        USER, consumed=names, compared=dict.fromkeys(names, (A, B)), differs=names, reasons=names
    )
    lines = told("user", Certificates(packages={**ALL.packages, "user": large}))
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert any("and 395 more" in line for line in lines)


def test_ends_a_path_that_goes_round() -> None:
    one, two = (dataclasses.replace(USER, via=(other,)) for other in ("two", "one"))
    assert len(told("one", Certificates(packages={"one": one, "two": two}))) < 20


def test_an_unknown_package_is_met_with_a_guess() -> None:
    with pytest.raises(Misconfigured) as caught:
        told("usr")
    assert caught.value.hint == "did you mean user?"
