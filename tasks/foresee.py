"""Foresees what a change means: reads two commits with git and the system's rpm; builds and fetches nothing."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release.forecast.forecasts import Commits, Forecast, Rewritten, unchanged
from release.tools.git import Repository

if TYPE_CHECKING:
    from release.errors import Error
    from release.graph.graph import Graph
    from release.source.distro import Distro
    from release.source.specs import BinaryPackage
    from tasks.read import SourceTree, Tree

DURATIONS = "durations.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The repository that is read, and the folder that keeps what was read of its specs."""

    repository: Repository
    cache: Path


def open_place(cache: Path, repository: str) -> Place:
    """The place for a cache folder, which need not exist yet, and the path or URL of a repository."""
    return Place(repository=Repository(url=repository, mirrors=cache / "mirrors"), cache=cache)


async def foresee(place: Place, since: str, until: str, *, jobs: int = 1) -> tuple[Forecast, frozenset[str]]:
    """The forecast of what the commit `until` changes, compared with `since`; both are revisions. With it the names
    of all packages that were read: none where nothing that counts differs.

    Where `since` is no ancestor of `until` (the branch was force-pushed, or it moved on meanwhile), compared is the
    newest commit that both contain. `Misconfigured` for a revision that is none.
    """
    commits = await asyncio.to_thread(compared, place.repository, since, until)
    changed = await asyncio.to_thread(place.repository.changed_paths, commits.before, commits.after)
    if not changed or not await _counts(place.repository, commits.after, changed):
        return unchanged(commits), frozenset()
    from release.forecast.forecasting import forecast
    from tasks.compare import facts_of

    old, new = await _read(place, commits.before, commits.after)
    after = await asyncio.to_thread(facts_of, new)
    before = await asyncio.to_thread(facts_of, old, after)
    available = toolchain_packages(new.tree)
    found = forecast(commits, before, after, available=available, durations=durations(place.cache), jobs=jobs)
    return found, frozenset(each.name for each in (*before.packages, *after.packages))


async def read_graph(place: Place, revision: str) -> tuple[Graph, str, Mapping[str, Error]]:
    """The graph of a commit's packages, the commit's id, and the specs that cannot be read and so are left out."""
    from release.graph.graph import Graph

    (commit,) = await asyncio.to_thread(place.repository.resolve, revision)
    (source,) = await _read(place, commit)
    return Graph.of(source.packages, toolchain_packages(source.tree)), commit, source.failed


def compared(repository: Repository, since: str, until: str) -> Commits:
    """Which two commits are compared; `Refused` when they have no common history."""
    before, after = repository.resolve(since, until)
    base = repository.merge_base(before, after)
    if base == before:
        return Commits(before=before, after=after)
    if base is None:
        from release.errors import Refused

        raise Refused(
            "the two commits have no common history",
            where=repository.url,
            got=f"{before[:12]} and {after[:12]}",
            expected="commits of one branch",
        )
    dropped = tuple(each.sha for each in reversed(repository.log(base, before)))
    return Commits(before=base, after=after, rewritten=Rewritten(asked=before, merge_base=base, dropped=dropped))


def durations(cache: Path) -> Mapping[str, float]:
    """Seconds of the newest build of each package that this machine knows of; empty where nothing was ever kept."""
    try:
        found = json.loads((cache / DURATIONS).read_text())
        return {str(name): float(seconds) for name, seconds in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # an estimate that cannot be made stops nobody


def keep_durations(cache: Path, seconds: Mapping[str, float]) -> None:
    """Add the seconds of some builds to those that are known, for later estimates."""
    known = {**durations(cache), **seconds}
    cache.mkdir(parents=True, exist_ok=True)
    new = cache / f"{DURATIONS}.new"
    new.write_text(json.dumps(dict(sorted(known.items()))))
    new.replace(cache / DURATIONS)


def toolchain_packages(tree: Tree) -> tuple[BinaryPackage, ...]:
    """The packages of the toolchain set as its lock names them, without their Provides; none where there is no lock."""
    from release.source.specs import BinaryPackage

    if tree.distro.toolchain.lock not in tree.blobs:
        return ()
    return tuple(BinaryPackage(name=each.name, evr=each.version) for each in tree.lock.packages)


async def _counts(repository: Repository, commit: str, changed: Collection[str]) -> bool:
    """Whether a release is made of anything that changed. When in doubt it is: then the specs are read and compared."""
    distro = await _distro(repository, commit, changed)
    if distro is None:
        return True
    definitions = [image.definition for image in distro.images]
    contents = await asyncio.to_thread(repository.read_files, commit, definitions)
    spoken = b"\0".join(contents.values()) if len(contents) == len(definitions) else None
    return any(_is_part(path, distro, definitions) or _is_named(path, spoken) for path in changed)


async def _distro(repository: Repository, commit: str, changed: Collection[str]) -> Distro | None:
    """The distribution as both commits have it; None where it may have changed."""
    from release.source.distro import DISTRO_FILE, parse_distro

    raw = None if DISTRO_FILE in changed else await asyncio.to_thread(repository.read_file, commit, DISTRO_FILE)
    if raw is not None:
        return parse_distro(raw.decode("utf-8", "replace"), DISTRO_FILE)
    if any(path.startswith("SPECS") or path == DISTRO_FILE for path in changed):
        return None
    from tasks.read import open_tree

    return (await open_tree(repository, commit)).distro


def _is_part(path: str, distro: Distro, definitions: Collection[str]) -> bool:
    return (
        any(path.startswith(f"{root}/") for root in distro.spec_roots)
        or any(fnmatch.fnmatchcase(path, pattern) for pattern in (*distro.macro_files, *distro.lua_modules))
        or path == distro.toolchain.lock
        or path in definitions
    )


def _is_named(path: str, spoken: bytes | None) -> bool:
    """Whether the definitions of images, read as plain text, speak of a file of this name."""
    return spoken is None or b"\\" in spoken or posixpath.basename(path).encode() in spoken


async def _read(place: Place, *commits: str) -> list[SourceTree]:
    """Commits with their packages, as the last one's architecture has them; what several have is read once."""
    from tasks.read import open_tree, parse_tree, system_parser

    parser = system_parser(place.cache / "specs")
    trees = await asyncio.gather(*(open_tree(place.repository, commit) for commit in commits))
    arch = trees[-1].distro.arches[0]
    return [await parse_tree(tree, parser=parser, arch=arch) for tree in trees]
