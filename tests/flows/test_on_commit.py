"""A commit becomes a signed release that stock tools consume; what did not change is not made again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterName

from flows.building import refuse_failures
from flows.fanout import Outcome
from release.errors import Refused
from release.oci import Document
from release.product.repository import files
from tests import tiny_tree
from tests.checker import Sampler
from tests.world import World, named

pytestmark = pytest.mark.integration
RPM = "application/x-rpm"
REPOSITORIES = ("tiny/rpms", "tiny/base", "tiny/distroless", "tiny/releases")
SIGNATURE, PROVENANCE = "https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"


def edge(world: World) -> dict[str, Any]:
    """The record of the release that edge points at."""
    return world.record(world.pointer("edge")["current"]["digest"])


def builds_of(world: World, record: Mapping[str, Any]) -> dict[str, str]:
    """Source package -> digest of its build, in a release's snapshot."""
    index = world.checker.document("tiny/rpms", record["snapshot"]["digest"])
    return {str(named(each)): each["digest"] for each in index["manifests"] if named(each)}


def certificates_of(world: World, record: Mapping[str, Any]) -> dict[str, Any]:
    """The certificates of a release."""
    return dict(json.loads(world.checker.blob("tiny/releases", record["certificates"]["digest"])))


def image_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One image of a release."""
    return dict(next(each for each in record["images"] if each["name"] == name))


# --- the release as consumers see it


def test_every_tag_is_proven_and_edge_names_one_release_everywhere(world: World) -> None:
    pointer, record, tags = world.pointer("edge"), edge(world), world.checker.tags()
    assert world.checker.unproven() == []
    assert tags["tiny/releases:edge"] == pointer["current"]["digest"]
    assert tags["tiny/rpms:edge"] == record["snapshot"]["digest"]
    assert {tags[f"{each['repository']}:edge"] for each in record["images"]} == {
        each["digest"] for each in record["images"]
    }
    alias = pointer["current"]["alias"]
    assert [tags[f"{each}:{alias}"] for each in REPOSITORIES] == [tags[f"{each}:edge"] for each in REPOSITORIES]


def test_the_commit_ends_with_a_note_that_names_its_release(world: World) -> None:
    note = world.note(world.first)
    assert note is not None and note["state"] == "released"
    assert world.record(note["release"]["digest"])["source"]["commit"] == world.first
    assert world.checker.tags()[f"tiny/releases:{note['release']['alias']}"] == note["release"]["digest"]


def test_every_package_has_provenance_about_the_commit_the_sources_and_the_build_root(world: World) -> None:
    built = builds_of(world, edge(world))
    assert set(tiny_tree.PACKAGES) < set(built)
    for package in tiny_tree.PACKAGES:
        (said,) = [
            each
            for each in world.checker.statements("tiny/rpms", built[package])
            if each["predicateType"] == PROVENANCE
        ]
        definition = said["predicate"]["buildDefinition"]
        document = world.checker.document("tiny/rpms", built[package])
        assert definition["externalParameters"]["buildKey"] == document["annotations"]["dev.slipway.build-key"]
        assert definition["externalParameters"]["spec"] == f"SPECS/{package}/{package}.spec"
        materials = [each["uri"] for each in definition["resolvedDependencies"]]
        assert any("/bash@" in each for each in materials), "the build root is listed"
        rpms = {layer["digest"].removeprefix("sha256:") for layer in document["layers"] if layer["mediaType"] == RPM}
        assert rpms <= {each["digest"]["sha256"] for each in said["subject"]}


def test_every_image_has_an_sbom_of_packages_that_the_release_publishes(world: World) -> None:
    record = edge(world)
    published = {
        layer["digest"]
        for digest in builds_of(world, record).values()
        for layer in world.checker.document("tiny/rpms", digest)["layers"]
    }
    for image, package in (("base", "dnf"), ("distroless", "cc")):
        found = image_of(record, image)
        (said,) = [
            each
            for each in world.checker.statements(f"tiny/{image}", found["manifests"][0]["digest"])
            if each["predicateType"] == SPDX
        ]
        rpms = [each for each in said["predicate"]["packages"] if "pkg:rpm/" in str(each.get("externalRefs"))]
        assert package in {each["name"] for each in rpms}
        assert {f"sha256:{each['checksums'][0]['checksumValue']}" for each in rpms} <= published


def test_every_path_of_the_snapshot_is_a_blob_of_that_size(world: World) -> None:
    documents = []
    with httpx.Client(base_url=world.settings.registry) as http:
        for child in world.checker.document("tiny/rpms", edge(world)["snapshot"]["digest"])["manifests"]:
            raw = http.get(f"/v2/tiny/rpms/manifests/{child['digest']}", headers={"accept": child["mediaType"]}).content
            assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == child["digest"]
            documents.append(Document(media_type=child["mediaType"], raw=raw))
        repodata = [each for each in documents if "repodata" in each.json()["artifactType"]]
        found = files(repodata, [each for each in documents if each not in repodata])
        sizes = {
            path: int(http.head(f"/v2/tiny/rpms/blobs/{file.digest}").headers["content-length"])
            for path, file in found.items()
        }
    assert sizes == {path: file.size for path, file in found.items()}
    assert "x86_64/repodata/repomd.xml.asc" in found


def test_stock_dnf_installs_signed_packages_straight_from_the_registry(world: World, tmp_path: Path) -> None:
    index = world.checker.document("tiny/rpms", edge(world)["snapshot"]["digest"])
    repodata = world.checker.document(
        "tiny/rpms", next(each["digest"] for each in index["manifests"] if not named(each))
    )
    direct = next(
        layer["digest"]
        for layer in repodata["layers"]
        if layer["annotations"]["org.opencontainers.image.title"] == "repodata/repomd-direct.xml"
    )
    key = tmp_path / "key"
    key.write_text(world.git("show", "origin/stable:SPECS/tiny-repos/RPM-GPG-KEY-tiny"))
    (tmp_path / "dnf.conf").write_text(
        f"[main]\nreposdir=/nonexistent\nplugins=0\ncachedir={tmp_path}/cache\n"
        f"[tiny]\nname=tiny\nbaseurl={world.settings.registry}/v2/tiny/rpms/blobs/{direct}#\n"
        f"gpgcheck=1\ngpgkey=file://{key}\n"
    )
    words = ["dnf", "-y", f"--config={tmp_path}/dnf.conf", f"--installroot={tmp_path}/root", "--releasever=1"]
    done = subprocess.run([*words, "install", "bb", "dd"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = (tmp_path / "root/usr/share/bb/bb.txt").read_text()
    assert said == f"bb with {(tmp_path / 'root/usr/share/aa/aa.txt').read_text()}"
    assert (tmp_path / "root/usr/share/dd/dd.txt").read_text() == "leaf\n"


@pytest.fixture
def run_image(world: World) -> Iterator[Any]:
    """Runs a program in an image of edge, pulled by the engine as any consumer does."""
    host = world.settings.registry.partition("://")[2]
    environment = {**world.environment, "DOCKER_HOST": world.settings.docker}
    pulled = set()

    def run(image: str, *words: str, network: str = "none") -> str:
        reference = f"{host}/tiny/{image}:edge"
        pulled.add(reference)
        argv = ["docker", "run", "--rm", "--pull", "always", "--quiet", "--network", network, reference, *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    yield run
    subprocess.run(["docker", "rmi", "-f", *pulled], env=environment, capture_output=True, check=True)


def test_the_images_run(world: World, run_image: Any) -> None:
    said = world.git("show", "origin/stable:SPECS/aa/aa.txt")
    assert run_image("distroless") == f"cc has bb with {said}"
    assert run_image("base", "rpm", "-q", "tiny-release") == "tiny-release-1.0-1.tiny1.noarch"
    assert "Tiny Linux" in run_image("base", "cat", "/etc/os-release")


def test_dnf_in_the_base_image_installs_from_the_release_that_the_image_belongs_to(
    world: World, run_image: Any
) -> None:
    evr = world.built("dd")["annotations"]["dev.slipway.evr"]
    script = "dnf -y -q install dd >&2 && rpm -q dd && cat /usr/share/dd/dd.txt"
    assert run_image("base", "bash", "-c", script, network="host").split() == [f"dd-{evr}.noarch", "leaf"]


async def test_prefect_shows_the_plan_the_builds_and_the_release(world: World) -> None:
    note = world.note(world.first)
    assert note is not None
    keys = [f"plan-{world.first[:12]}", f"release-{note['release']['alias'].lower().replace('.', '-')}"]
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=keys))
    named = FlowRunFilter(name=FlowRunFilterName(like_=world.first[:12]))
    async with get_client() as client:
        artifacts = {each.key: str(each.data) for each in await client.read_artifacts(artifact_filter=wanted)}
        runs = await client.read_flow_runs(flow_run_filter=named)
    plan, release = (artifacts[key] for key in keys)
    assert "new: SPECS/cc/cc.spec" in plan and '"package": "cc"' in plan
    assert note["release"]["digest"] in release and "| publish |" in release
    assert runs


# --- what follows


async def test_the_same_commit_again_does_nothing(world: World) -> None:
    head = world.head()
    await world.release(head)
    before, builds, pointer = world.checker.tags(), world.builds, world.pointer("edge")
    note = await world.release(head)
    assert (world.checker.tags(), world.builds, world.pointer("edge")) == (before, builds, pointer)
    assert note == world.note(head)


async def test_a_commit_that_changes_nothing_of_a_release_ends_as_no_op(world: World) -> None:
    before, builds = world.checker.tags(), world.builds
    note = await world.release(world.merge({"README.md": f"# Tiny {len(builds)} {len(before)}\n"}, "readme: Words"))
    assert note["state"] == "no-op"
    assert note["release"] == world.pointer("edge")["current"]
    assert (world.checker.tags(), world.builds) == (before, builds)


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A change of the library, released while a sampler watched the registry."""

    before: dict[str, Any]
    after: dict[str, Any]
    note: dict[str, Any]
    built: list[str]
    plan: dict[str, Any]
    certificates: dict[str, Any]
    sampler: Sampler
    serial: int


@pytest.fixture(scope="module")
def merged(world: World) -> Merged:
    """The library says another word."""
    count, before, serial = len(world.builds), edge(world), world.pointer("edge")["serial"]
    commit = world.merge(tiny_tree.aa(f"pepper {count}"), "aa: Taste of pepper")
    with Sampler(world.new_checker()) as sampler:
        note = asyncio.run(world.release(commit))
    after = edge(world)
    plan = json.loads(world.checker.blob("tiny/releases", after["plan"]["digest"]))
    return Merged(
        before=before, after=after, note=note, built=world.builds[count:], plan=plan, sampler=sampler,
        certificates=certificates_of(world, after), serial=serial,
    )  # fmt: skip


def test_a_change_rebuilds_exactly_the_package_and_what_depends_on_it_in_order(merged: Merged) -> None:
    assert merged.note["state"] == "released"
    assert merged.built == ["aa", "bb", "cc"]
    assert [each["package"] for each in merged.plan["certain"]] == ["aa"]
    assert not [key for key in merged.plan if key.endswith("_time")], "the same on whichever machine"
    assert {each["package"]: each["path"][0] for each in merged.plan["possible"]} == {
        "bb": {"package": "bb", "on": "aa", "through": ["aa"]},
        "cc": {"package": "cc", "on": "aa", "through": ["bb", "aa"]},
    }


def test_each_package_has_a_certificate_that_says_what_became_of_it_and_why(world: World, merged: Merged) -> None:
    found = merged.certificates["packages"]
    assert {name: each["outcome"] for name, each in found.items()} == {
        "aa": "built", "bb": "built", "cc": "built", "dd": "unchanged", "tiny-release": "unchanged",
        "tiny-repos": "unchanged",
    }  # fmt: skip
    assert found["aa"]["reasons"] == ["its spec or a file beside it changed"]
    assert found["aa"]["differs"] == ["aa: /usr/share/aa/aa.txt changed"]
    assert found["bb"]["reasons"] == ["its build observes a change of aa"] and found["bb"]["via"] == ["aa"]
    assert sorted(found["cc"]["via"]) == ["aa", "bb"] and sorted(found["cc"]["consumed"]) == ["aa", "bb"]
    assert found["dd"]["reasons"] == found["dd"]["via"] == []
    assert found["bb"]["build"] == builds_of(world, merged.after)["bb"]


def test_what_was_rebuilt_got_a_higher_release_without_a_person_raising_it(world: World, merged: Merged) -> None:
    evrs = {name: each["evr"] for name, each in merged.certificates["packages"].items()}
    before = {name: each["evr"] for name, each in certificates_of(world, merged.before)["packages"].items()}
    assert evrs["bb"] == f"1.0-1.tiny1^{int(before['bb'].partition('^')[2] or 0) + 1}"
    assert evrs["dd"] == before["dd"], "nobody built it"


def test_what_did_not_change_keeps_its_bits(world: World, merged: Merged) -> None:
    before, after = builds_of(world, merged.before), builds_of(world, merged.after)
    assert {name for name in after if after[name] != before[name]} == {"aa", "bb", "cc"}
    layers = [
        world.checker.document("tiny/base", image_of(record, "base")["manifests"][0]["digest"])["layers"]
        for record in (merged.before, merged.after)
    ]
    assert layers[0][0] == layers[1][0], "no package of the base image changed"
    assert layers[0][1] != layers[1][1], "but it is pinned to the repository of its own release"
    assert image_of(merged.before, "distroless")["digest"] != image_of(merged.after, "distroless")["digest"]


def test_at_no_instant_of_a_release_did_a_tag_name_an_unproven_digest(merged: Merged) -> None:
    assert merged.sampler.rounds > 10
    assert merged.sampler.unproven == []


def test_the_serial_rises_by_one(world: World, merged: Merged) -> None:
    assert merged.serial + 1 in [each["serial"] for each in world.pointer("edge")["history"]]


async def test_a_changed_image_definition_makes_that_image_only(world: World, merged: Merged) -> None:
    before, builds = edge(world), world.builds
    path = "imageconfigs/distroless/distroless.json"
    note = await world.release(world.merge({path: tiny_tree.distroless_image("dd")}, "distroless: With dd"))
    after = edge(world)
    assert note["state"] == "released"
    assert world.builds == builds
    assert image_of(after, "base")["digest"] == image_of(before, "base")["digest"]
    assert image_of(after, "distroless")["digest"] != image_of(before, "distroless")["digest"]
    assert after["snapshot"]["digest"] == before["snapshot"]["digest"], "the same builds are the same repository"


async def test_a_failing_package_stops_only_what_depends_on_it(world: World, tmp_path: Path) -> None:
    count, tags, pointer = len(world.builds), world.checker.tags(), world.pointer("edge")
    broken = tiny_tree.tree()["SPECS/bb/bb.spec"].replace("%install\n", "%install\necho out of salt >&2; exit 9\n")
    changed = tiny_tree.dd("# another day", "")
    commit = world.merge({"SPECS/bb/bb.spec": broken, "SPECS/dd/dd.spec": changed}, "bb: Out of salt")
    with pytest.raises(Refused) as caught:
        await world.release(commit)
    told = caught.value.diagnostics()
    assert caught.value.where == "SPECS/bb/bb.spec"
    assert "out of salt" in (caught.value.got or ""), "the last lines of the log"
    assert f"reproduce it here: slipway build bb --commit {commit}\n" in told
    assert "not built, because it needs them: cc" in told
    assert sorted(world.builds[count:]) == ["bb", "dd"], "dd needs nothing of bb"
    note = world.note(commit)
    assert note is not None and note["state"] == "failed" and "bb" in note["reason"]
    log = httpx.get(next(word for word in told.split() if "/blobs/sha256:" in word)).raise_for_status().text
    assert "out of salt" in log
    assert note["log"] in told, "the note keeps the log"
    again = world.slipway(*f"build bb --commit {commit}".split(), "--out", str(tmp_path))
    assert again.returncode == Refused.exit_code and "out of salt" in again.stderr
    assert b"out of salt" in (tmp_path / "build.log").read_bytes()
    assert world.pointer("edge") == pointer
    assert {tag for tag in world.checker.tags() if ":edge" in tag or ":R-" in tag} == {
        tag for tag in tags if ":edge" in tag or ":R-" in tag
    }
    mended = await world.release(world.revert())
    assert mended["state"] == "no-op", "what is there again is what edge has"


def test_several_failures_are_told_as_one_with_the_names_of_the_others() -> None:
    failed = {name: Refused(f"{name} failed", hint="look") for name in ("dd", "bb", "aa")}
    with pytest.raises(Refused, match="dd failed") as caught:
        refuse_failures(Outcome(done={}, failed=failed, blocked={"cc": "bb"}))
    assert caught.value.hint == "look\n  also failed: aa, bb\n  not built, because it needs them: cc"
