"""Runs with the system's Python, which has rpm: what the headers of RPM files say, one line of JSON for each file.

Standard input: a JSON list of paths. A line is `{"header": {...}}` or `{"error": text}`. Only headers are read, and rpm
checks their digests. Standard library and rpm's own bindings only; never imported by Slipway.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

import rpm  # type: ignore[import-not-found]  # the system's Python has it, our own environment does not

MEGABYTES = 2048
PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGO = 5092, 5093  # rpm 4.14, lib/rpmtag.h
SHA256 = 8
SCRIPTS = ("prein", "postin", "preun", "postun", "pretrans", "posttrans", "preuntrans", "postuntrans", "verifyscript")
TRIGGERS = ("trigger", "filetrigger", "transfiletrigger")
TRIGGER_PARTS = ("scripts", "scriptprog", "scriptflags", "name", "version", "flags", "index", "priorities")
DEPENDENCIES = ("provide", "require", "conflict", "obsolete", "recommend", "suggest", "supplement", "enhance")
TEXTS = ("summary", "description", "license", "url", "group", "vendor", "packager", "distribution", "prefixes")
LONG_CLASS = 60


def main() -> None:
    """Answer for each path."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))
    transaction = rpm.TransactionSet()
    transaction.setVSFlags(rpm._RPMVSF_NOSIGNATURES)  # whose package it is, others ask; digests are checked
    for path in json.load(sys.stdin):
        try:
            answer: dict[str, Any] = {"header": read(transaction, path)}
        except (rpm.error, OSError, MemoryError) as error:
            answer = {"error": str(error) or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")


def read(transaction: Any, path: str) -> dict[str, Any]:
    """The facts of one header, with what the reader of the payload needs to know."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = transaction.hdrFromFdno(descriptor)
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)
    hashed_with = header[PAYLOAD_DIGEST_ALGO]
    return {
        **{tag: text(header[tag]) for tag in ("name", "version", "release", "arch", "sourcerpm")},
        "epoch": header["epoch"] or 0,
        "sha256": header["filedigestalgo"] == SHA256,
        "dependencies": {f"{tag}s": get(header, f"{tag}nevrs") or [] for tag in DEPENDENCIES},
        "texts": {tag: value for tag in TEXTS if (value := get(header, tag))},
        "scripts": scripts(header),
        "files": [row(each) for each in rpm.files(header)],
        "payload": {
            "offset": offset,
            "compressor": text(header["payloadcompressor"]),
            "format": text(header["payloadformat"]),
            "digest": text(header[PAYLOAD_DIGEST][0]) if hashed_with == SHA256 and header[PAYLOAD_DIGEST] else "",
            "bytes": header["longarchivesize"] or 0,
            "large": bool(header["longfilesizes"]) and any(each.size >= 1 << 32 for each in rpm.files(header)),
        },
    }


def scripts(header: Any) -> dict[str, Any]:
    """Scriptlets with their interpreter and flags, and each kind of triggers as a whole."""
    found: dict[str, Any] = {}
    for tag in SCRIPTS:
        script = [get(header, tag + part) for part in ("", "prog", "flags")]
        if any(script[:2]):
            found[tag.removesuffix("script").replace("prein", "pre").replace("postin", "post")] = script
    for kind in TRIGGERS:
        parts = {part: value for part in TRIGGER_PARTS if (value := get(header, kind + part))}
        if parts:
            found[f"{kind}s"] = parts
    return found


def get(header: Any, tag: str) -> Any:
    """The value of a tag as JSON; None where it is empty or this rpm does not know the tag."""
    try:
        value = header[tag]
    except (KeyError, ValueError):
        return None
    if isinstance(value, list | tuple):
        return [text(each) if isinstance(each, str | bytes) else each for each in value]
    return text(value) if isinstance(value, str | bytes) else value


def row(each: Any) -> list[Any]:
    """One file: path, mode, owner, group, flags, link target, capabilities, languages, device, size, digest, class."""
    words = (each.name, each.user, each.group, each.linkto, each.caps or "", each.langs or "", each.digest or "")
    name, user, group, target, caps, langs, digest = (text(word) for word in words)
    kind = text(getattr(each, "class"))[:LONG_CLASS]
    return [name, each.mode, user, group, each.fflags, target, caps, langs, each.rdev, each.size, digest, kind]


def text(value: Any) -> str:
    """UTF-8 that JSON can hold: bytes that are none are spelled out."""
    if value is None:
        return ""
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


if __name__ == "__main__":
    main()
