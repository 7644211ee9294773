"""The decisions about a root travel into a container and come back equal."""

from __future__ import annotations

import json

import pytest

from release.product.accounts import Group, User
from release.product.roots import AddedFile, Root, Script

FULL = Root(
    files=(AddedFile(path="/etc/motd", content=b"\x00\xff binary", mode=0o600),),
    groups=(Group(name="app", gid=5),),
    users=(User(name="app", uid=5, secondary_groups=("wheel", "audio")), User(name="b", uid=6, primary_group="app")),
    scripts=(Script(name="a.sh", content=b"#!/bin/sh\n", arguments="x y"),),
    documentation=False,
    locales="en",
    manifest_only=True,
)


@pytest.mark.parametrize("root", [Root(), FULL])
def test_survives_the_way_through_json(root: Root) -> None:
    assert Root.from_json(json.loads(json.dumps(root.to_json()))) == root


def test_decisions_that_rpm_carries_out_are_macros() -> None:
    assert Root().macros == ""
    assert Root(documentation=False).macros == "%_excludedocs 1\n"
    assert Root(locales="NONE").macros == "%_install_langs NONE\n"
    assert FULL.macros == "%_excludedocs 1\n%_install_langs en\n"
