"""Image definitions: files of the Azure Linux toolkit as they are, and a clear no to what a container cannot have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from release.errors import Misconfigured
from release.product.accounts import Group, User
from release.product.image_definitions import ImageDefinition, Runtime, read_definition
from release.product.roots import AddedFile, Root, Script

MANIFESTS = Path(__file__).parents[2] / "manifests"
PATH = "imageconfigs/base.json"
# As Azure Linux 3.0 writes its core container: not a key of ours in it.
CORE = """\
{
    "IsContainerImage": true,
    "Disks": [
        {
            "Artifacts": [
                {
                    "Name": "core",
                    "Compression": "tar.gz"
                }
            ]
        }
    ],
    "SystemConfigs": [
        {
            "Name": "Standard",
            "PackageLists": [
                "packagelists/core.json"
            ],
            "PostInstallScripts": [
                {
                    "Path": "postinstallscripts/cleanup.sh"
                }
            ]
        }
    ]
}
"""
TREE = {
    "imageconfigs/packagelists/core.json": b'{"packages": ["bash", "dnf"]}',
    "imageconfigs/packagelists/more.json": b'{"packages": ["dnf", "tar"]}',
    "imageconfigs/postinstallscripts/cleanup.sh": b"#!/bin/bash\nrm -rf /boot/*\n",
    "imageconfigs/files/motd": b"hello\n",
    "shared/list.json": b'{"packages": ["shared"]}',
}


def read(text: str | bytes, **more: bytes) -> ImageDefinition:
    tree = {**TREE, PATH: text.encode() if isinstance(text, str) else text, **more}
    return read_definition(PATH, tree.__getitem__)


def with_system(**system: Any) -> str:
    return json.dumps({"SystemConfigs": [{"Name": "Standard", "Packages": ["bash"], **system}]}, indent=1)


def refused(text: str | bytes, **more: bytes) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        read(text, **more)
    return caught.value


def test_reads_a_container_image_of_azure_linux_as_it_is() -> None:
    script = Script(name="postinstallscripts/cleanup.sh", content=b"#!/bin/bash\nrm -rf /boot/*\n")
    assert read(CORE) == ImageDefinition(name="Standard", packages=("bash", "dnf"), root=Root(scripts=(script,)))


@pytest.mark.parametrize("definition", sorted((MANIFESTS / "imageconfigs").glob("*.json")), ids=lambda path: path.stem)
def test_reads_the_images_of_our_own_distribution(definition: Path) -> None:
    found = read_definition(f"imageconfigs/{definition.name}", lambda path: (MANIFESTS / path).read_bytes())
    assert found.name == definition.stem and "skiff-release" in found.packages


def test_reads_a_distroless_image_of_azure_linux_as_it_is() -> None:
    text = CORE.replace('"PostInstallScripts": [', '"RemoveRpmDb": true, "Packages": [').replace(
        '{\n                    "Path": "postinstallscripts/cleanup.sh"\n                }', ""
    )
    assert read(text).root == Root(manifest_only=True)


def test_the_example_of_the_documentation_is_a_definition() -> None:
    page = (MANIFESTS.parent / "docs/image-definitions.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    more = {"imageconfigs/files/motd": b"hello\n", "imageconfigs/scripts/cleanup.sh": b"#!/bin/sh\n"}
    found = read(example, **more)
    assert found.packages == ("bash", "dnf", "tar") and found.runtime.user == "65532:65532"
    assert len(found.root.files) == len(found.root.users) == len(found.root.scripts) == 1


def test_lists_are_joined_in_order_and_each_package_is_asked_for_once() -> None:
    text = with_system(
        PackageLists=["packagelists/core.json", "packagelists/more.json", "../shared/list.json"],
        Packages=["tar", "zstd"],
    )
    assert read(text).packages == ("bash", "dnf", "tar", "shared", "zstd")


def test_files_go_where_the_definition_says() -> None:
    text = with_system(
        AdditionalFiles={
            "files/motd": ["/etc/motd", {"Path": "/usr/share/motd", "Permissions": "0600"}, {"Path": "/m"}]
        }
    )
    assert read(text).root.files == (
        AddedFile(path="/etc/motd", content=b"hello\n"),
        AddedFile(path="/usr/share/motd", content=b"hello\n", mode=0o600),
        AddedFile(path="/m", content=b"hello\n"),
    )


@pytest.mark.parametrize("target", ["/etc/motd", {"Path": "/etc/motd"}])
def test_one_place_needs_no_list(target: object) -> None:
    assert read(with_system(AdditionalFiles={"files/motd": target})).root.files[0].path == "/etc/motd"


@pytest.mark.parametrize("uid", ["65532", 65532])
def test_accounts_have_numbers_in_text_or_plain(uid: object) -> None:
    text = with_system(
        Groups=[{"Name": "app", "GID": uid}],
        Users=[{"Name": "nonroot", "UID": uid, "PrimaryGroup": "app", "SecondaryGroups": ["wheel"]}],
    )
    assert read(text).root.groups == (Group(name="app", gid=65532),)
    assert read(text).root.users == (User(name="nonroot", uid=65532, primary_group="app", secondary_groups=("wheel",)),)


def test_documentation_and_locales_can_be_left_out() -> None:
    root = read(with_system(DisableRpmDocs=True, OverrideRpmLocales="en:de_DE.UTF-8")).root
    assert (root.documentation, root.locales) == (False, "en:de_DE.UTF-8")
    assert root.macros == "%_excludedocs 1\n%_install_langs en:de_DE.UTF-8\n"


def test_scripts_take_words() -> None:
    text = with_system(PostInstallScripts=[{"Path": "files/motd", "Args": "--now 'a b'"}])
    assert read(text).root.scripts == (Script(name="files/motd", content=b"hello\n", arguments="--now 'a b'"),)


def test_our_own_key_says_what_a_container_runs() -> None:
    document = json.loads(with_system())
    document["Container"] = {
        "User": "65532:65532",
        "Entrypoint": ["/usr/bin/tool"],
        "Cmd": ["-v"],
        "Env": {"TZ": "UTC", "LANG": "C.UTF-8"},
        "WorkingDir": "/srv",
    }
    assert read(json.dumps(document)).runtime == Runtime(
        user="65532:65532",
        entrypoint=("/usr/bin/tool",),
        command=("-v",),
        environment={"LANG": "C.UTF-8", "TZ": "UTC"},
        working_folder="/srv",
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("RemoveRpmdb", "RemoveRpmDb"), ("PackageList", "PackageLists"), ("Package", "Packages"), ("User", "Users")],
)
def test_a_misspelled_key_is_refused_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    text = CORE.replace('"Name": "Standard",', f'"Name": "Standard",\n            "{typed}": [],')
    error = refused(text)
    assert error.where == f"{PATH}:16"
    assert error.message == f"unknown key 'SystemConfigs[0].{typed}'"
    assert error.hint == f"did you mean {meant!r}?"
    assert "PackageLists" in (error.expected or "")


@pytest.mark.parametrize(
    "key", ["KernelOptions", "BootType", "PartitionSettings", "Encryption", "Hostname", "FinalizeImageScripts"]
)
def test_what_only_a_disk_has_is_refused_by_name(key: str) -> None:
    assert f"unknown key 'SystemConfigs[0].{key}'" in refused(with_system(**{key: {}})).message


@pytest.mark.parametrize("key", ["Password", "SSHPubKeyPaths"])
def test_nobody_can_log_in(key: str) -> None:
    user = {"Name": "app", "UID": 1000, key: "x"}
    assert f"unknown key 'SystemConfigs[0].Users[0].{key}'" in refused(with_system(Users=[user])).message


def test_partitions_are_refused() -> None:
    error = refused(CORE.replace('"Artifacts": [', '"Partitions": [],\n            "Artifacts": ['))
    assert "Disks[0].Partitions" in error.message and error.where == f"{PATH}:5"


def test_a_disk_image_is_refused() -> None:
    error = refused(CORE.replace('"Compression": "tar.gz"', '"Type": "vhdx"'))
    assert "Disks[0].Artifacts[0].Type" in error.message and "tar.gz" in (error.expected or "")


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_system_is_one_image(count: int) -> None:
    error = refused(json.dumps({"SystemConfigs": [{"Name": "a", "Packages": ["bash"]}] * count}))
    assert "exactly one system" in (error.expected or "")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "files/../../../x", ".."])
@pytest.mark.parametrize("key", ["PackageLists", "AdditionalFiles", "PostInstallScripts"])
def test_a_path_that_leaves_the_tree_is_refused(key: str, path: str) -> None:
    value: dict[str, object] = {
        "PackageLists": [path],
        "AdditionalFiles": {path: "/etc/x"},
        "PostInstallScripts": [{"Path": path}],
    }
    error = refused(with_system(**{key: value[key]}))
    assert error.message == "a path leaves the tree" and error.got == path and error.where == PATH


@pytest.mark.parametrize("target", ["etc/motd", "/etc/../motd", "/", "//etc/motd", "/etc/", "/etc/./motd", ""])
def test_a_file_has_one_absolute_place_in_the_image(target: str) -> None:
    error = refused(with_system(AdditionalFiles={"files/motd": target}))
    assert "an absolute path" in (error.expected or "")


@pytest.mark.parametrize("mode", ["rw-r--r--", "0888", 644, "", "0777777"])
def test_a_mode_is_octal_in_quotes(mode: object) -> None:
    error = refused(with_system(AdditionalFiles={"files/motd": {"Path": "/m", "Permissions": mode}}))
    assert "octal mode in quotes" in (error.expected or "")


@pytest.mark.parametrize("name", ["--installroot=/", "-y", "", "bash\nrm", "*"])
def test_a_package_cannot_be_an_option_or_a_pattern(name: str) -> None:
    assert "SystemConfigs[0].Packages[0]" in refused(with_system(Packages=[name])).message


def test_rich_dependencies_and_files_can_be_asked_for() -> None:
    names = ("(bash or dash)", "/usr/bin/env", "bash-5.2.15-1.sk1")
    assert read(with_system(Packages=list(names))).packages == names


def test_a_package_list_is_checked_with_its_own_name() -> None:
    error = refused(CORE, **{"imageconfigs/packagelists/core.json": b'{\n "package": ["bash"]\n}'})
    assert (error.where or "").startswith("imageconfigs/packagelists/core.json")


def test_an_image_needs_a_package() -> None:
    error = refused(with_system(Packages=[], PackageLists=["packagelists/core.json"]), **EMPTY_LIST)
    assert error.message == "an image without packages" and error.where == PATH


EMPTY_LIST = {"imageconfigs/packagelists/core.json": b'{"packages": []}'}


def test_text_must_be_text() -> None:
    error = refused(b'{"SystemConfigs": "\xff"}')
    assert error.message == "not UTF-8" and error.where == PATH and error.got == "byte 19"


def test_an_image_for_something_else_is_refused() -> None:
    assert "IsContainerImage" in refused(CORE.replace("true", "false", 1)).message
