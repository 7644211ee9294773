"""Makes an installation: keys, and a bare git repository from a tree, filled in for this gateway and this key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from release.digests import digest_of
from release.errors import Misconfigured, Refused
from release.source.distro import Distro, parse_distro
from release.source.specs import parse_signatures
from release.tools.git import Identity, create_bare
from signing.gnupg import create_key
from tasks.bootstrap import resolve_toolchain

if TYPE_CHECKING:
    from tasks.wiring import Tools

DEMO = "demo"  # a folder of a tree that is about trying it out and is no part of the distribution
MAINTAINER = Identity(name="Skiff Maintainer", email="maintainers@skiff.example")
Say = Callable[[str, str], None]


async def initialize(tools: Tools, tree: Path, say: Say) -> str:
    """Everything that a new installation needs; what is there already is left alone. Returns the stable head."""
    settings = tools.settings
    if "://" in settings.repository:
        raise Refused(
            "the repository is elsewhere, so it is not made here",
            where=settings.repository,
            hint="commit the rendered files yourself; docs/distribution.md says which",
        )
    distro = _distro(tree)
    _refuse_other_settings(tools, distro)
    await create_key(Path(settings.openpgp_home), user_id=f"{distro.title} packages <packages@{distro.name}.example>")
    say("keys", settings.openpgp_home)
    _make_secret(Path(settings.webhook_secret_file))
    repository = Path(settings.repository)
    create_bare(repository, branch=distro.branch)
    head = await asyncio.to_thread(tools.repository.head, distro.branch)
    if head is None:
        files = await _files(tools, tree, distro, say)
        head = await asyncio.to_thread(
            tools.repository.commit_files,
            distro.branch,
            files,
            message=f"{distro.title}: First commit of the distribution\n",
            expected_head=None,
            author=MAINTAINER,
            time=tools.now(),
        )
    _install_hook(tools, repository)
    say("repository", f"{repository} ({distro.branch} at {head[:12]})")
    return head


def _distro(tree: Path) -> Distro:
    path = tree / "distro.yaml"
    if not path.is_file():
        raise Misconfigured(
            "not a distribution", where=str(tree), expected="distro.yaml at its top", hint="docs/distribution.md"
        )
    return parse_distro(path.read_text(), str(path))


def _refuse_other_settings(tools: Tools, distro: Distro) -> None:
    """Settings that must say what distro.yaml says, or everything would be signed and nothing would verify."""
    settings = tools.settings
    pairs = [("SLIPWAY_BRANCH", settings.branch, distro.branch)]
    if settings.embedded_trust:
        pairs.append(("SLIPWAY_IDENTITY", settings.identity, distro.identity))
    for variable, got, expected in pairs:
        if got != expected:
            raise Misconfigured(f"{variable} is not what distro.yaml says", got=got, expected=expected)


def _make_secret(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32) + "\n")


async def _files(tools: Tools, tree: Path, distro: Distro, say: Say) -> dict[str, bytes]:
    files = _read(tree)
    rendered = await _rendered(tools, distro, files)
    files |= rendered
    files |= _pinned(files, rendered)
    if distro.toolchain.lock not in files:
        say("toolchain", f"resolving {len(distro.toolchain.seeds or distro.toolchain.packages)} packages")
        lock = await resolve_toolchain(tools, distro)
        files[distro.toolchain.lock] = json.dumps(lock.to_json(), indent=2).encode() + b"\n"
        say("toolchain", f"{len(lock.packages)} packages pinned in {distro.toolchain.lock}")
    return files


def _read(tree: Path) -> dict[str, bytes]:
    paths = sorted(str(each.relative_to(tree)) for each in tree.rglob("*") if each.is_file())
    return {path: (tree / path).read_bytes() for path in paths if not path.startswith((f"{DEMO}/", ".git/"))}


async def _rendered(tools: Tools, distro: Distro, files: dict[str, bytes]) -> dict[str, bytes]:
    """Each `x.in` as `x` with the gateway's address, and the public key beside it."""
    key = await (await tools.rpm_signer()).public_key()
    gateway = f"{tools.settings.web_public}/repo".encode()
    found: dict[str, bytes] = {}
    for path, content in files.items():
        if path.endswith(".repo.in"):
            found[path.removesuffix(".in")] = content.replace(b"@GATEWAY@", gateway)
            found[str(Path(path).parent / f"RPM-GPG-KEY-{distro.name}")] = key.encode()
    return found


def _pinned(files: dict[str, bytes], rendered: dict[str, bytes]) -> dict[str, bytes]:
    """The signatures files of the folders that were rendered into, with the new hashes."""
    found: dict[str, bytes] = {}
    for folder in {str(Path(path).parent) for path in rendered}:
        for path in [each for each in files if each.startswith(f"{folder}/") and each.endswith(".signatures.json")]:
            known = dict(parse_signatures(files[path].decode(), path))
            known |= {
                Path(each).name: hashlib.sha256(content).hexdigest()
                for each, content in rendered.items()
                if str(Path(each).parent) == folder
            }
            found[path] = json.dumps({"Signatures": known}, indent=2).encode() + b"\n"
    return found


def _install_hook(tools: Tools, repository: Path) -> None:
    """post-receive tells the receiver of every push; it runs this very interpreter and this very code."""
    settings = tools.settings
    words = [
        sys.executable, "-m", "flows.post_receive",
        "--url", f"http://127.0.0.1:{settings.web_port}/events",
        "--secret-file", settings.webhook_secret_file,
        "--repository", settings.repository_name,
    ]  # fmt: skip
    code = str(Path(__file__).parent.parent)
    hook = repository / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    text = f"#!/bin/sh\n# Written by slipway init.\nPYTHONPATH={shlex.quote(code)} exec {shlex.join(words)}\n"
    if not hook.exists() or digest_of(hook.read_bytes()) != digest_of(text.encode()):
        hook.write_text(text)
    hook.chmod(0o755)
