"""repodata of real RPMs: reproducible, incremental, read by createrepo_c's own tools and by us."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import createrepo_c as cr
import pytest

from release.digests import digest_of
from release.errors import Broken, Refused
from release.product.builds import Rpm
from release.product.repository import REPOMD, REPOMD_DIRECT
from release.tools.repodata import capabilities, compose, compose_folder
from release.tools.store import Store
from tests.conftest import CREATEREPO
from tests.tools.tiny_rpms import fleet, rpm_of

BLOBS = "http://registry.example:5000/v2/skiff/rpms/blobs"
REVISION = 1_767_225_600


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def rpms(store: Store) -> tuple[Rpm, ...]:
    return tuple(rpm_of(fleet()[name], store) for name in ("hull-1.0", "libkeel-1.0"))


def composed(rpms: tuple[Rpm, ...], store: Store, **more: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return compose(rpms, store=store, blobs_url=BLOBS, revision=REVISION, **more)


def unpacked(files: Mapping[str, bytes], folder: Path) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def packages_in(folder: Path, repomd: str = REPOMD) -> list[cr.Package]:
    records = {record.type: folder / record.location_href for record in cr.Repomd(str(folder / repomd)).records}
    paths = [str(records[kind]) for kind in ("primary", "filelists", "other")]
    return list(cr.PackageIterator(*paths))


def test_every_file_is_named_by_its_own_hash(rpms: tuple[Rpm, ...], store: Store) -> None:
    files = composed(rpms, store)
    hashed = {path: content for path, content in files.items() if not path.startswith("repodata/repomd")}
    assert len(hashed) == 4  # primary twice, filelists, other
    assert files.keys() - hashed.keys() == {REPOMD, REPOMD_DIRECT}
    for path, content in hashed.items():
        assert re.fullmatch(rf"repodata/{digest_of(content)[7:]}-\w+\.xml\.zst", path)


def test_packages_stand_under_their_name_and_content(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    folder = unpacked(composed(rpms, store), tmp_path)
    assert [(each.location_href, each.location_base) for each in packages_in(folder)] == [
        (f"Packages/h/{rpms[0].digest[7:23]}/hull-1.0-1.noarch.rpm", None),
        (f"Packages/l/{rpms[1].digest[7:23]}/libkeel-1.0-1.noarch.rpm", None),
    ]


def test_the_direct_variant_names_blobs_and_drops_the_path(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    folder = unpacked(composed(rpms, store), tmp_path)
    for package, rpm in zip(packages_in(folder, REPOMD_DIRECT), rpms, strict=True):
        assert package.location_base == f"{BLOBS}/{rpm.digest}#"
        assert package.location_href.endswith(rpm.file)
    for record in cr.Repomd(str(folder / REPOMD_DIRECT)).records:
        content = (folder / record.location_href).read_bytes()
        assert record.location_base == f"{BLOBS}/{digest_of(content)}#"
        assert record.size == len(content)


def test_canonical_metadata_names_no_host(rpms: tuple[Rpm, ...], store: Store) -> None:
    here = composed(rpms, store)
    there = compose(rpms, store=store, blobs_url="https://mirror.example/v2/x/blobs", revision=REVISION)
    assert here[REPOMD] == there[REPOMD]
    assert here[REPOMD_DIRECT] != there[REPOMD_DIRECT]


def test_equal_input_gives_equal_bytes_whenever_and_in_whatever_order(
    rpms: tuple[Rpm, ...], store: Store, tmp_path: Path
) -> None:
    first = composed(rpms, store)
    elsewhere = Store(tmp_path / "elsewhere")
    for name in ("hull-1.0", "libkeel-1.0"):
        rpm_of(fleet()[name], elsewhere)
    for rpm in rpms:
        os.utime(elsewhere.path_of(rpm.digest), (1, 1))
    assert composed(tuple(reversed(rpms)), elsewhere) == first


def test_the_only_time_is_the_revision(rpms: tuple[Rpm, ...], store: Store) -> None:
    for repomd in (REPOMD, REPOMD_DIRECT):
        text = composed(rpms, store)[repomd].decode()
        assert set(re.findall(r"<timestamp>(\d+)</timestamp>", text)) == {str(REVISION)}
        assert f"<revision>{REVISION}</revision>" in text


def test_the_previous_repodata_stands_in_for_old_rpms(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    """Nothing of the old RPMs is at hand; the result is what all RPMs at once would give."""
    new = rpm_of(fleet()["libkeel-1.1"], store)
    at_once = composed((*rpms, new), store)
    only_new = Store(tmp_path / "only-new")
    rpm_of(fleet()["libkeel-1.1"], only_new)
    assert composed((*rpms, new), only_new, previous=composed(rpms, store)) == at_once
    assert composed(rpms, only_new, previous=at_once) == composed(rpms, store)


def test_an_rpm_that_is_nowhere_is_named(rpms: tuple[Rpm, ...], tmp_path: Path) -> None:
    with pytest.raises(Broken, match="not in the local store") as failure:
        composed(rpms, Store(tmp_path / "empty"))
    assert rpms[0].digest[7:] in str(failure.value)


def test_an_rpm_with_other_content_is_refused(rpms: tuple[Rpm, ...], store: Store) -> None:
    path = store.path_of(rpms[0].digest)
    path.unlink()
    path.write_bytes(fleet()["libkeel-1.1"].read_bytes())
    with pytest.raises(Refused, match="does not have its digest"):
        composed(rpms, store)


def test_what_is_no_rpm_is_a_clear_error(store: Store) -> None:
    digest = store.put_bytes(b"not an rpm")
    bogus = Rpm(file="bogus-1-1.noarch.rpm", digest=digest, size=10, header_digest="")
    with pytest.raises(Broken, match="composing repodata failed"):
        composed((bogus,), store)


def test_an_empty_repository_is_a_repository(store: Store, tmp_path: Path) -> None:
    assert packages_in(unpacked(composed((), store), tmp_path)) == []


def test_createrepos_own_program_agrees(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    """The oracle: the same packages, parsed out of what the createrepo_c program of the system wrote."""
    theirs = tmp_path / "theirs"
    compose_folder(theirs, {rpm.file: store.path_of(rpm.digest) for rpm in rpms})
    ours = packages_in(theirs)
    subprocess.run([CREATEREPO, "--quiet", "--no-database", str(theirs)], check=True)
    for one, two in zip(ours, sorted(packages_in(theirs), key=lambda each: each.name), strict=True):
        for fact in ("name", "epoch", "release", "pkgId", "requires", "provides", "changelogs", "location_href"):
            assert getattr(one, fact) == getattr(two, fact)


def test_a_folder_shares_the_rpms_of_the_store(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "root" / "repository"
    compose_folder(folder, {rpm.file: store.path_of(rpm.digest) for rpm in rpms})
    assert sorted(path.name for path in folder.iterdir()) == [rpms[0].file, rpms[1].file, "repodata"]
    assert (folder / rpms[0].file).samefile(store.path_of(rpms[0].digest))
    compose_folder(folder, {rpms[0].file: store.path_of(rpms[0].digest)})  # again, with less
    assert [each.name for each in packages_in(folder)] == ["hull"]


def test_a_file_name_cannot_leave_the_folder(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not the file name of an RPM"):
        compose_folder(tmp_path / "r", {"../escaped.rpm": store.path_of(rpms[0].digest)})
    assert not (tmp_path / "escaped.rpm").exists()


def test_capabilities_are_written_as_rpm_prints_them(rpms: tuple[Rpm, ...], store: Store, tmp_path: Path) -> None:
    source = rpm_of(fleet()["hull.src"], store)
    compose_folder(tmp_path / "r", {each.file: store.path_of(each.digest) for each in (*rpms, source)})
    hull, keel = capabilities(tmp_path / "r")
    assert (hull.name, hull.evr, keel.name, keel.evr) == ("hull", "2:1.0-1", "libkeel", "1.0-1")
    assert set(hull.requires) == {"libkeel >= 1.0", "(keel(deep) or keel(flat))"}
    assert set(keel.provides) == {"keel(deep) = 3", "libkeel = 1.0-1"}
    assert "hull = 2:1.0-1" in hull.provides
    assert "/usr/share/fleet/hull" in hull.files
    printed = subprocess.run(["rpm", "-qp", "--provides", str(fleet()["hull-1.0"])], capture_output=True, text=True)
    assert sorted(hull.provides) == sorted(printed.stdout.split("\n")[:-1])


def test_a_folder_without_repodata_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="reading repodata failed"):
        capabilities(tmp_path)


def test_two_rpms_of_one_name_and_other_content_live_side_by_side(store: Store, tmp_path: Path) -> None:
    """A rebuild keeps name and version; metadata of two days must not share a path."""
    old, new = (rpm_of(fleet()[name], store) for name in ("libkeel-1.0", "libkeel-1.1"))
    folder = unpacked(composed((old, replace(new, file=old.file)), store), tmp_path)
    assert len({each.location_href for each in packages_in(folder)}) == 2
