"""Image documents: what foreign tools read in them, and that equal input gives equal digests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from release import oci
from release.digests import digest_of
from release.errors import Refused
from release.product.image_definitions import Runtime
from release.product.images import (
    END_OF_LIFE,
    LAYER_ZSTD,
    OCI_ARCHITECTURE,
    PATH,
    ArchImage,
    Compression,
    compose_image,
    compose_index,
    layers_of,
)
from tests.release.image_samples import ABOUT, EPOCH, LAYER, SMALL_LAYER


def image(**more: Any) -> ArchImage:
    given = {
        "arch": "x86_64",
        "layers": [LAYER, SMALL_LAYER],
        "runtime": Runtime(),
        "about": ABOUT,
        "epoch": EPOCH,
        "history": ["42 packages", "the repository of this release"],
    }
    return compose_image(**{**given, **more})


def config(**more: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(image(**more).config)
    return value


def test_the_configuration_says_what_config_md_asks_for() -> None:
    assert config() == {
        "created": "2023-11-14T22:13:20Z",
        "author": "Skiff Project",
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Labels": ABOUT.annotations(EPOCH)},
        "rootfs": {"type": "layers", "diff_ids": [LAYER.diff_id, SMALL_LAYER.diff_id]},
        "history": [
            {"created": "2023-11-14T22:13:20Z", "created_by": "42 packages"},
            {"created": "2023-11-14T22:13:20Z", "created_by": "the repository of this release"},
        ],
    }


def test_the_runtime_reaches_the_configuration() -> None:
    runtime = Runtime(
        user="65532:65532",
        entrypoint=("/usr/bin/tool",),
        command=("--help", "me"),
        environment={"LANG": "C.UTF-8", "PATH": "/opt/bin"},
        working_folder="/home/nonroot",
    )
    found = config(runtime=runtime)["config"]
    del found["Labels"]
    assert found == {
        "User": "65532:65532",
        "Env": ["PATH=/opt/bin", "LANG=C.UTF-8"],
        "Entrypoint": ["/usr/bin/tool"],
        "Cmd": ["--help", "me"],
        "WorkingDir": "/home/nonroot",
    }


def test_the_manifest_refers_to_the_configuration_and_the_layers_in_order() -> None:
    made = image()
    body = made.manifest.json()
    assert body["config"] == {
        "mediaType": oci.IMAGE_CONFIG,
        "digest": digest_of(made.config),
        "size": len(made.config),
    }
    assert [(layer.digest, layer.size) for layer in made.manifest.layers] == [
        (LAYER.digest, 6),
        (SMALL_LAYER.digest, 11),
    ]
    assert {layer.media_type for layer in made.manifest.layers} == {oci.LAYER_GZIP}
    assert "artifactType" not in body


def test_a_zstd_layer_is_announced_as_one() -> None:
    made = image(layers=[replace(LAYER, compression=Compression.ZSTD)], history=["x"])
    assert made.manifest.layers[0].media_type == LAYER_ZSTD


def test_index_and_manifest_carry_the_same_annotations() -> None:
    made = image(keys={"dev.slipway.image-key": "sha256:0"})
    index = compose_index([made], about=ABOUT, epoch=EPOCH)
    assert index.annotations == ABOUT.annotations(EPOCH)
    assert made.manifest.annotations == {**ABOUT.annotations(EPOCH), "dev.slipway.image-key": "sha256:0"}
    assert index.annotations["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"


def test_what_nobody_said_is_not_annotated() -> None:
    keys = {key.removeprefix("org.opencontainers.image.") for key in ABOUT.annotations(EPOCH)}
    assert keys == {"created", "title", "description", "version", "vendor", "url", "licenses", "source"}


def test_what_was_said_is_annotated() -> None:
    about = replace(ABOUT, revision="c0ffee", end_of_life="2028-07-31", base=("registry/skiff/base:1.0", "sha256:1"))
    notes = about.annotations(EPOCH)
    assert notes["org.opencontainers.image.revision"] == "c0ffee"
    assert notes["org.opencontainers.image.base.name"] == "registry/skiff/base:1.0"
    assert notes["org.opencontainers.image.base.digest"] == "sha256:1"
    assert notes[END_OF_LIFE] == "2028-07-31"


def test_the_index_names_every_architecture_in_order() -> None:
    images = [image(arch="x86_64"), image(arch="aarch64")]
    index = compose_index(images, about=ABOUT, epoch=EPOCH)
    assert [child.architecture for child in index.manifests] == ["arm64", "amd64"]
    assert [child.digest for child in index.manifests] == [images[1].manifest.digest, images[0].manifest.digest]
    assert index.json()["manifests"][0]["platform"] == {"architecture": "arm64", "os": "linux"}
    assert index.raw == compose_index(reversed(images), about=ABOUT, epoch=EPOCH).raw


def test_one_architecture_still_gets_an_index() -> None:
    index = compose_index([image()], about=ABOUT, epoch=EPOCH)
    assert index.media_type == oci.INDEX and len(index.manifests) == 1


def test_equal_input_gives_equal_bytes() -> None:
    assert image() == image()


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "aarch64"},
        {"layers": [SMALL_LAYER, LAYER]},
        {"runtime": Runtime(user="1")},
        {"about": replace(ABOUT, version="1.1")},
        {"epoch": EPOCH + 1},
    ],
)
def test_every_input_changes_the_digest(change: dict[str, Any]) -> None:
    assert image(**change).manifest.digest != image().manifest.digest


def test_refuses_an_architecture_without_a_name_in_oci() -> None:
    with pytest.raises(Refused) as caught:
        image(arch="sparc")
    assert caught.value.expected == "aarch64, x86_64"
    assert set(OCI_ARCHITECTURE) == {"aarch64", "x86_64"}


def test_history_has_one_entry_for_each_layer() -> None:
    with pytest.raises(ValueError, match="zip"):
        image(history=["only one"])


def test_published_layers_can_be_built_upon() -> None:
    layers = [replace(LAYER, compression=Compression.ZSTD), SMALL_LAYER]
    made = image(layers=layers)
    assert layers_of(made.manifest, made.config) == tuple(layers)


@pytest.mark.parametrize("other", [b"{}", image(epoch=EPOCH + 1).config])
def test_refuses_the_configuration_of_another_image(other: bytes) -> None:
    with pytest.raises(Refused, match="does not belong"):
        layers_of(image().manifest, other)


def test_refuses_a_configuration_with_missing_layers() -> None:
    short = json.dumps({"rootfs": {"diff_ids": [LAYER.diff_id]}}).encode()
    manifest = oci.manifest(config=oci.blob(short, oci.IMAGE_CONFIG), layers=[LAYER.descriptor, SMALL_LAYER.descriptor])
    with pytest.raises(Refused, match="does not belong"):
        layers_of(manifest, short)


def test_refuses_layers_of_a_foreign_kind() -> None:
    raw = json.dumps({"rootfs": {"diff_ids": [LAYER.diff_id]}}).encode()
    foreign = replace(LAYER.descriptor, media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    with pytest.raises(Refused, match="foreign"):
        layers_of(oci.manifest(config=oci.blob(raw, oci.IMAGE_CONFIG), layers=[foreign]), raw)
