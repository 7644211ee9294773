"""Hostile specs: what they try in the sealed place, and how they end."""

from __future__ import annotations

import json
import time

import pytest

from tests.tools.spec_tree import Tree, containers, image, place, root_tar, tree

__all__ = ["containers", "image", "place", "root_tar", "tree"]  # fixtures
pytestmark = pytest.mark.integration


async def test_a_shell_escape_can_neither_write_nor_reach_a_network_nor_be_root(tree: Tree, registry_url: str) -> None:
    port = registry_url.rpartition(":")[2]
    connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
    attempts = {
        "tree": "touch x && echo yes || echo no",
        "own": "touch /tree/x && echo yes || echo no",
        "root": "touch /usr/x && echo yes || echo no",
        "file": "(echo x > /tmp/x) && cat /tmp/x || echo no",
        "net": f'python3 -c \\"{connect}\\" && echo yes || echo no',
        "uid": "test $(id -u) -gt 60000 && echo nobody",
        "home": "ls ~ > /dev/null && echo yes || echo no",
        "env": "echo ${DOCKER_HOST:-none}",
    }
    more = "\n".join(f"Requires: {name}-%({command} 2>/dev/null)" for name, command in attempts.items())
    requires = await tree.requires(tree.add("one", more.replace('\\"', '"')))
    expected = dict.fromkeys(attempts, "no") | {"uid": "nobody", "env": "none"}
    assert set(requires) == {f"{name}-{answer}" for name, answer in expected.items()}


async def test_a_shell_escape_cannot_answer_for_another_spec(tree: Tree) -> None:
    forged = json.dumps({"spec": "SPECS/two/two.spec", "facts": {"name": "forged"}})
    shell = f"for fd in /proc/1/fd/* /proc/$PPID/fd/*; do echo '{forged}' > $fd; done 2>/dev/null; echo done"
    tree.add("aaa", f"%{{lua: io.stdout:write([==[\n{forged}\n]==]) io.stdout:flush()}}")
    tree.add("one", f"Requires: %({shell})")
    path = tree.add("two")
    tree.add("zzz", f"%{{lua: io.stdout:write([==[\n{forged}\n]==]) io.stdout:flush()}}")
    assert (await tree.package(path)).name == "two"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("Requires: x%{lua: while true do end}", "not parsed after 1 seconds"),
        ("Requires: x%(sleep 60)", "not parsed after 1 seconds"),
        ("%{lua: local t = {} while true do t[#t + 1] = string.rep('x', 90000000) end}", "memory"),
        ("%{lua: while true do io.stderr:write(string.rep('x', 1000000)) end}", "too much output"),
        ("%define bomb() %{bomb}%{bomb}\n%{bomb}", "recursion"),
        ("%{lua: os.exit(0)}", "exit not permitted"),
        ("Requires: x%(kill -9 $PPID)", "without a word"),
    ],
)
async def test_a_hostile_spec_is_ended_and_the_others_are_read(tree: Tree, more: str, message: str) -> None:
    tree.add("bad", more)
    path = tree.add("good")
    began = time.monotonic()
    parsed = await tree.parse(seconds=1 if "1 seconds" in message else 10)
    assert time.monotonic() - began < 10
    assert path in parsed.packages
    (failure,) = parsed.failures
    assert message in str(failure)


async def test_a_spec_above_the_size_limit_is_not_even_read(tree: Tree) -> None:
    path = tree.add("one", "#" * (5 << 20))
    assert (await tree.refusal()).message == "this spec is too large"
    assert tree.place.runs == 0
    assert path == "SPECS/one/one.spec"
