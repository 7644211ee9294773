"""Hostile specs: what they try in the sealed place, and how they end."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path

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


async def test_a_spec_reads_no_folder_but_its_own(tree: Tree) -> None:
    tree.write("SPECS/two/secret.inc", "BuildRequires: secret\n")
    tree.write("README", "secret")
    tree.add("two")
    cat = "cat ../two/* ../../README /tree/*/README /tree/*/SPECS/two/* /tree/*.json 2>/dev/null; ls /tree"
    # The names of the other folders and of the request are 32 hex digits; its own is in its working directory.
    names = "cat /proc/*/environ /proc/*/cmdline /proc/*/mem 2>/dev/null | tr -c a-z0-9 . | grep -Eo '[0-9a-f]{32}'"
    told = f"{names} | grep -v $(pwd | cut -d/ -f3) | head -c 99"
    read = tree.add("one", f"Provides: found-%({cat}; {told})x")
    tree.add("three", "%include %{_sourcedir}/../two/secret.inc")
    parsed = await tree.parse()
    assert "found-x" in parsed.packages[read].binaries[0].provides
    (failure,) = parsed.failures
    assert failure.where == "SPECS/three/three.spec"
    assert "SPECS/three/../two/secret.inc: No such file or directory" in str(failure.got)


BAD = {
    "a loop": ("Requires: x%{lua: while true do end}", "out of memory or time"),
    "a wait": ("Requires: x%(sleep 60)", "not parsed after 6 seconds"),
    "memory": ("%{lua: local t = {} while true do t[#t + 1] = string.rep('x', 90000000) end}", "memory"),
    "memory of its children": (
        "Requires: x%(for i in 1 2 3 4 5 6; do python3 -c"
        " 'import time; x = b\"1\" * (180 << 20); time.sleep(9)' & done; wait)",
        "MB of memory",
    ),
    "megabytes of errors": (
        "%{lua: while true do io.stderr:write(string.rep('x', 1000000)) end}", "too much output",
    ),
    "megabytes of facts": ("%{lua: print('Provides: ' .. string.rep('x ', 20000000))}", ""),
    "a macro in itself": ("%define bomb() %{bomb}%{bomb}\n%{bomb}", "recursion"),
    "a macro that doubles": (
        "%global b0 xxxxxxxx\n" + "".join(f"%global b{n + 1} {4 * f'%{{b{n}}}'}\n" for n in range(24)),
        "",
    ),
    "an exit": ("%{lua: os.exit(0)}", "exit not permitted"),
    "the end of its parent": ("Requires: x%(kill -9 $PPID)", "without a word"),
    "the end of all": ("Requires: x%(kill -9 -1)", ""),
    "a fork bomb": ("Requires: x%(f() { f | f & }; f; sleep 60)", ""),
    "processes that leave the group": (
        "Requires: x%(for i in $(seq 90); do setsid sleep 60 & done; sleep 60)", "processes",
    ),
    "an unclosed condition": ("%if 1", "Unclosed %if"),
    "binary junk": ("\x01\x02\x7f" * 1000, "line 7"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_hostile_spec_is_ended_and_the_others_are_read(tree: Tree, name: str) -> None:
    more, message = BAD[name]
    tree.add("bad", more)
    good = [tree.add("aaa"), tree.add("good", "Provides: shell-%(echo works)"), tree.add("zzz")]
    began = time.monotonic()
    parsed = await tree.parse(seconds=2 if "6 seconds" in message or "bomb" in name else 10)
    assert time.monotonic() - began < 60
    assert list(parsed.packages) == good
    assert "shell-works" in parsed.packages[good[1]].binaries[0].provides
    (failure,) = parsed.failures
    assert str(failure.where).startswith("SPECS/bad/bad.spec")
    assert message in str(failure)
    assert len(str(failure)) < 4000
    await nothing_runs()


async def nothing_runs() -> None:
    """No reader, and nothing that a spec has started: the last process may need a moment to be gone."""
    for _ in range(100):
        living = [path for path in Path("/proc").glob("[0-9]*/status") if stranger(path)]
        if not living:
            return
        await asyncio.sleep(0.05)
    raise AssertionError([path.with_name("cmdline").read_bytes() for path in living])


def stranger(status: Path) -> bool:
    """Whether a process is of a user that only sealed places have."""
    try:
        uid = int(status.read_text().partition("Uid:")[2].split()[0])
        return uid > 60000 and b"sleep" in status.with_name("cmdline").read_bytes()
    except (OSError, IndexError):
        return False


async def test_random_bytes_are_refused_or_read_but_end_nobody(tree: Tree) -> None:
    for seed in range(20):
        tree.add(f"junk{seed}", text=random.Random(seed).randbytes(20000))
    path = tree.add("good")
    parsed = await tree.parse()
    assert path in parsed.packages
    assert len(parsed.failures) == 20


async def test_a_link_that_leads_out_of_its_folder_refuses_its_spec_alone(tree: Tree) -> None:
    tree.add("bad")
    (tree.folder / "SPECS/bad/link").symlink_to("/etc/passwd")
    path = tree.add("good")
    parsed = await tree.parse()
    assert list(parsed.packages) == [path]
    (failure,) = parsed.failures
    assert (failure.where, failure.got) == ("SPECS/bad/link", "/etc/passwd")


async def test_a_spec_above_the_size_limit_is_not_even_read(tree: Tree) -> None:
    path = tree.add("one", "#" * (5 << 20))
    good = tree.add("good")
    parsed = await tree.parse()
    assert list(parsed.packages) == [good]
    assert parsed.failed[path].message == "this spec is too large"
    assert tree.place.asked == [good]
