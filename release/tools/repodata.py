"""repodata with createrepo_c: composed from new RPMs and the previous repodata, byte-reproducible, and read back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import createrepo_c as cr

from release.digests import hex_of
from release.errors import Broken, Refused
from release.product.builds import Rpm
from release.product.repository import REPOMD, REPOMD_DIRECT, checked_file, package_path
from release.source.specs import BinaryPackage
from release.tools.store import Store, disk_errors, link_or_copy

_SENSES = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


def compose(
    rpms: Iterable[Rpm], *, store: Store, blobs_url: str, revision: int, previous: Mapping[str, bytes] | None = None
) -> Mapping[str, bytes]:
    """The repodata files of one arch by path (`repodata/...`), for `release.product.repository.repodata_document`.

    Headers come from `previous` (the files of an earlier call) where it lists the RPM's digest, from the RPM in the
    store otherwise. `revision` is the commit's epoch second, the only time inside. Besides the canonical metadata,
    which names no host, there is a direct variant for stock dnf: `blobs_url` (`<registry>/v2/<repository>/blobs`)
    stands in it as `xml:base="<blobs_url>/<digest>#"`, where the `#` makes curl drop the path that follows.
    """
    parsed = _parse_files(previous) if previous else {}
    with _foreign_errors("composing repodata"), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = sorted((_package(rpm, parsed, store) for rpm in rpms), key=lambda package: package.location_href)
        canonical = _write(folder, packages, revision=revision)
        direct = _write_direct(folder, packages, canonical, blobs_url=blobs_url.rstrip("/"), revision=revision)
        (folder / REPOMD_DIRECT).write_text(direct)
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("repodata/*"))}


def compose_folder(folder: Path, rpms: Mapping[str, Path], *, revision: int = 0) -> None:
    """A repository in a folder: RPMs by file name, hard-linked where possible, and repodata beside them."""
    with _foreign_errors("composing repodata", where=folder):
        folder.mkdir(parents=True, exist_ok=True)
        packages = []
        for file, source in sorted(rpms.items()):
            link_or_copy(source, folder / checked_file(file))
            packages.append(_read_rpm(folder / file, location=file))
        _write(folder, packages, revision=revision)


def capabilities(folder: Path) -> tuple[BinaryPackage, ...]:
    """What the binary packages of a repository in a folder provide, require and contain; sorted by name and evr."""
    with _foreign_errors("reading repodata", where=folder):
        packages = cr.RepositoryReader.from_path(str(folder)).iter_packages()
        found = [_binary(package) for package in packages if package.arch not in ("src", "nosrc")]
    return tuple(sorted(found, key=lambda package: (package.name, package.evr)))


def _package(rpm: Rpm, parsed: Mapping[str, Any], store: Store) -> Any:
    """The package of an RPM, under the path that is its own."""
    location = package_path(rpm.file, rpm.digest)
    package = parsed.get(hex_of(rpm.digest))
    if package is None:
        package = _read_rpm(store.existing(rpm.digest), location=location)
        if package.pkgId != hex_of(rpm.digest):
            raise Refused("an RPM does not have its digest", where=rpm.file, got=package.pkgId, expected=rpm.digest)
    package.location_href = location
    return package


def _read_rpm(path: Path, *, location: str) -> Any:
    package = cr.package_from_rpm(str(path), checksum_type=cr.SHA256, location_href=location)
    package.time_file = package.time_build  # the file's own time differs on every machine
    return package


def _write(folder: Path, packages: Iterable[Any], *, revision: int) -> cr.Repomd:
    """Write `folder/repodata`. createrepo_c stamps the present time into repomd.xml, so that is written once more."""
    listed = list(packages)
    with cr.RepositoryWriter(str(folder), num_packages=len(listed), compression=cr.ZSTD) as writer:
        for package in listed:
            writer.add_pkg(package)
    repomd = _repomd(cr.Repomd(str(folder / REPOMD)).records, revision)
    (folder / REPOMD).write_text(repomd.xml_dump())
    return repomd


def _write_direct(folder: Path, packages: Iterable[Any], canonical: cr.Repomd, *, blobs_url: str, revision: int) -> str:
    """Write the primary that names blobs; the repomd.xml over it and the other files, as blobs."""
    listed = list(packages)
    primary = folder / "repodata" / "primary.xml.zst"
    file = cr.PrimaryXmlFile(str(primary), cr.ZSTD)
    file.set_num_of_pkgs(len(listed))
    for package in listed:
        package.location_base = f"{blobs_url}/sha256:{package.pkgId}#"
        file.add_pkg(package)
    file.close()
    record = cr.RepomdRecord("primary", str(primary))
    record.fill(cr.SHA256)
    record.rename_file()
    record.location_href = f"repodata/{Path(record.location_real).name}"
    records = [record, *(each for each in canonical.records if each.type != "primary")]
    for each in records:
        each.location_base = f"{blobs_url}/sha256:{each.checksum}#"
    return str(_repomd(records, revision).xml_dump())


def _repomd(records: Iterable[Any], revision: int) -> cr.Repomd:
    """repomd.xml over records whose only time is the revision."""
    repomd = cr.Repomd()
    repomd.set_revision(str(revision))
    for record in records:
        record.set_timestamp(revision)
        repomd.set_record(record)
    repomd.sort_records()
    return repomd


def _parse_files(files: Mapping[str, bytes]) -> Mapping[str, Any]:
    """Packages by their sha256, from the canonical metadata among the files of an earlier `compose`."""
    with _foreign_errors("reading the previous repodata"), tempfile.TemporaryDirectory() as name:
        (Path(name) / "repodata").mkdir()
        for path, content in files.items():
            (Path(name) / "repodata" / Path(path).name).write_bytes(content)
        packages, _ = cr.RepositoryReader.from_path(name).parse_packages()
        return dict(packages)


def _binary(package: Any) -> BinaryPackage:
    return BinaryPackage(
        name=package.name,
        evr=_evr(package.epoch, package.version, package.release),
        provides=tuple(_relations(package.provides)),
        requires=tuple(_relations(package.requires)),
        files=tuple(f"{folder}{name}" for _, folder, name, *_ in package.files),
    )


def _relations(entries: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Dependencies as rpm prints them: `zlib >= 1.2`."""
    for name, flags, epoch, version, release, *_ in entries:
        yield f"{name} {_SENSES[flags]} {_evr(epoch, version, release)}" if flags else name


def _evr(epoch: str | None, version: str, release: str | None) -> str:
    return f"{f'{epoch}:' if epoch not in (None, '', '0') else ''}{version}{f'-{release}' if release else ''}"


@contextmanager
def _foreign_errors(doing: str, *, where: Path | None = None) -> Iterator[None]:
    with disk_errors(where or Path(tempfile.gettempdir())):
        try:
            yield
        except (cr.CreaterepoCError, OSError) as error:
            if getattr(error, "errno", None):
                raise  # the disk's own; createrepo_c's OSErrors have no number
            raise Broken(f"{doing} failed", where=str(where) if where else None, got=error) from error
