"""Two packages that own one path with different things in it: nobody could install both, and so neither is released."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from release.errors import Refused
from release.graph.capabilities import Capability, parse, satisfies
from release.interfaces.file_rules import FileKind
from release.interfaces.interfaces import BinaryInterface, FileEntry

_SHARED = (FileKind.DIRECTORY, FileKind.GHOST)
_SHOWN = 10


def refuse_file_conflicts(packages: Iterable[BinaryInterface], changed: Iterable[str]) -> None:
    """`Refused` when a package whose RPM is among the `changed` files owns a path that another owns with other content
    or attributes, although neither says that it conflicts with, or obsoletes, the other.

    Source: rpm 4.18, lib/transaction.c, handleInstInstalledFile(): equal files may be shared, others not. What was
    published before is not asked again: a tree that lives with an old conflict must not be stopped by it.
    """
    every, new = tuple(packages), frozenset(changed)
    paths = {path for each in every if each.file in new for path, _ in _owned(each)}
    found = tuple(_conflicts(every, new, paths))
    if found:
        hidden = f"\n       and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise Refused(
            "two packages own the same path with different things in it",
            where=found[0].partition(": ")[0],
            got="\n       ".join(found[:_SHOWN]) + hidden,
            expected="each path in one package, or Conflicts: in one of the two",
            hint="take the file out of one of them, or say in one spec: Conflicts: <the other package>",
        )


def _conflicts(every: tuple[BinaryInterface, ...], new: frozenset[str], paths: set[str]) -> Iterator[str]:
    owners: dict[str, list[tuple[BinaryInterface, FileEntry]]] = {}
    for each in every:
        for path, entry in _owned(each):
            if path in paths:
                owners.setdefault(path, []).append((each, entry))
    for path, some in sorted(owners.items()):
        for number, (one, entry) in enumerate(some):
            for other, another in some[number + 1 :]:
                if {one.file, other.file} & new and not _agree(entry, another) and not _exclude(one, other):
                    yield f"{path}: {one.name} and {other.name}"


def _owned(package: BinaryInterface) -> Iterator[tuple[str, FileEntry]]:
    return ((path, entry) for path, entry in package.paths() if entry.kind not in _SHARED)


def _agree(one: FileEntry, other: FileEntry) -> bool:
    return (one.attributes, one.content) == (other.attributes, other.content)


def _exclude(one: BinaryInterface, other: BinaryInterface) -> bool:
    """Whether one of the two says that they are never installed together; two of one name never are."""
    return one.name == other.name or _names(one, other) or _names(other, one)


def _names(one: BinaryInterface, other: BinaryInterface) -> bool:
    provided = [*_capabilities(other.provides), Capability(name=other.name, sense="=", evr=other.evr)]
    wanted = _capabilities((*one.conflicts, *one.obsoletes))
    return any(satisfies(each, want) for want in wanted for each in provided)


def _capabilities(texts: Iterable[str]) -> list[Capability]:
    return [read for text in texts if isinstance(read := parse(text), Capability)]
