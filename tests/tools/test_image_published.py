"""A composed image as strangers see it: a real registry takes it, skopeo reads it, Docker pulls and runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import docker
import pytest

from release.oci import Document
from release.product.image_definitions import Runtime
from release.product.images import ArchImage, Compression, Layer, compose_image, compose_index, layers_of
from release.tools.layers import write_files_layer, write_layer
from release.tools.registry import Registry
from tests.release.image_samples import ABOUT, EPOCH

pytestmark = pytest.mark.integration
REPOSITORY = "skiff/tool"
RUNTIME = Runtime(
    user="65532:65532", entrypoint=("/usr/bin/tool",), command=("--version",), environment={"LANG": "C.UTF-8"}
)


def layers_in(folder: Path, compression: Compression = Compression.GZIP) -> list[Layer]:
    """A program that needs no library (ldconfig is one everywhere), and above it a file of this release."""
    tree = folder / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/tool").write_bytes(Path("/sbin/ldconfig").read_bytes())
    (tree / "usr/bin/tool").chmod(0o755)
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\n")
    return [
        write_layer(tree, folder / "0", epoch=EPOCH, compression=compression),
        write_files_layer({"/etc/yum.repos.d/skiff.repo": b"[skiff]\n"}, folder / "1", epoch=EPOCH),
    ]


async def published(registry_url: str, folder: Path) -> tuple[ArchImage, Document]:
    """The image pushed by digest and then tagged `1.0`."""
    layers = layers_in(folder)
    made = compose_image(
        arch="x86_64", layers=layers, runtime=RUNTIME, about=ABOUT, epoch=EPOCH, history=["packages", "repository"]
    )
    index = compose_index([made], about=ABOUT, epoch=EPOCH)
    async with Registry(url=registry_url) as registry:
        await registry.push_blobs(REPOSITORY, [folder / "0", folder / "1", made.config])
        await registry.push_document(REPOSITORY, made.manifest)
        await registry.push_document(REPOSITORY, index, tag="1.0")
    return made, index


def skopeo(*words: str) -> dict[str, object]:
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, check=True)
    value: dict[str, object] = json.loads(done.stdout)
    return value


async def test_skopeo_reads_what_was_composed(registry_url: str, tmp_path: Path) -> None:
    made, index = await published(registry_url, tmp_path)
    reference = f"docker://{registry_url.removeprefix('http://')}/{REPOSITORY}:1.0"
    seen = skopeo("inspect", "--tls-verify=false", reference)
    assert seen["Digest"] == index.digest
    assert seen["Labels"] == ABOUT.annotations(EPOCH)
    assert (seen["Architecture"], seen["Os"], seen["Created"]) == ("amd64", "linux", "2023-11-14T22:13:20Z")
    assert seen["Layers"] == [layer.digest for layer in made.manifest.layers]
    assert "LANG=C.UTF-8" in seen["Env"]  # type: ignore[operator]


async def test_docker_pulls_and_runs_it_as_the_user_it_names(
    registry_url: str, docker_url: str, tmp_path: Path
) -> None:
    _, index = await published(registry_url, tmp_path)
    client = docker.DockerClient(base_url=docker_url)
    try:
        name = f"{registry_url.removeprefix('http://')}/{REPOSITORY}@{index.digest}"
        image = client.images.pull(name)
        assert image.attrs["Config"]["User"] == "65532:65532"
        said = client.containers.run(name, network_mode="none", remove=True)
        assert b"ldconfig" in said
        with pytest.raises(docker.errors.APIError, match="no such file"):  # distroless: nothing but the program
            client.containers.run(name, network_mode="none", remove=True, entrypoint=["/bin/sh", "-c", "true"])
        client.images.remove(name, force=True)
    finally:
        client.close()


async def test_both_layers_lie_over_each_other(registry_url: str, docker_url: str, tmp_path: Path) -> None:
    _, index = await published(registry_url, tmp_path)
    client = docker.DockerClient(base_url=docker_url)
    try:
        name = f"{registry_url.removeprefix('http://')}/{REPOSITORY}@{index.digest}"
        client.images.pull(name)
        container = client.containers.create(name, network_mode="none")
        listed = [entry["Path"] for entry in container.diff() or []]
        found = {
            path: b"".join(container.get_archive(path)[0]) for path in ("/etc/yum.repos.d/skiff.repo", "/etc/passwd")
        }
        container.remove()
        client.images.remove(name, force=True)
    finally:
        client.close()
    assert listed == [] and b"[skiff]" in found["/etc/yum.repos.d/skiff.repo"] and b"root:x:0" in found["/etc/passwd"]


async def test_a_release_that_changes_one_file_shares_the_large_layer(registry_url: str, tmp_path: Path) -> None:
    made, _ = await published(registry_url, tmp_path)
    async with Registry(url=registry_url) as registry:
        stored = await registry.pull_document(REPOSITORY, made.manifest.digest)
        assert stored is not None
        config = await registry.pull_blob(REPOSITORY, stored.json()["config"]["digest"], limit_bytes=1 << 20)
        below = layers_of(stored, config)[0]
        above = write_files_layer({"/etc/yum.repos.d/skiff.repo": b"[newer]\n"}, tmp_path / "2", epoch=EPOCH)
        newer = compose_image(
            arch="x86_64", layers=[below, above], runtime=RUNTIME, about=ABOUT, epoch=EPOCH, history=["a", "b"]
        )
        assert await registry.has_blob(REPOSITORY, newer.manifest.layers[0].digest)
        assert not await registry.has_blob(REPOSITORY, newer.manifest.layers[1].digest)
