"""A part of the sealed reader of specs (specreader.py): loads the macros of a tree, and tells which always count.

Standard library and rpm's own bindings only; never imported by Slipway.
"""

from __future__ import annotations

import contextlib
import os
import re

import rpm  # type: ignore[import-not-found]  # the distribution's, inside the sealed place

DUMPED = re.compile(r"^ *-?[0-9]+[:=] (?P<name>[A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
# rpm, build/parsePreamble.c and build/build.c: asked for by name, and rpm itself defines none of them
ASKED_FOR = (
    "vendor", "packager", "distribution", "disttag", "disturl", "bugurl", "source_date_epoch_from_changelog",
    "use_source_date_epoch_as_buildtime", "clamp_mtime_to_source_date_epoch", "optflags", "debug_package",
)  # fmt: skip


def load(paths: dict[str, str], *, strict: bool) -> dict[str, str]:
    """Load macro files (name in the tree -> path), in order. Of those that have mistakes, rpm's words.

    Where `strict`, the first mistake is the last; otherwise, as rpm does, what could be read of a file counts.
    """
    wrong: dict[str, str] = {}
    for name, path in paths.items():
        said = _said(f"%{{load:{path}}}")
        mistakes = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
        if mistakes:
            wrong[name] = "\n".join(dict.fromkeys(mistakes))
            if strict:
                break
    return wrong


def offer(folder: str, modules: dict[str, str]) -> None:
    """Let macros require the tree's Lua modules, under every name that ends in theirs (`azl.srpm.forge`).

    Every byte is written as an escape, so that no file name says anything to rpm or to Lua.
    """
    pairs = ((name, f"{folder}/{path}") for name, path in modules.items())
    table = ", ".join(f'["{_escaped(name)}"] = "{_escaped(path)}"' for name, path in pairs)
    rpm.expandMacro(
        "%{lua: local modules = {" + table + "}\n"
        "table.insert(package.searchers, 2, function(name)\n"
        "  local path = modules[name:match('[^.]*$')]\n"
        "  return path and assert(loadfile(path)) or 'no module of the tree'\n"
        "end)}"
    )


def _escaped(text: str) -> str:
    return "".join(f"\\{byte:03}" for byte in text.encode())


def defined() -> dict[str, str]:
    """Every macro that is defined now: name -> its options and body."""
    text = _said("%dump").rpartition("\n======")[0]  # the last line counts them all
    starts = list(DUMPED.finditer(text))
    ends = [each.start() for each in starts[1:]] + [len(text)]
    return {start["name"]: text[start.end("name") : end] for start, end in zip(starts, ends, strict=True)}


def common(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """The tree's own macros that count for a package whatever its spec says, because rpm's machinery may use them:
    those that take the place of one of rpm's, that begin with an underscore or that rpm asks for by name; and with
    each of them all that its body mentions."""
    own = {name: body for name, body in after.items() if before.get(name) != body}
    found: dict[str, str] = {}
    more = {name for name in own if name in before or name.startswith("_") or name in ASKED_FOR}
    while more:
        found |= {name: own[name] for name in more}
        more = {word for name in more for word in WORD.findall(own[name]) if word in own} - found.keys()
    return found


def _said(macro: str) -> str:
    """What rpm says on the standard error, and nowhere else, when it expands a macro."""
    kept, dump = os.dup(2), os.memfd_create("said")
    os.dup2(dump, 2)
    with contextlib.suppress(rpm.error):
        rpm.expandMacro(macro)
    os.dup2(kept, 2)
    os.close(kept)
    with os.fdopen(dump, "rb") as file:
        file.seek(0)
        return file.read().decode("utf-8", "replace")
