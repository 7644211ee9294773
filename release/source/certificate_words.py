"""A certificate in plain words, for one screen: what became of a package, why, and what was compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from release.documents import close_match
from release.errors import Misconfigured
from release.source.certificates import Certificate, Certificates, Outcome, listed
from release.source.keys import short

_SHOWN = 5  # lines of one kind: all together must fit 24 lines of 80 columns
_WORDS: Mapping[Outcome, str] = {
    Outcome.UNCHANGED: "unchanged: nothing that it is made from is another",
    Outcome.SKIPPED: "skipped: what was built below it looks to its build as it did",
    Outcome.KEPT: "kept: built again, and the same product; the published RPMs stay",
    Outcome.BUILT: "built: it has new RPMs",
}


def why(package: str, certificates: Certificates, *, release: str, commit: str) -> tuple[str, ...]:
    """The certificate of one package of a release (its alias, its commit), in lines; `Misconfigured` for a package that
    it does not have."""
    found = certificates.packages.get(package)
    if found is None:
        guess = close_match(package, certificates.packages, cutoff=0.6)
        raise Misconfigured(
            f"{release} has no package {package!r}",
            expected="the name of a source package",
            hint=f"did you mean {guess}?" if guess else "slipway graph lists the packages",
        )
    sections = (
        ("outcome", [_WORDS[found.outcome]]),
        ("why", list(found.reasons)),
        ("path", list(_path(package, certificates))),
        ("compared", list(_compared(found, certificates))),
        ("observed of it", list(found.differs) or _nothing_of_it(found)),
    )
    lines = [f"{package} {found.evr}", f"in {release}, commit {commit[:12]}, build {short(found.build)}", ""]
    for title, texts in sections:
        lines += _section(title, texts)
    return tuple(lines)


def _path(package: str, certificates: Certificates) -> Iterator[str]:
    """From the package down to the one that changed by itself, which goes first where there are several ways."""
    seen = {package}
    found = certificates.packages[package]
    while ways := [each for each in found.via if each not in seen and each in certificates.packages]:
        name = min(ways, key=lambda each: (bool(certificates.packages[each].via), each))
        seen.add(name)
        found = certificates.packages[name]
        yield f"{name}: {found.reasons[0] if found.reasons else found.outcome}"


def _compared(found: Certificate, certificates: Certificates) -> Iterator[str]:
    if found.outcome in (Outcome.UNCHANGED, Outcome.SKIPPED):
        yield "its recipe, and of each package of the tree in its build root the interface: equal"
    for name, (before, now) in found.compared.items():
        yield f"{name}: {short(before) or 'not there'} -> {short(now) or 'not there'}"
    same = [name for name in found.consumed if name not in found.compared]
    if same:
        yield f"in its build root and as before: {listed(same, most=3)}"
    elif not found.consumed:
        yield "no package of the tree was in its build root"


def _nothing_of_it(found: Certificate) -> list[str]:
    return ["no change: nobody above it had to be built for it"] if found.outcome is Outcome.BUILT else []


def _section(title: str, texts: list[str]) -> Iterator[str]:
    hidden = len(texts) - _SHOWN
    shown = texts[:_SHOWN] + ([f"and {hidden} more (--json has all)"] if hidden > 0 else [])
    for number, text in enumerate(shown):
        yield f"{title if number == 0 else '':<15} {text}"
