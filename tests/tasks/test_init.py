"""`slipway init`: an installation from a tree, and again without harm."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from pathlib import Path

import pytest

from release.errors import Misconfigured, Refused
from tasks.init import initialize
from tasks.settings import Settings, read_settings
from tasks.wiring import open_tools
from tests import tiny_tree
from tests.world import IDENTITY, World

pytestmark = pytest.mark.integration


@pytest.fixture
def tree(tmp_path: Path, world: World) -> Path:
    """Tiny Linux with a lock, and a folder that is about trying it out."""
    for path, content in tiny_tree.tree().items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(content)
    (tmp_path / "tree" / "toolchain.lock.json").write_text(world.show("stable:toolchain.lock.json"))
    (tmp_path / "tree" / "demo").mkdir()
    (tmp_path / "tree" / "demo" / "notes").write_text("no part of it")
    return tmp_path / "tree"


def settings_in(folder: Path, **more: str) -> Settings:
    """Settings of a new installation."""
    return read_settings({"SLIPWAY_STATE": str(folder / "state"), "SLIPWAY_IDENTITY": IDENTITY, **more})


async def init(settings: Settings, tree: Path) -> str:
    """Run it; the head of stable."""
    async with open_tools(settings) as tools:
        return await initialize(tools, tree, lambda *_: None)


def show(settings: Settings, what: str) -> bytes:
    """A file at a revision, as git has it."""
    return subprocess.run(["git", "-C", settings.repository, "show", what], check=True, capture_output=True).stdout


async def test_the_repository_has_the_tree_filled_in_for_this_installation(tree: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, SLIPWAY_WEB_PUBLIC="https://packages.tiny.example")
    head = await init(settings, tree)
    repo = show(settings, "stable:SPECS/tiny-repos/tiny.repo")
    assert b"baseurl=https://packages.tiny.example/repo/stable/$basearch\n" in repo
    key = show(settings, "stable:SPECS/tiny-repos/RPM-GPG-KEY-tiny")
    assert key.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    pinned = json.loads(show(settings, "stable:SPECS/tiny-repos/tiny-repos.signatures.json"))["Signatures"]
    assert pinned == {
        "tiny.repo": hashlib.sha256(repo).hexdigest(), "RPM-GPG-KEY-tiny": hashlib.sha256(key).hexdigest(),
    }  # fmt: skip
    listed = show(settings, "stable:").decode()
    assert "distro.yaml" in listed and "demo" not in listed
    assert show(settings, head + ":README.md") == b"# Tiny Linux\n"


async def test_secrets_are_readable_by_their_owner_only(tree: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    await init(settings, tree)
    for path, mode in ((settings.webhook_secret_file, 0o600), (settings.openpgp_home, 0o700)):
        assert stat.S_IMODE(Path(path).stat().st_mode) == mode
    assert len(Path(settings.webhook_secret_file).read_text().strip()) == 64


async def test_a_second_init_changes_nothing(tree: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = await init(settings, tree)
    secret = Path(settings.webhook_secret_file).read_text()
    hook = Path(settings.repository) / "hooks" / "post-receive"
    before = hook.stat().st_mtime_ns
    (tree / "README.md").write_text("# another tree\n")
    assert await init(settings, tree) == first
    assert Path(settings.webhook_secret_file).read_text() == secret
    assert hook.stat().st_mtime_ns == before
    assert hook.stat().st_mode & 0o111


async def test_settings_that_contradict_the_distribution_are_refused(tree: Path, tmp_path: Path) -> None:
    for more in ({"SLIPWAY_IDENTITY": "https://other.example"}, {"SLIPWAY_BRANCH": "main"}):
        with pytest.raises(Misconfigured) as caught:
            await init(settings_in(tmp_path, **more), tree)
        assert next(iter(more)) in caught.value.diagnostics()
    assert not (tmp_path / "state" / "git").exists()


async def test_a_repository_elsewhere_is_not_made_here(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the repository is elsewhere"):
        await init(settings_in(tmp_path, SLIPWAY_REPOSITORY="https://forge.example/tiny.git"), tree)
