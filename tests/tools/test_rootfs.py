"""Roots of images, assembled for real: sealed, signed packages only, clean, and the same bytes every time."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from release.errors import Broken, Misconfigured, Refused
from release.product.accounts import User
from release.product.image_definitions import ImageDefinition
from release.product.image_packages import ImagePackage, image_epoch
from release.product.roots import AddedFile, Root, Script
from release.tools.containers import Containers
from release.tools.rootfs import RootAssembler
from release.tools.store import digest_of_file
from tests.tools.assembly_root import assembly_image
from tests.tools.voyage_rpms import BUILD_TIME, build_repository, index, make_key, run, sign

pytestmark = pytest.mark.integration
TOOL = ImageDefinition(name="tool", packages=("voyage-tool",))
SHELL = ImageDefinition(name="shell", packages=("voyage-tool", "voyage-shell"))


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `rpms` (signed, indexed), `key.asc` and the signer's `gnupg`."""
    folder = tmp_path_factory.mktemp("yard")
    build_repository(folder)
    return folder


@pytest.fixture(scope="session")
def image(docker_url: str) -> str:
    """The toolchain's image."""
    return assembly_image(docker_url)


@pytest.fixture
def assembler(docker_url: str, image: str, tmp_path: Path) -> Iterator[RootAssembler]:
    containers = Containers(docker_url)
    yield RootAssembler(containers=containers, image=image, folder=tmp_path)
    containers.close()


@pytest.fixture(scope="session")
def tool(docker_url: str, image: str, yard: Path, tmp_path_factory: pytest.TempPathFactory) -> Assembled:
    """The distroless image, assembled once for all who only look at it."""
    folder = tmp_path_factory.mktemp("tool")
    containers = Containers(docker_url)
    try:
        return asyncio.run(
            assembled(RootAssembler(containers=containers, image=image, folder=folder), TOOL, yard, folder)
        )
    finally:
        containers.close()


class Assembled:
    """A layer as a tree of members."""

    def __init__(self, path: Path, packages: tuple[ImagePackage, ...]) -> None:
        self.content = path.read_bytes()
        self.packages = packages
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.content))) as tar:
            self.members = {member.name: member for member in tar}
            self.texts = {
                name: (tar.extractfile(member) or io.BytesIO()).read()
                for name, member in self.members.items()
                if member.isreg()
            }


async def assembled(
    assembler: RootAssembler, definition: ImageDefinition, yard: Path, out: Path, *, rpms: Path | None = None
) -> Assembled:
    repository, key = rpms or yard / "rpms", (yard / "key.asc").read_text()
    packages = await assembler.resolve(definition, repository)
    await assembler.assemble(definition, packages, out / "layer", repository=repository, key=key)
    return Assembled(out / "layer", packages)


async def test_resolving_tells_what_will_be_in_the_image(assembler: RootAssembler, yard: Path) -> None:
    packages = await assembler.resolve(TOOL, yard / "rpms")
    assert [package.nevra for package in packages] == ["voyage-1.0-1.x86_64", "voyage-tool-1.0-1.x86_64"]
    tool = packages[1]
    file = yard / "rpms" / tool.file
    header = run(["rpm", "-qp", "--nosignature", "--qf", "%{SHA256HEADER} %{LONGSIZE}", str(file)], yard)
    assert (tool.digest, f"{tool.header_digest} {tool.size}") == (digest_of_file(file), header)
    assert (tool.license, tool.vendor, tool.build_time) == ("Apache-2.0", "Shipwrights", BUILD_TIME)
    assert tool.source_rpm == "voyage-1.0-1.src.rpm" and image_epoch(packages) == BUILD_TIME


async def test_two_assemblies_seconds_apart_are_bit_identical(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    root = Root(users=(User(name="nonroot", uid=65532),), files=(AddedFile(path="/etc/motd", content=b"hi\n"),))
    layers = []
    for name in ("first", "second"):
        packages = await assembler.resolve(SHELL, yard / "rpms")
        key = (yard / "key.asc").read_text()
        definition = replace(SHELL, root=root)
        out = tmp_path / name
        layers.append(await assembler.assemble(definition, packages, out, repository=yard / "rpms", key=key))
        await asyncio.sleep(2)
    assert layers[0] == layers[1]
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_distroless_root_has_its_packages_and_nothing_of_the_tools(tool: Assembled) -> None:
    programs = {name for name in tool.members if name.startswith(("usr/bin/", "usr/sbin/"))}
    assert programs == {"usr/bin/tool", "usr/bin/tool-1.0", "usr/bin/suid"}
    leftovers = [name for name in tool.members if "dnf" in name or name.startswith(("var/log/", "tmp/", "run/"))]
    assert leftovers == ["var/log/tool"]
    assert tool.texts["etc/machine-id"] == b""
    assert tool.members["etc/os-release"].linkname == "../usr/lib/os-release"
    assert b"ldconfig" in tool.texts["etc/ld.so.cache"]


def test_owners_modes_links_and_capabilities_survive(tool: Assembled) -> None:
    log, suid, program = (tool.members[name] for name in ("var/log/tool", "usr/bin/suid", "usr/bin/tool"))
    assert (log.uid, log.gid, log.mode) == (7, 8, 0o750)
    assert (suid.uid, suid.mode) == (0, 0o4755)
    assert "SCHILY.xattr.security.capability" in program.pax_headers
    assert tool.members["usr/bin/tool-1.0"].linkname == "usr/bin/tool"
    assert tool.members["tmp"].mode == 0o1777
    assert all(member.mtime <= BUILD_TIME for member in tool.members.values())


def test_foreign_tools_find_the_packages_in_the_root(tool: Assembled, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tool.content)) as tar:
        tar.extractall(tmp_path, filter="fully_trusted")
    database = (tmp_path / "var/lib/rpm").resolve()
    assert [each.name for each in database.iterdir()] == ["rpmdb.sqlite"]
    words = ["rpm", "--define", "_db_backend sqlite", "--dbpath", str(database)]
    listed = run([*words, "-qa", "--qf", "%{NAME} %{SHA256HEADER}\n"], tmp_path).splitlines()
    expected = [f"{package.name} {package.header_digest}" for package in tool.packages]
    assert sorted(line for line in listed if not line.startswith("gpg-pubkey")) == expected


async def test_the_decisions_of_the_definition_are_carried_out(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    root = Root(
        documentation=False,
        locales="de",
        users=(User(name="app", uid=1000, home_directory="/srv/app"),),
        files=(AddedFile(path="/etc/app/secret", content=b"\x00", mode=0o600),),
    )
    found = await assembled(assembler, replace(TOOL, root=root), yard, tmp_path)
    assert "usr/share/doc/tool/README" not in found.members
    assert [name for name in found.members if name.endswith(".mo")] == ["usr/share/locale/de/LC_MESSAGES/tool.mo"]
    assert found.texts["usr/lib/rpm/macros.d/macros.image"] == b"%_excludedocs 1\n%_install_langs de\n"
    assert b"app:x:1000:1000:app:/srv/app:/sbin/nologin" in found.texts["etc/passwd"]
    assert (found.members["srv/app"].uid, found.members["etc/app/secret"].mode) == (1000, 0o600)


async def test_a_list_of_packages_can_take_the_place_of_the_database(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    found = await assembled(assembler, replace(TOOL, root=Root(manifest_only=True)), yard, tmp_path)
    assert not [name for name in found.members if "rpmdb" in name]
    names = found.texts["var/lib/rpmmanifest/container-manifest-1"].decode()
    assert names == "voyage-1.0-1.x86_64\nvoyage-tool-1.0-1.x86_64\n"
    line = found.texts["var/lib/rpmmanifest/container-manifest-2"].decode().splitlines()[1].split("\t")
    tool = found.packages[1]
    assert line[:2] + line[3:] == [
        "voyage-tool", "1.0-1", str(BUILD_TIME), "Shipwrights", "(none)", str(tool.size), "x86_64", "0",
        "voyage-1.0-1.src.rpm",
    ]  # fmt: skip


async def test_a_script_works_inside_the_root_and_leaves_no_trace_of_itself(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    script = Script(name="make.sh", content=b'#!/bin/sh\ntouch "/etc/$1" /tmp/rubbish\n', arguments="'made here'")
    found = await assembled(assembler, replace(SHELL, root=Root(scripts=(script,))), yard, tmp_path)
    assert "etc/made here" in found.members
    assert not [name for name in found.members if "slipway" in name or "rubbish" in name]


@pytest.mark.parametrize(
    ("definition", "said"), [(SHELL, "cannot open /missing"), (TOOL, "/bin/sh")], ids=["it fails", "there is no shell"]
)
async def test_a_script_that_fails_is_named(
    assembler: RootAssembler, yard: Path, tmp_path: Path, definition: ImageDefinition, said: str
) -> None:
    script = Script(name="scripts/broken.sh", content=b"#!/bin/sh\nset -e\n. /missing\n")
    with pytest.raises(Misconfigured, match="a script failed") as caught:
        await assembled(assembler, replace(definition, root=Root(scripts=(script,))), yard, tmp_path)
    assert caught.value.where == f"image {definition.name}, scripts/broken.sh"
    assert said in (caught.value.got or "")


async def test_a_package_that_nothing_provides_is_a_matter_for_a_person(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match="cannot be installed") as caught:
        await assembler.resolve(replace(TOOL, packages=("voyage-tool", "mermaid")), yard / "rpms")
    assert caught.value.where == "image tool" and "mermaid" in (caught.value.got or "")


async def test_an_unsigned_package_is_refused(assembler: RootAssembler, yard: Path, tmp_path: Path) -> None:
    rpms = tmp_path / "unsigned"
    shutil.copytree(yard / "rpms", rpms)
    run(["rpmsign", "--delsign", str(rpms / "voyage-tool-1.0-1.x86_64.rpm")], tmp_path, {"PATH": os.environ["PATH"]})
    index(rpms)
    with pytest.raises(Refused, match="did not install") as caught:
        await assembled(assembler, TOOL, yard, tmp_path, rpms=rpms)
    assert "not signed" in (caught.value.got or "")


async def test_a_package_signed_by_somebody_else_is_refused(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    rpms = tmp_path / "foreign"
    shutil.copytree(yard / "rpms", rpms)
    await asyncio.to_thread(make_key, tmp_path)
    await asyncio.to_thread(sign, tmp_path, [rpms / "voyage-tool-1.0-1.x86_64.rpm"])
    index(rpms)
    with pytest.raises(Refused, match="did not install") as caught:
        await assembled(assembler, TOOL, yard, tmp_path, rpms=rpms)
    assert "GPG" in (caught.value.got or "")


async def test_a_package_that_was_changed_after_signing_is_not_installed(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    rpms = tmp_path / "changed"
    shutil.copytree(yard / "rpms", rpms)
    victim = rpms / "voyage-tool-1.0-1.x86_64.rpm"
    content = bytearray(victim.read_bytes())
    content[-100] ^= 1
    victim.write_bytes(content)
    index(rpms)
    with pytest.raises((Refused, Broken)):
        await assembled(assembler, TOOL, yard, tmp_path, rpms=rpms)


async def test_what_was_not_resolved_is_not_installed_silently(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    packages = await assembler.resolve(TOOL, yard / "rpms")
    key = (yard / "key.asc").read_text()
    with pytest.raises(Broken, match="something else than was resolved") as caught:
        await assembler.assemble(TOOL, packages[1:], tmp_path / "layer", repository=yard / "rpms", key=key)
    assert caught.value.got == "voyage"


async def test_colliding_accounts_are_refused_with_the_image_they_are_in(
    assembler: RootAssembler, yard: Path, tmp_path: Path
) -> None:
    root = Root(users=(User(name="one", uid=5), User(name="two", uid=5)))
    with pytest.raises(Refused, match="there already") as caught:
        await assembled(assembler, replace(TOOL, root=root), yard, tmp_path)
    assert caught.value.where == "image tool"


async def test_a_toolchain_without_python_is_told(docker_url: str, yard: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bare.tar", "w"):
        pass
    containers = Containers(docker_url)
    await containers.import_root(tmp_path / "bare.tar", "slipway-test/bare:1")
    assembler = RootAssembler(containers=containers, image="slipway-test/bare:1", folder=tmp_path)
    with pytest.raises(Broken):
        await assembler.resolve(TOOL, yard / "rpms")
    containers.close()


async def test_nothing_is_left_in_the_folder(assembler: RootAssembler, yard: Path, tmp_path: Path) -> None:
    await assembler.resolve(TOOL, yard / "rpms")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a Path's listing is called blocking here, this one is not
