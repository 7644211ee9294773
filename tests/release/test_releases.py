"""A release is its content: nothing else moves its digest, and everything in it comes back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from release import oci
from release.digests import canonical_json
from release.errors import Refused
from release.product.releases import (
    CERTIFICATES,
    PLAN,
    RECORD,
    RELEASE,
    ReleaseTest,
    Trust,
    Verdict,
    parse_release,
    record_layer,
)
from tests.release.promotion_world import digest, image, referrer, release, smoke


def test_comes_back_equal() -> None:
    made = release()
    assert parse_release(made.to_document(), made.record()) == made


def test_equal_content_gives_an_equal_digest_in_any_order() -> None:
    made = release(
        images=(image("distroless"), image("base")),
        referrers=(referrer("provenance", "base"), referrer("sbom", "base")),
    )
    assert made == release()
    assert made.digest == release().digest


def test_the_order_of_architectures_does_not_matter() -> None:
    one, other = image("base", "x86_64", "aarch64"), image("base", "aarch64", "x86_64")
    assert release(images=(one,)).digest == release(images=(other,)).digest


@pytest.mark.parametrize(
    "change",
    [
        {"distro": "raft"},
        {"version": "1.1"},
        {"trust": Trust.PUBLIC},
        {"rpms_repository": "skiff/packages"},
        {"snapshot": oci.Descriptor(media_type=oci.INDEX, digest=digest("another"), size=123)},
        {"images": (image("base"),)},
        {"images": (image("base"), image("distroless", "x86_64", "aarch64"))},
        {"referrers": ()},
        {"plan": oci.blob(b"{}", "application/json")},
        {"certificates": oci.blob(b"{}", "application/json")},
        {"tests": (smoke(Verdict.FAIL, "boots"),)},
        {"extra": {"newer": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_fact_is_part_of_the_identity(change: dict[str, object]) -> None:
    assert release(**change).digest != release().digest


def test_the_source_is_part_of_the_identity() -> None:
    made = release()
    assert replace(made, source=replace(made.source, commit="b" * 40)).digest != made.digest


def test_is_an_artifact_that_generic_tools_can_read() -> None:
    made = release()
    document = made.to_document()
    assert document.descriptor.artifact_type == RELEASE
    assert document.json()["config"]["mediaType"] == oci.EMPTY
    assert [(layer.title, layer.media_type) for layer in document.layers] == [
        ("release.json", RECORD),
        ("plan.json", PLAN),
        ("certificates.json", CERTIFICATES),
    ]
    assert document.layers[1].digest == made.plan.digest
    assert document.annotations["org.opencontainers.image.revision"] == "a" * 40
    assert document.annotations["org.opencontainers.image.created"] == "2026-11-22T10:00:00Z"


def test_the_record_is_the_first_layer_in_canonical_json() -> None:
    made = release()
    record = made.record()
    assert record_layer(made.to_document()).digest == oci.blob(record, RECORD).digest
    assert canonical_json(json.loads(record)) == record


def test_names_everything_by_digest() -> None:
    record = json.loads(release().record())
    assert record["images"][0] == {
        "name": "base",
        "repository": "skiff/base",
        "digest": digest("base"),
        "manifests": [{"arch": "x86_64", "digest": digest("base x86_64")}],
    }
    assert record["snapshot"]["digest"] == digest("snapshot")
    assert record["trust"] == "embedded"


def test_unknown_keys_survive_and_keep_the_digest() -> None:
    record = json.loads(release().record())
    record["advisories"] = [{"id": "CVE-1"}]
    record["images"][0]["labels"] = {"tier": "1"}
    record["source"]["signed"] = True
    record["tests"][0]["seconds"] = 3
    raw = canonical_json(record)
    layers = (oci.blob(raw, RECORD), *release().to_document().layers[1:])
    newer = oci.manifest(artifact_type=RELEASE, layers=layers)
    read = parse_release(newer, raw)
    assert read.record() == raw
    assert read.extra["advisories"]
    assert read.images[0].extra["labels"]


def test_lists_what_a_denial_can_name() -> None:
    assert set(release().artifacts) == {
        digest("snapshot"),
        digest("base"),
        digest("base x86_64"),
        digest("distroless"),
        digest("distroless x86_64"),
    }


def test_refuses_a_record_that_was_exchanged() -> None:
    other = release(version="2.0")
    with pytest.raises(Refused, match="not the release's own"):
        parse_release(release().to_document(), other.record())


def test_refuses_another_artifact() -> None:
    document = oci.manifest(artifact_type="application/x-other", layers=release().to_document().layers)
    with pytest.raises(Refused, match="not a release") as caught:
        record_layer(document)
    assert caught.value.where == document.digest


@pytest.mark.parametrize("count", [0, 2])
def test_refuses_an_artifact_without_exactly_one_record(count: int) -> None:
    layers = [record_layer(release().to_document())] * count
    with pytest.raises(Refused, match="not a release"):
        record_layer(oci.manifest(artifact_type=RELEASE, layers=layers))


@pytest.mark.parametrize("missing", ["source", "snapshot", "images", "referrers", "plan", "certificates", "trust"])
def test_refuses_a_release_without(missing: str) -> None:
    record = json.loads(release().record())
    del record[missing]
    raw = canonical_json(record)
    document = oci.manifest(artifact_type=RELEASE, layers=[oci.blob(raw, RECORD)])
    with pytest.raises(Refused) as caught:
        parse_release(document, raw)
    assert caught.value.where == missing


def test_refuses_an_unknown_trust() -> None:
    record = json.loads(release().record())
    record["trust"] = "mine"
    raw = canonical_json(record)
    with pytest.raises(Refused) as caught:
        parse_release(oci.manifest(artifact_type=RELEASE, layers=[oci.blob(raw, RECORD)]), raw)
    assert caught.value.where == "trust"


@pytest.mark.parametrize("twin", [image("base"), replace(image("base"), name="other")], ids=["name", "repository"])
def test_two_images_never_share_a_name_or_a_repository(twin: object) -> None:
    with pytest.raises(ValueError, match="of its own"):
        release(images=(image("base"), twin))


def test_only_pass_is_harmless() -> None:
    assert sorted(Verdict, key=lambda each: each.severity) == ["PASS", "PENDING", "UNKNOWN", "FAIL"]


def test_a_test_result_keeps_its_failing_cases() -> None:
    made = release(tests=(ReleaseTest(name="dnf", verdict=Verdict.FAIL, failures=("install", "update")),))
    assert parse_release(made.to_document(), made.record()).tests[0].failures == ("install", "update")
