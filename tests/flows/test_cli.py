"""The command line: it teaches, it speaks JSON, and each way to fail has its exit code and one message."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest
from typer.testing import CliRunner

from flows.cli import app
from release.errors import Broken, Misconfigured, Refused
from tests import tiny_tree
from tests.conftest import ROOT, free_port
from tests.world import World

COMMANDS = {
    "up", "down", "doctor", "settings", "init", "demo", "status", "plan", "build", "promote", "rollback",
    "verify", "graph",
}  # fmt: skip
HEAVY = ("prefect", "sigstore", "docker", "fastapi", "httpx", "git", "rich.table", "createrepo_c")


def test_help_lists_every_command_and_the_exit_codes() -> None:
    told = CliRunner().invoke(app, ["--help"]).output
    assert all(f"  {command} " in told for command in COMMANDS)
    assert "130 interrupted" in told
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == COMMANDS  # type: ignore[union-attr]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_each_command_says_what_it_does_in_a_sentence(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"])
    assert told.exit_code == 0
    sentence = told.output.partition("Options:")[0].partition("Arguments:")[0].split("\n\n", 1)[1].strip()
    assert len(sentence) > 60 and sentence.endswith(".")


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["demo", "--help"]])
def test_help_pays_for_nothing_that_it_does_not_need(words: list[str]) -> None:
    script = (
        "import sys\nfrom flows.cli import main\nsys.argv = ['slipway', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('loaded:', *sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    loaded = set(done.rpartition("loaded:")[2].split())
    assert not loaded & set(HEAVY)
    assert "Usage:" in done


def bare(tmp_path: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command on a machine where nothing was set up."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT), "SLIPWAY_STATE": str(tmp_path)}
    argv = [sys.executable, "-m", "flows.cli", *words]
    return subprocess.run(
        argv,
        env=environment | more,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    done = bare(tmp_path, "settings", SLIPWAY_REGISTRI="http://127.0.0.1:1")
    assert done.returncode == Misconfigured.exit_code
    assert done.stderr.startswith("error: unknown setting SLIPWAY_REGISTRI")
    assert "SLIPWAY_REGISTRY" in done.stderr and "slipway settings lists them" in done.stderr
    assert done.stdout == ""


def test_a_setting_that_is_no_number_is_refused(tmp_path: Path) -> None:
    done = bare(tmp_path, "settings", "--json", SLIPWAY_JOBS="many")
    assert done.returncode == Misconfigured.exit_code
    told = json.loads(done.stdout)
    assert (told["error"], told["got"]) == ("Misconfigured", "many")
    assert "SLIPWAY_JOBS" in told["message"]


@pytest.mark.parametrize("words", [["status"], ["plan"], ["build", "aa"], ["verify", "edge"], ["promote", "beta"]])
def test_before_init_every_command_says_what_to_do_first(tmp_path: Path, words: list[str]) -> None:
    done = bare(tmp_path, *words)
    assert done.returncode == Misconfigured.exit_code
    assert "there is no distribution yet" in done.stderr and "slipway init" in done.stderr


def test_a_folder_that_is_no_distribution_is_refused(tmp_path: Path) -> None:
    done = bare(tmp_path, "init", str(tmp_path))
    assert done.returncode == Misconfigured.exit_code
    assert "not a distribution" in done.stderr and "distro.yaml at its top" in done.stderr


def test_doctor_names_each_missing_thing_with_its_mend(tmp_path: Path) -> None:
    done = bare(tmp_path, "doctor", SLIPWAY_REGISTRY=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == Misconfigured.exit_code
    mends = dict(line.strip().split(": ", 1) for line in done.stderr.splitlines() if line.startswith("  "))
    assert mends["registry answers"] == "slipway up, or correct SLIPWAY_REGISTRY"
    assert mends["the distribution's repository"] == "slipway init makes it from a tree"
    assert mends["web runs"] == "slipway up"
    found = json.loads(bare(tmp_path, "doctor", "--json").stdout)
    assert {"Python", "git", "rpmbuild", "free disk space", "container engine"} <= {each["subject"] for each in found}
    assert all(each["mend"] for each in found if not each["well"])


def test_doctor_names_the_package_of_a_missing_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from release.tools import system
    from tasks.doctor import examine
    from tasks.settings import read_settings

    monkeypatch.setitem(system.PROGRAMS, "rpm-of-the-future", ("rpm-next", "a test"))
    findings = {each.subject: each for each in examine(read_settings({"SLIPWAY_STATE": str(tmp_path)}))}
    assert not findings["rpm-of-the-future"].well
    assert "sudo apt-get install -y --no-install-recommends rpm-next" in findings["rpm-of-the-future"].mend


# --- an installation with a release


@pytest.mark.integration
def test_status_tells_where_everything_stands(world: World) -> None:
    told = json.loads(world.slipway("status", "--json").stdout)
    assert [each["name"] for each in told["channels"]] == ["edge", "beta", "stable"]
    assert told["channels"][0]["alias"] == world.pointer("edge")["current"]["alias"]
    assert told["trust"] == "embedded"
    text = world.slipway("status").stdout
    assert world.pointer("edge")["current"]["alias"] in text and "Tiny Linux" in text


@pytest.mark.integration
def test_verify_says_what_is_proven_of_a_channel_a_release_and_an_image(world: World) -> None:
    alias, digest = world.pointer("edge")["current"]["alias"], world.pointer("edge")["current"]["digest"]
    for reference in ("edge", alias, digest):
        done = world.slipway("verify", reference, "--json")
        assert done.returncode == 0, done.stdout
        assert {each["what"]: each["verdict"] for each in json.loads(done.stdout)} == dict.fromkeys(
            ("signature", "provenance", "sbom", "closure", "ancestry"), "PASS"
        )
    image = world.slipway("verify", "tiny/base:edge", "--json")
    assert image.returncode == 0
    assert [each["verdict"] for each in json.loads(image.stdout)] == ["PASS"] * 3


@pytest.mark.integration
def test_verify_refuses_what_nobody_signed(world: World) -> None:
    import httpx

    content = json.dumps({**world.checker.document("tiny/base", "edge"), "annotations": {"by": "a stranger"}}).encode()
    kind = {"content-type": "application/vnd.oci.image.index.v1+json"}
    place = f"{world.settings.registry}/v2/tiny/base/manifests/stranger"
    digest = httpx.put(place, content=content, headers=kind).raise_for_status().headers["docker-content-digest"]
    try:
        done = world.slipway("verify", f"tiny/base@{digest}")
    finally:
        httpx.delete(place.replace("stranger", digest)).raise_for_status()
    assert done.returncode == Refused.exit_code
    assert "1 of 3 checks did not pass" in done.stderr
    assert "nothing that verifies by https://slipway.example/tiny/sign" in done.stdout


@pytest.mark.integration
def test_refusals_have_their_exit_code_and_speak_json(world: World) -> None:
    for words in (["verify", "R-19990101.1"], ["promote", "edge"], ["rollback", "edge", "--reason", " "]):
        done = world.slipway(*words, "--json")
        assert done.returncode == Refused.exit_code, words
        json.loads(done.stdout)
    unknown = world.slipway("promote", "nightly", "--json")
    assert unknown.returncode == Misconfigured.exit_code
    assert json.loads(unknown.stdout)["expected"] == "edge, beta, stable"


@pytest.mark.integration
def test_a_registry_that_is_down_is_a_failure_of_the_world(world: World) -> None:
    done = world.slipway("verify", "edge", SLIPWAY_REGISTRY=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == Broken.exit_code
    assert "the registry does not answer" in done.stderr and "slipway up" in done.stderr


@pytest.mark.integration
def test_plan_says_what_a_commit_would_build_and_why_and_builds_nothing(world: World, tmp_path: Path) -> None:
    fork, builds = world.fork(tmp_path), world.builds
    commit = fork.merge(tiny_tree.aa("planned"), "aa: Planned")
    plan = json.loads(fork.slipway("plan", "--json").stdout)
    assert [each["package"] for each in plan["certain"]] == ["aa"]
    assert [each["package"] for each in plan["possible"]] == ["bb", "cc"]
    text = fork.slipway("plan", "--commit", commit).stdout
    assert "aa.txt" in text and "bb" in text and "cc" in text
    assert world.builds == builds


@pytest.mark.integration
def test_plan_says_of_a_released_commit_what_its_certificates_say(world: World) -> None:
    done = world.slipway("plan", "--why", "bb", "--commit", world.first)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("bb 1.0-1.tiny1 was built, and has new RPMs (R-")
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert any(line.startswith("  aa  ") for line in lines), "the digest of what its build consumed"
    unknown = world.slipway("plan", "--why", "bbb", "--commit", world.first)
    assert unknown.returncode == Misconfigured.exit_code and "did you mean 'bb'?" in unknown.stderr


@pytest.mark.integration
def test_build_makes_one_package_here_as_the_pipeline_does(world: World, tmp_path: Path) -> None:
    tags = world.checker.tags()
    done = world.slipway("build", "cc", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    made = [Path(line).name for line in done.stdout.split()]
    evr = world.built("cc")["annotations"]["dev.slipway.evr"]
    assert made == [f"cc-{evr}.noarch.rpm", f"cc-{evr}.src.rpm"]
    assert b"rpmbuild" in (tmp_path / "build.log").read_bytes() or (tmp_path / "build.log").stat().st_size
    query = ["rpm", "-qp", "--qf", "%{SHA256HEADER}", str(tmp_path / made[0])]
    header = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    published = {
        layer["annotations"]["org.opencontainers.image.title"]: layer["annotations"]["dev.slipway.header-digest"]
        for layer in world.built("cc")["layers"]
        if layer["mediaType"] == "application/x-rpm"
    }
    assert header == published[made[0]], "the same bits but for the signature"
    assert world.checker.tags() == tags, "nothing is published"


@pytest.mark.integration
def test_build_of_a_package_that_is_not_there_lists_those_that_are(world: World, tmp_path: Path) -> None:
    done = world.slipway("build", "zz", "--out", str(tmp_path))
    assert done.returncode == Misconfigured.exit_code
    assert "no package 'zz' in the tree" in done.stderr and "aa, bb, cc, dd" in done.stderr


@pytest.mark.integration
def test_ctrl_c_in_a_build_ends_its_container_and_the_next_command_works(world: World, tmp_path: Path) -> None:
    fork = world.fork(tmp_path)
    fork.merge({"SPECS/dd/dd.spec": tiny_tree.dd("sleep 60")}, "dd: Takes its time")
    process = subprocess.Popen(
        fork.command("build", "dd", "--out", str(tmp_path / "out")), env=fork.environment, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    container = _container_of(world, process.pid, within=60)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in told and "Traceback" not in told
    assert container not in _containers(world)
    assert fork.slipway("plan").returncode == 0


def _containers(world: World) -> dict[str, int]:
    client = docker.DockerClient(base_url=world.settings.docker)
    try:
        found = client.containers.list(all=True, filters={"label": "dev.slipway.owner"})
        return {str(each.name): int(each.labels["dev.slipway.owner"].split("/")[1]) for each in found}
    finally:
        client.close()


def _container_of(world: World, pid: int, *, within: float) -> str:
    """The container of a process that has been there for two looks: a build, not the quick reading of a spec."""
    limit, seen = time.monotonic() + within, ""
    while time.monotonic() < limit:
        name = next((name for name, owner in _containers(world).items() if owner == pid), "")
        if name and name == seen:
            return name
        seen = name
        time.sleep(2)
    raise AssertionError("the build did not start")
