"""Commits with something wrong in them: one clear message each, a note that says so, and nothing else happens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from release.errors import Error, Misconfigured, Refused
from tests import tiny_tree
from tests.world import World

pytestmark = pytest.mark.integration
SPEC = "SPECS/ee/ee.spec"
SIGNATURES = "SPECS/ee/ee.signatures.json"
BASE = "imageconfigs/base/base.json"


def ee(**parts: str) -> str:
    """The spec of another package."""
    return tiny_tree.spec("ee", **parts)


def line_of(text: str, words: str) -> int:
    """The line in which something stands."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Files of a commit, and the parts of the message that they are answered with."""

    files: Mapping[str, str | None]
    error: type[Error]
    where: str
    message: str
    parts: tuple[str, ...] = ()


TWO = {
    "SPECS/ee/ee.spec": ee(tags="BuildRequires: ff"),
    "SPECS/ff/ff.spec": tiny_tree.spec("ff", tags="BuildRequires: ee"),
}
CASES = {
    "a malformed spec": Case(
        files={SPEC: "Name: ee\nVersion 1.0\n%description\n"},
        error=Refused, where=f"{SPEC}:2", message="rpm cannot read this spec",
        parts=("Version 1.0", "rpmspec -P SPECS/ee/ee.spec"),
    ),
    "a spec that never ends": Case(
        files={SPEC: ee(tags="%{lua: while true do end}")},
        error=Refused, where=SPEC, message="rpm cannot read this spec",
        parts=("expected: a spec that is read in seconds",),
    ),
    "a requirement that nothing provides": Case(
        files={SPEC: ee(tags="BuildRequires: unobtainium >= 2")},
        error=Refused, where=f"{SPEC}:8", message="BuildRequires cannot be satisfied",
        parts=(f"{SPEC}:8: ee: BuildRequires: unobtainium >= 2: nothing provides it", "mend: correct the name"),
    ),
    "a circle": Case(files=TWO, error=Refused, where="SPECS", message="ee", parts=("ff",)),
    "a source that nobody pinned": Case(
        files={SPEC: ee(tags="Source0: https://upstream.example/ee.tar.gz")},
        error=Refused, where=SPEC, message="the source ee.tar.gz has no pinned hash",
        parts=("its sha256 in SPECS/ee/ee.signatures.json", "sha256sum ee.tar.gz"),
    ),
    "a local source with another hash": Case(
        files={
            SPEC: ee(tags="Source0: ee.txt"), "SPECS/ee/ee.txt": "mine\n",
            SIGNATURES: json.dumps({"Signatures": {"ee.txt": "0" * 64}}),
        },
        error=Refused, where=SPEC, message="the source ee.txt is not the pinned one",
        parts=(f"sha256:{sha256(b'mine' + bytes([10])).hexdigest()}", f"expected: sha256:{'0' * 64}", SIGNATURES),
    ),
    "a signatures file with an unknown key": Case(
        files={SPEC: ee(), SIGNATURES: '{\n "Signaturs": {}\n}'},
        error=Misconfigured, where=SIGNATURES, message="unknown key 'Signaturs'", parts=("did you mean 'Signatures'?",),
    ),
    "an unknown key in distro.yaml": Case(
        files={"distro.yaml": tiny_tree.DISTRO.replace("vendor:", "vendr:")},
        error=Misconfigured, where="distro.yaml", message="problems",
        parts=(f"distro.yaml:{line_of(tiny_tree.DISTRO, 'vendor:')}: unknown key 'vendr'", "did you mean 'vendor'?"),
    ),
    "a distro.yaml that is no YAML": Case(
        files={"distro.yaml": "name: [tiny\n"}, error=Misconfigured, where="distro.yaml:", message="",
    ),
    "no distro.yaml": Case(
        files={"distro.yaml": None}, error=Misconfigured, where="", message="the tree has no distro.yaml",
        parts=("docs/distribution.md",),
    ),
    "a macro file that is not there": Case(
        files={"macros/tiny.macros": None}, error=Misconfigured, where="distro.yaml",
        message="a macro file is not in the tree", parts=("got: macros/tiny.macros",),
    ),
    "no lock of the toolchain": Case(
        files={"toolchain.lock.json": None}, error=Misconfigured, where="toolchain.lock.json",
        message="the toolchain set is not pinned", parts=("slipway init",),
    ),
    "an unknown key in a policy": Case(
        files={"policies/stable.yaml": tiny_tree.policy("stable", "beta", 1).replace("soak_seconds", "soak_second")},
        error=Misconfigured, where="policies/stable.yaml", message="",
        parts=("policies/stable.yaml:6: unknown key", "did you mean 'soak_seconds'?"),
    ),
    "a policy that asks for nothing": Case(
        files={"policies/beta.yaml": "channel: beta\nupstream: edge\nproduction: false\nvalid_seconds: 9\n"
                                     "lanes: {normal: {soak_seconds: 0, approvals: 0}}\ngates: []\n"},
        error=Misconfigured, where="policies/beta.yaml", message="", parts=("an empty policy means no",),
    ),
    "no policy": Case(
        files={"policies/beta.yaml": None}, error=Misconfigured, where="policies/beta.yaml",
        message="channel 'beta' has no policy", parts=("docs/channels.md",),
    ),
    "an unknown key in an image definition": Case(
        files={BASE: tiny_tree.base_image().replace('"DisableRpmDocs"', '"DisableRpmDoc"')},
        error=Misconfigured, where=f"{BASE}:{line_of(tiny_tree.base_image(), 'DisableRpmDocs')}",
        message="unknown key", parts=("did you mean 'DisableRpmDocs'?",),
    ),
    "an image definition that is not there": Case(
        files={BASE: None, "imageconfigs/base/other.json": tiny_tree.base_image()},
        error=Misconfigured, where=BASE, message="the tree has no such file",
    ),
    "an image of a package that nobody makes": Case(
        files={BASE: tiny_tree.base_image().replace('"dnf"', '"unobtainium"')},
        error=Misconfigured, where="image base", message="the packages of an image cannot be installed",
        parts=("unobtainium", "mend:"),
    ),
}  # fmt: skip


async def refused(fork: World, case: Case) -> None:
    """Commit, run, and compare what is said; the registry's names stay as they are."""
    tags = fork.checker.tags()
    commit = fork.merge(case.files, "a commit with something wrong in it")
    with pytest.raises(case.error) as caught:
        await fork.release(commit)
    told = caught.value.diagnostics()
    assert (caught.value.where or "").startswith(case.where), told
    assert case.message in caught.value.message, told
    for part in case.parts:
        assert part in told, told
    note = fork.note(commit)
    assert note is not None and note["state"] == "refused", note
    assert note["reason"].startswith(case.where) and case.message in note["reason"]
    assert "\n" not in note["reason"]
    named = {tag for tag in fork.checker.tags() if "sha256-" not in tag and ":c-" not in tag and ":d-" not in tag}
    assert named <= set(tags)


@pytest.mark.parametrize("name", CASES)
async def test_a_commit_is_refused_with_one_clear_message(world: World, tmp_path: Path, name: str) -> None:
    await refused(world.fork(tmp_path), CASES[name])


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    """A web site that serves the files of `tmp_path`/site."""
    (tmp_path / "site").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    yield from _served(partial(Quiet, directory=str(tmp_path / "site")))


def _served(handler: Any) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_source_that_upstream_replaced_is_refused(world: World, tmp_path: Path, upstream: str) -> None:
    (tmp_path / "site" / "ee.txt").write_text("replaced\n")
    pinned = sha256(b"original\n").hexdigest()
    files = {
        SPEC: ee(tags=f"Source0: {upstream}/ee.txt"),
        SIGNATURES: json.dumps({"Signatures": {"ee.txt": pinned}}),
    }
    got = sha256(b"replaced\n").hexdigest()
    await refused(
        world.fork(tmp_path),
        Case(
            files=files, error=Refused, where=SPEC, message="the source ee.txt is not the pinned one",
            parts=(f"its URL: other bytes (sha256:{got})", f"expected: sha256:{pinned}", SIGNATURES),
        ),
    )  # fmt: skip


async def test_a_registry_that_refuses_is_told_as_it_answered(world: World, tmp_path: Path) -> None:
    class Forbidding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b'{"errors": [{"code": "DENIED", "message": "not yours"}]}')

        do_HEAD = do_PUT = do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    for url in _served(Forbidding):
        fork = world.fork(tmp_path, registry=url)
        commit = fork.merge({"README.md": "# forbidden\n"}, "readme: Forbidden")
        with pytest.raises(Error) as caught:
            await fork.release(commit)
        told = caught.value.diagnostics()
        assert "403" in told and "not yours" in told and url in told
        assert caught.value.hint


def test_the_command_line_says_the_same_with_its_exit_code(world: World, tmp_path: Path) -> None:
    fork = world.fork(tmp_path)
    for name, code in (("an unknown key in distro.yaml", 2), ("a malformed spec", 3)):
        case = CASES[name]
        commit = fork.merge(case.files, name)
        done = fork.slipway("plan", "--commit", commit)
        assert done.returncode == code
        assert done.stderr.startswith(f"error: {case.where}")
        assert all(part in done.stderr for part in case.parts)
        assert "Traceback" not in done.stderr
        fork.revert()
