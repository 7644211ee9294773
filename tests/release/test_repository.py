"""An RPM repository as documents: equal in, equal out; read back; every path a blob; what changed and what stays."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release import oci
from release.digests import digest_of
from release.errors import Refused
from release.product.builds import KEY, Build, Rpm
from release.product.repository import (
    REPODATA,
    REPOMD,
    REPOMD_DIRECT,
    REPOMD_SIGNATURE,
    Change,
    File,
    Snapshot,
    binaries,
    blobs_of,
    difference,
    files,
    package_path,
    repodata_document,
)

COMMIT = "c0ffee" * 6 + "c0ff"
COMMITTED = datetime(2026, 1, 1, tzinfo=UTC)


def rpm(file: str, content: str = "") -> Rpm:
    return Rpm(file=file, digest=digest_of((file + content).encode()), size=len(file), header_digest="00")


def build(package: str, content: str = "", *, arch: str = "x86_64", evr: str = "1.0-1") -> Build:
    return Build(
        package=package,
        evr=evr,
        arch=arch,
        key=digest_of(f"{package}{arch}{content}".encode()),
        rpms=(rpm(f"{package}-{evr}.{arch}.rpm", content), rpm(f"{package}-{evr}.src.rpm", content)),
        sources=(oci.blob(b"source", "application/vnd.slipway.source.v1", title=f"{package}.tar.gz"),),
    )


def repodata(arch: str = "x86_64", content: bytes = b"<repomd/>") -> oci.Document:
    primary = "repodata/1-primary.xml.zst"
    return repodata_document(
        arch, {REPOMD: content, REPOMD_DIRECT: b"<direct/>", REPOMD_SIGNATURE: b"signed", primary: b""}
    )


def snapshot(*builds: Build, **changed: datetime | str) -> Snapshot:
    facts = {"commit": COMMIT, "committed": COMMITTED} | changed
    documents = [each.to_document() for each in builds]
    return Snapshot.of(repodata=[repodata()], built=documents, **facts)  # type: ignore[arg-type]


ZLIB, CURL, BASH = build("zlib"), build("curl"), build("bash")


@given(st.permutations([ZLIB, CURL, BASH, build("zlib", arch="aarch64")]))
def test_the_order_of_builds_does_not_matter(shuffled: list[Build]) -> None:
    arches = [repodata("x86_64"), repodata("aarch64")]
    one, two = (
        Snapshot.of(commit=COMMIT, committed=COMMITTED, repodata=first, built=[each.to_document() for each in second])
        for first, second in ((arches, [ZLIB, CURL, BASH, build("zlib", arch="aarch64")]), (arches[::-1], shuffled))
    )
    assert one.to_document() == two.to_document()
    assert len(one.builds) == 4


def test_the_time_is_the_commits_in_any_zone() -> None:
    elsewhere = COMMITTED.astimezone(timezone(timedelta(hours=5)))
    assert snapshot(ZLIB, committed=elsewhere).to_document() == snapshot(ZLIB).to_document()
    later = COMMITTED + timedelta(seconds=1)
    assert snapshot(ZLIB, committed=later).to_document() != snapshot(ZLIB).to_document()


def test_a_snapshot_is_read_back_as_it_was() -> None:
    made = snapshot(ZLIB, CURL)
    assert Snapshot.from_document(made.to_document()) == made
    assert [each.annotations[KEY] for each in made.builds] == [CURL.key, ZLIB.key]
    assert made.repodata[0].architecture == "amd64"


def test_the_index_says_what_it_is_and_where_it_comes_from() -> None:
    body = json.loads(snapshot(ZLIB).to_document().raw)
    assert body["artifactType"] == "application/vnd.slipway.rpm.repository.v1"
    assert body["annotations"] == {
        "org.opencontainers.image.revision": COMMIT,
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
    }
    assert [each["artifactType"] for each in body["manifests"]] == [REPODATA, "application/vnd.slipway.rpm.build.v1"]


@pytest.mark.parametrize("document", [oci.index(manifests=[]), ZLIB.to_document(), repodata()])
def test_another_document_is_no_snapshot(document: oci.Document) -> None:
    with pytest.raises(Refused, match="not a snapshot"):
        Snapshot.from_document(document)


def test_a_package_cannot_be_there_twice() -> None:
    with pytest.raises(Refused, match="same name") as refusal:
        snapshot(ZLIB, build("zlib", "other"))
    assert refusal.value.where == "zlib x86_64"
    assert len(snapshot(ZLIB, ZLIB).builds) == 1


def test_repodata_needs_an_arch_that_oci_knows() -> None:
    with pytest.raises(Refused, match="not a repodata manifest"):
        Snapshot.of(commit=COMMIT, committed=COMMITTED, repodata=[repodata("vax")], built=[])
    with pytest.raises(Refused, match="not a repodata manifest"):
        Snapshot.of(commit=COMMIT, committed=COMMITTED, repodata=[ZLIB.to_document()], built=[])


@pytest.mark.parametrize("missing", [REPOMD, REPOMD_DIRECT])
def test_repodata_without_its_repomd_is_refused(missing: str) -> None:
    whole = {REPOMD: b"", REPOMD_DIRECT: b""}
    with pytest.raises(Refused, match="incomplete"):
        repodata_document("x86_64", {path: content for path, content in whole.items() if path != missing})


def test_repodata_layers_are_titled_and_sorted() -> None:
    layers = repodata().layers
    assert [(each.title, each.media_type) for each in layers] == [
        ("repodata/1-primary.xml.zst", "application/zstd"),
        (REPOMD_DIRECT, "application/xml"),
        (REPOMD, "application/xml"),
        (REPOMD_SIGNATURE, "application/pgp-signature"),
    ]


def test_every_path_of_a_repository_leads_to_a_blob() -> None:
    found = files([repodata()], [ZLIB.to_document(), CURL.to_document()])
    binary = ZLIB.rpms[0]
    assert found[f"x86_64/Packages/z/{binary.digest[7:23]}/zlib-1.0-1.x86_64.rpm"] == File(
        digest=binary.digest, size=binary.size
    )
    assert found["x86_64/repodata/repomd.xml.asc"].digest == digest_of(b"signed")
    assert len(found) == 4 + 2 * 2  # repodata; two RPMs of each build; sources of builds are no part of it
    assert not any("tar.gz" in path for path in found)


def test_arches_do_not_share_paths() -> None:
    twins = [build("release", arch=arch) for arch in ("x86_64", "aarch64")]
    noarch = [replace(each, rpms=(rpm("release-1-1.noarch.rpm", each.arch),)) for each in twins]
    found = files([], [each.to_document() for each in noarch])
    assert sorted(path.split("/")[0] for path in found) == ["aarch64", "x86_64"]


def test_a_rebuild_that_keeps_its_name_gets_another_path() -> None:
    one, two = rpm("zlib-1.0-1.x86_64.rpm", "monday"), rpm("zlib-1.0-1.x86_64.rpm", "tuesday")
    assert package_path(one.file, one.digest) != package_path(two.file, two.digest)


@pytest.mark.parametrize("name", ["../../etc/passwd.rpm", "a/b.rpm", ".hidden.rpm", "", "x.txt", "a\n.rpm", "-rf.rpm"])
def test_a_file_name_cannot_become_another_path(name: str) -> None:
    with pytest.raises(Refused, match="not the file name of an RPM"):
        package_path(name, digest_of(b""))


@pytest.mark.parametrize("title", ["../repomd.xml", "repodata/../../x.xml", "repodata/", "repodata/.x.xml", "x.xml"])
def test_repodata_cannot_stand_elsewhere(title: str) -> None:
    with pytest.raises(Refused, match="not a path of repodata"):
        repodata_document("x86_64", {REPOMD: b"", REPOMD_DIRECT: b"", title: b"x"})
    layer = oci.blob(b"x", "application/xml", title=title)
    fetched = oci.manifest(artifact_type=REPODATA, layers=[layer], annotations=repodata().annotations)
    with pytest.raises(Refused, match="not a path of repodata"):
        files([fetched], [])


def test_one_path_of_repodata_has_one_content() -> None:
    with pytest.raises(Refused, match="same name"):
        files([repodata(), repodata(content=b"<other/>")], [])


def test_repodata_lists_the_binaries_of_its_arch_sorted() -> None:
    listed = binaries([ZLIB, build("bash"), build("curl", arch="aarch64")], "x86_64")
    assert [each.file for each in listed] == ["bash-1.0-1.x86_64.rpm", "zlib-1.0-1.x86_64.rpm"]


def test_two_builds_cannot_make_the_same_file() -> None:
    thief = replace(build("thief"), rpms=(rpm("zlib-1.0-1.x86_64.rpm", "stolen"),))
    with pytest.raises(Refused, match="same name") as refusal:
        binaries([ZLIB, thief], "x86_64")
    assert refusal.value.where == "zlib-1.0-1.x86_64.rpm"


def test_the_first_snapshot_is_all_new() -> None:
    made = difference(None, snapshot(ZLIB))
    assert made.changes == (Change(package="zlib", arch="x86_64", before=None, after="1.0-1"),)
    assert made.kept == frozenset()


def test_an_equal_snapshot_changes_nothing_and_keeps_everything() -> None:
    made = difference(snapshot(ZLIB, CURL), snapshot(CURL, ZLIB))
    assert made.changes == ()
    assert made.kept == {ZLIB.to_document().digest, CURL.to_document().digest, repodata().digest}


def test_new_gone_updated_and_rebuilt_packages_are_told_apart() -> None:
    before = snapshot(ZLIB, CURL, BASH)
    after = snapshot(build("zlib", "rebuilt"), build("curl", evr="1.1-1"), build("tree"))
    made = difference(before, after)
    assert [(each.package, each.before, each.after) for each in made.changes] == [
        ("bash", "1.0-1", None),
        ("curl", "1.0-1", "1.1-1"),
        ("tree", None, "1.0-1"),
        ("zlib", "1.0-1", "1.0-1"),
    ]
    assert made.kept == {repodata().digest}


def test_every_child_gets_a_tag_that_a_registry_accepts() -> None:
    tags = snapshot(ZLIB, CURL).tags()
    assert tags[f"k-{ZLIB.key[7:]}"] == ZLIB.to_document().digest
    assert tags[f"d-{repodata().digest[7:]}"] == repodata().digest
    assert len(tags) == 3
    assert all(len(tag) <= 128 for tag in tags)


def test_blobs_of_documents_are_known_for_the_next_publication() -> None:
    known = blobs_of([ZLIB.to_document(), repodata()])
    assert {each.digest for each in ZLIB.rpms} <= known
    assert digest_of(b"signed") in known
