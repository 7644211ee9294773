"""One RPM repository as OCI documents: a snapshot index over build manifests and one repodata manifest per arch.

    index     artifactType application/vnd.slipway.rpm.repository.v1, annotations: source commit, commit time
      repodata  one per arch, layers titled repodata/...: hashed metadata, repomd.xml, its signature, the direct variant
      build     one per source build and arch (release/product/builds.py)

Equal input gives equal bytes: children are sorted, and the only time is the commit's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from types import MappingProxyType

from release import oci
from release.digests import hex_of
from release.errors import Refused
from release.instants import instant_text
from release.product import builds
from release.product.builds import Build, Rpm
from release.product.images import OCI_ARCHITECTURE

REPOSITORY = "application/vnd.slipway.rpm.repository.v1"
REPODATA = "application/vnd.slipway.rpm.repodata.v1"
REPOMD = "repodata/repomd.xml"
REPOMD_SIGNATURE = f"{REPOMD}.asc"
REPOMD_DIRECT = "repodata/repomd-direct.xml"
_CREATED = "org.opencontainers.image.created"
_REVISION = "org.opencontainers.image.revision"
# Names come from documents that others wrote, and become paths of folders and of URLs: nothing that climbs or hides.
_RPM_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~^:-]*\.rpm\Z")
_REPODATA_PATH = re.compile(r"repodata/[A-Za-z0-9_][A-Za-z0-9_.-]*\.(xml|zst|asc)\Z")
_MEDIA_TYPES = {".xml": "application/xml", ".zst": "application/zstd", ".asc": "application/pgp-signature"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What stands behind a path of a repository: a blob."""

    digest: str
    size: int


Files = Mapping[str, File]


def checked_file(file: str) -> str:
    """The file name itself when it is one of an RPM, and not a path, otherwise `Refused`."""
    if not _RPM_FILE.match(file):
        raise Refused("not the file name of an RPM", got=repr(file)[:200], expected="name-version-release.arch.rpm")
    return file


def package_path(file: str, digest: str) -> str:
    """Where an RPM stands below its arch: `Packages/<first letter>/<16 digits of its digest>/<file>`.

    The digits are there because a package that is rebuilt for a changed dependency keeps its name and version: whoever
    holds yesterday's metadata, or a cache, must not get today's bytes under yesterday's path.
    """
    return f"Packages/{checked_file(file)[0].lower()}/{hex_of(digest)[:16]}/{file}"


def binaries(all_builds: Iterable[Build], arch: str) -> tuple[Rpm, ...]:
    """What the repodata of an arch lists: every RPM of its builds but the sources, sorted by file name.

    `Refused` when two builds made the same file name with different content.
    """
    found: dict[str, Rpm] = {}
    for build in all_builds:
        for rpm in build.rpms if build.arch == arch else ():
            if rpm.file.endswith(".src.rpm"):
                continue
            if found.setdefault(rpm.file, rpm).digest != rpm.digest:
                raise _twice(rpm.file, found[rpm.file].digest, rpm.digest)
    return tuple(found[file] for file in sorted(found))


def repodata_document(arch: str, files: Mapping[str, bytes]) -> oci.Document:
    """The repodata manifest of an arch (rpm's name) over files by path: `{"repodata/repomd.xml": ...}`."""
    for needed in (REPOMD, REPOMD_DIRECT):
        if needed not in files:
            raise Refused("repodata is incomplete", where=arch, got=", ".join(sorted(files)), expected=needed)
    layers = [
        oci.blob(content, _MEDIA_TYPES[PurePosixPath(_checked_path(path)).suffix], title=path)
        for path, content in sorted(files.items())
    ]
    return oci.manifest(artifact_type=REPODATA, layers=layers, annotations={builds.ARCH: arch})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An RPM repository at one source commit. `repodata` and `builds` describe the children, each with what a
    reader must know before fetching it: arch, and for a build its package, evr and key."""

    commit: str
    committed: datetime
    repodata: tuple[oci.Descriptor, ...]
    builds: tuple[oci.Descriptor, ...]

    @classmethod
    def of(
        cls,
        *,
        commit: str,
        committed: datetime,
        repodata: Iterable[oci.Document],
        built: Iterable[oci.Document],
    ) -> Snapshot:
        """A snapshot over documents in any order. `Refused` when a package of an arch is there twice."""
        return cls(
            commit=commit,
            committed=committed,
            repodata=_sorted(_repodata_child(document) for document in repodata),
            builds=_sorted(_build_child(document) for document in built),
        )

    def to_document(self) -> oci.Document:
        """The index. Its digest is the identity of the repository."""
        return oci.index(
            artifact_type=REPOSITORY,
            manifests=[*self.repodata, *self.builds],
            annotations={_REVISION: self.commit, _CREATED: instant_text(self.committed)},
        )

    @classmethod
    def from_document(cls, document: oci.Document) -> Snapshot:
        """Read an index back; `Refused` when it is none."""
        notes, children = document.annotations, document.manifests
        if document.json().get("artifactType") != REPOSITORY or not {_REVISION, _CREATED} <= notes.keys():
            raise Refused("not a snapshot of an RPM repository", got=document.digest, expected=REPOSITORY)
        return cls(
            commit=notes[_REVISION],
            committed=datetime.fromisoformat(notes[_CREATED]),
            repodata=tuple(each for each in children if each.artifact_type == REPODATA),
            builds=tuple(each for each in children if each.artifact_type == builds.BUILD),
        )

    def tags(self) -> Mapping[str, str]:
        """A tag for every child, by name: a registry's garbage collection may take untagged children of a tagged
        index (distribution 2.8, `garbage-collect --delete-untagged`). Each digest must be signed before."""
        named = {f"k-{hex_of(each.annotations[builds.KEY])}": each.digest for each in self.builds}
        return MappingProxyType(named | {f"d-{hex_of(each.digest)}": each.digest for each in self.repodata})


def files(repodata: Iterable[oci.Document], built: Iterable[oci.Document]) -> Files:
    """Every path of a snapshot, `<arch>/repodata/...` and `<arch>/Packages/...`, with the blob behind it."""
    found: dict[str, File] = {}
    for document in repodata:
        arch = _arch_of_repodata(document)
        for layer in document.layers:
            _add(found, f"{arch}/{_checked_path(layer.title)}", File(digest=layer.digest, size=layer.size))
    for document in built:
        build = Build.from_document(document)
        for rpm in build.rpms:
            _add(found, f"{build.arch}/{package_path(rpm.file, rpm.digest)}", File(digest=rpm.digest, size=rpm.size))
    return MappingProxyType(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one package of one arch between two snapshots; an evr is None on the side that lacks it."""

    package: str
    arch: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From one snapshot to the next: changed packages, and child digests that need not be sent again."""

    changes: tuple[Change, ...]
    kept: frozenset[str] = field(repr=False)


def difference(before: Snapshot | None, after: Snapshot) -> Difference:
    """What changed since `before`; without one everything is new. A rebuild of the same evr is a change too."""
    old = {_identity(each): each for each in (before.builds if before else ())}
    new = {_identity(each): each for each in after.builds}
    changes = tuple(
        Change(package=key[0], arch=key[1], before=_evr(old.get(key)), after=_evr(new.get(key)))
        for key in sorted(old.keys() | new.keys())
        if key not in old or key not in new or old[key].digest != new[key].digest
    )
    ours = {each.digest for each in (*after.builds, *after.repodata)}
    theirs = {each.digest for each in (*before.builds, *before.repodata)} if before else set()
    return Difference(changes=changes, kept=frozenset(ours & theirs))


def blobs_of(documents: Iterable[oci.Document]) -> frozenset[str]:
    """The blobs of documents that a registry has, to be known when the next ones are pushed."""
    return frozenset(layer.digest for document in documents for layer in document.layers)


def _repodata_child(document: oci.Document) -> oci.Descriptor:
    arch = _arch_of_repodata(document)
    return oci.Descriptor(
        media_type=document.media_type,
        digest=document.digest,
        size=len(document.raw),
        artifact_type=REPODATA,
        architecture=OCI_ARCHITECTURE[arch],
        annotations={builds.ARCH: arch},
    )


def _build_child(document: oci.Document) -> oci.Descriptor:
    build = Build.from_document(document)
    return oci.Descriptor(
        media_type=document.media_type,
        digest=document.digest,
        size=len(document.raw),
        artifact_type=builds.BUILD,
        annotations={
            builds.PACKAGE: build.package,
            builds.EVR: build.evr,
            builds.ARCH: build.arch,
            builds.KEY: build.key,
        },
    )


def _checked_path(path: str | None) -> str:
    if path is None or not _REPODATA_PATH.match(path):
        raise Refused("not a path of repodata", got=repr(path)[:200], expected="repodata/<file>.xml, .zst or .asc")
    return path


def _arch_of_repodata(document: oci.Document) -> str:
    arch = document.annotations.get(builds.ARCH, "")
    if document.json().get("artifactType") != REPODATA or arch not in OCI_ARCHITECTURE:
        expected = f"{REPODATA} for one of {', '.join(sorted(OCI_ARCHITECTURE))}"
        raise Refused("not a repodata manifest", where=document.digest, got=arch or "no arch", expected=expected)
    return arch


def _identity(child: oci.Descriptor) -> tuple[str, str]:
    return child.annotations.get(builds.PACKAGE, ""), child.annotations[builds.ARCH]


def _sorted(children: Iterable[oci.Descriptor]) -> tuple[oci.Descriptor, ...]:
    by_identity: dict[tuple[str, str], oci.Descriptor] = {}
    for child in children:
        other = by_identity.setdefault(_identity(child), child)
        if other.digest != child.digest:
            raise _twice(" ".join(_identity(child)).strip(), other.digest, child.digest)
    return tuple(by_identity[each] for each in sorted(by_identity))


def _add(found: dict[str, File], path: str, file: File) -> None:
    if (other := found.setdefault(path, file)) != file:
        raise _twice(path, other.digest, file.digest)


def _twice(name: str, one: str, two: str) -> Refused:
    return Refused(
        "two things in one repository have the same name",
        where=name,
        got=f"{one} and {two}",
        expected="one content for each name",
        hint="raise the Release of the package that changed, or remove one of the specs that make it",
    )


def _evr(child: oci.Descriptor | None) -> str | None:
    return child.annotations[builds.EVR] if child else None
