"""The build key: same key, same RPMs. What goes into it, and which part of it differs when two keys do."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from release.digests import checked, digest_of_json
from release.errors import Refused
from release.product.builds import Build
from release.source.specs import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInputs:
    """Everything that decides what a build makes, and nothing else (docs: build key).

    `spec` tells the specs of one folder apart. `tree_id` is the digest of what a build sees of that folder.
    `sources` maps file names to pinned sha256 (hex); `inputs` maps source package names to interface digests.
    """

    spec: str
    tree_id: str
    sources: Mapping[str, str]
    macros: str
    toolchain: str
    arch: str
    inputs: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The build key."""
        return digest_of_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The JSON value whose canonical encoding is hashed; a signed provenance carries it too."""
        return {
            "spec": self.spec,
            "tree": self.tree_id,
            "sources": dict(self.sources),
            "macros": self.macros,
            "toolchain": self.toolchain,
            "arch": self.arch,
            "inputs": dict(self.inputs),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> KeyInputs:
        """Read recorded inputs back; `Refused` when a part is missing or of another kind."""
        try:
            return cls(
                spec=str(value["spec"]),
                tree_id=str(value["tree"]),
                sources=_texts(value["sources"]),
                macros=checked(value["macros"]),
                toolchain=checked(value["toolchain"]),
                arch=str(value["arch"]),
                inputs=_texts(value["inputs"]),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise Refused("not the inputs of a build key", got=f"{type(error).__name__}: {error}") from error


def key_inputs(
    *, package: Package, macros_digest: str, toolchain_digest: str, arch: str, inputs: Mapping[str, str]
) -> KeyInputs:
    """The key inputs of one package; `inputs` are the interface digests of all its build inputs, by name."""
    return KeyInputs(
        spec=posixpath.basename(package.spec),
        tree_id=package.content,
        sources=MappingProxyType({source.file: source.sha256 or "" for source in package.pinned}),
        macros=checked(macros_digest),
        toolchain=checked(toolchain_digest),
        arch=arch,
        inputs=MappingProxyType({name: checked(digest) for name, digest in inputs.items()}),
    )


def build_key(
    *, package: Package, macros_digest: str, toolchain_digest: str, arch: str, inputs: Mapping[str, str]
) -> str:
    """The build key of one package: the digest of its `key_inputs`."""
    return key_inputs(
        package=package, macros_digest=macros_digest, toolchain_digest=toolchain_digest, arch=arch, inputs=inputs
    ).digest


def interface_digest(build: Build) -> str:
    """What dependents see of a build: here the headers of all its binary RPMs, so that any change counts."""
    return digest_of_json(sorted(rpm.header_digest for rpm in build.rpms if not rpm.file.endswith(".src.rpm")))


def explain(before: KeyInputs, after: KeyInputs) -> tuple[str, ...]:
    """In plain words what makes two keys of a package differ; empty when they are equal."""
    lines = [
        f"{word} changed: {short(one)} -> {short(two)}"
        for word, one, two in (
            ("the spec's file name", before.spec, after.spec),
            ("the spec folder", before.tree_id, after.tree_id),
            ("the macro set", before.macros, after.macros),
            ("the toolchain set", before.toolchain, after.toolchain),
            ("the architecture", before.arch, after.arch),
        )
        if one != two
    ]
    lines += _differences("the source", before.sources, after.sources)
    lines += _differences("the interface of", before.inputs, after.inputs)
    return tuple(lines)


def short(text: str) -> str:
    """A digest or id shortened for people; other words stay as they are."""
    algorithm, colon, digits = text.rpartition(":")
    return f"{algorithm}{colon}{digits[:12]}" if len(digits) in (40, 64) else text


def _differences(word: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[str]:
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None and two is not None:
            yield f"{word} {name} is new: {short(two)}"
        elif one is not None and two is None:
            yield f"{word} {name} is gone: {short(one)}"
        elif one is not None and two is not None and one != two:
            yield f"{word} {name} changed: {short(one)} -> {short(two)}"


def _texts(value: Mapping[str, Any]) -> Mapping[str, str]:
    return MappingProxyType({str(name): str(each) for name, each in value.items()})
