"""What changed between two builds of the same packages, in plain words: for their dependents, and for their users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from release.interfaces.file_rules import FileKind
from release.interfaces.interfaces import BinaryInterface, observed, shipped

_DEPENDENCIES = ("provides", "requires", "conflicts", "obsoletes", "weak")
_WORDS = {"requires": "requires", "provides": "provides", "conflicts": "conflicts with", "obsoletes": "obsoletes"}


def differences(before: Sequence[BinaryInterface], after: Sequence[BinaryInterface]) -> tuple[str, ...]:
    """What a dependent's build can see of it, one line each; empty if and only if no interface digest differs."""
    return _compared(before, after, product=False)


def product_differences(before: Sequence[BinaryInterface], after: Sequence[BinaryInterface]) -> tuple[str, ...]:
    """What an installed system has of it, one line each; empty if and only if no product digest differs."""
    return _compared(before, after, product=True)


def _compared(before: Sequence[BinaryInterface], after: Sequence[BinaryInterface], *, product: bool) -> tuple[str, ...]:
    old, new = ({(each.name, each.arch): each for each in side} for side in (before, after))
    lines: list[str] = []
    for name, arch in sorted(old.keys() | new.keys()):
        one, two = old.get((name, arch)), new.get((name, arch))
        if one and two:
            found = _of_product(one, two) if product else _of_interface(one, two)
            lines += (f"{name}: {line}" for line in found)
        else:
            lines.append(f"{name}: the package is {'gone' if one else 'new'} ({arch})")
    return tuple(lines)


def _of_interface(before: BinaryInterface, after: BinaryInterface) -> Iterator[str]:
    old, new = observed(before), observed(after)
    if old["scheme"] != new["scheme"]:
        yield f"recorded by other rules ({old['scheme']}, now {new['scheme']})"
    yield from _dependencies(old, new)
    yield from _by_name(old["scripts"], new["scripts"], "the {} script")
    yield from _files(before, after, old["files"], new["files"], exports=True)


def _of_product(before: BinaryInterface, after: BinaryInterface) -> Iterator[str]:
    old, new = shipped(before), shipped(after)
    if old["scheme"] != new["scheme"]:
        yield f"recorded by other rules ({old['scheme']}, now {new['scheme']})"
    if old["nevra"] != new["nevra"]:
        yield f"its version is {_evr(new['nevra'])}, was {_evr(old['nevra'])}"
    yield from _dependencies(old, new)
    yield from _by_name(old["texts"], new["texts"], "its {}")
    yield from _by_name(old["scripts"], new["scripts"], "the {} script")
    yield from _files(before, after, old["files"], new["files"], exports=False)


def _evr(nevra: list[Any]) -> str:
    _, epoch, version, release, _ = nevra
    return f"{epoch}:{version}-{release}" if epoch else f"{version}-{release}"


def _dependencies(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in _DEPENDENCIES:
        one, two = set(old.get(key, ())), set(new.get(key, ()))
        word = f"{_WORDS[key]} " if key in _WORDS else ""
        yield from (f"{word}{each} is gone" for each in sorted(one - two))
        yield from (f"{word}{each} is new" for each in sorted(two - one))


def _by_name(old: dict[str, Any], new: dict[str, Any], label: str) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{label.format(name)} {_happened(name in old, name in new)}"


def _files(
    before: BinaryInterface, after: BinaryInterface, old: dict[str, Any], new: dict[str, Any], *, exports: bool
) -> Iterator[str]:
    kinds = dict(before.paths()) | dict(after.paths())
    for path in sorted(old.keys() | new.keys()):
        one, two = old.get(path), new.get(path)
        if one == two:
            continue
        if one and two and one[0] != two[0]:
            yield f"{path} is {two[0]}, was {one[0]}"
        if one and two and one[1:] == two[1:]:
            continue
        entry = kinds.get(path)
        if exports and one and two and entry and entry.kind is FileKind.SHARED_LIBRARY:
            yield from _exports(path, before.libraries.get(path), after.libraries.get(path))
        else:
            yield f"{path} {_happened(one is not None, two is not None)}"


def _exports(path: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> Iterator[str]:
    """Line by line where both sides are listed."""
    if old is None or new is None or set(old) == set(new):
        yield f"{path} changed what it exports"
        return
    soname = next((line.removeprefix("soname ") for line in new if line.startswith("soname ")), path)
    yield from (f"{soname} {line}: no longer" for line in sorted(set(old) - set(new)))
    yield from (f"{soname} {line}: in addition" for line in sorted(set(new) - set(old)))


def _happened(was: bool, is_now: bool) -> str:
    return "changed" if was and is_now else "is new" if is_now else "is gone"
