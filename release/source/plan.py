"""What a commit changes, and the plan that follows: what to build, in which order, and in plain words why each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from release.errors import Refused
from release.source.graph import Graph
from release.source.keys import KeyInputs, build_key, explain, interface_digest, key_inputs

__all__ = [
    "Change", "ChangeSet", "ImageStep", "KeyInputs", "Plan", "Step", "TreeState", "build_key", "explain",
    "interface_digest", "key_inputs",
]  # fmt: skip
_NOTHING: Mapping[str, Any] = MappingProxyType({})
FIRST = "first release"


class Change(StrEnum):
    """What happened to a spec folder."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeState:
    """What a commit holds, by content: spec folder -> git tree id; the digests of the macro set and the toolchain
    set; image name -> an id of everything that defines the image."""

    folders: Mapping[str, str]
    macros: str
    toolchain: str
    images: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What differs between two commits. `everything` gives the reasons, if any, why each package is affected."""

    folders: Mapping[str, Change]
    everything: tuple[str, ...] = ()
    images: frozenset[str] = frozenset()

    @classmethod
    def between(cls, before: TreeState | None, after: TreeState) -> ChangeSet:
        """Compare by content; `before` is None for the first release. Time stamps and file names say nothing."""
        if before is None:
            folders = dict.fromkeys(sorted(after.folders), Change.ADDED)
            return cls(folders=MappingProxyType(folders), everything=(FIRST,), images=frozenset(after.images))
        changes = ((name, _change(before.folders.get(name), after.folders.get(name)))
                   for name in sorted(before.folders.keys() | after.folders.keys()))  # fmt: skip
        everything = (
            ("the macro set changed", before.macros != after.macros),
            ("the toolchain set changed", before.toolchain != after.toolchain),
        )
        return cls(
            folders=MappingProxyType({name: change for name, change in changes if change}),
            everything=tuple(reason for reason, differs in everything if differs),
            images=frozenset(name for name, id_ in after.images.items() if before.images.get(name) != id_),
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing that a release is made of has changed."""
        return not (self.folders or self.everything or self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One package to build, or to take from the registry under its key. `requires` are the steps before it."""

    package: str
    requires: tuple[str, ...]
    reason: str
    other: Mapping[str, Any] = field(
        default_factory=lambda: _NOTHING
    )  # recorded by a later version; survives the round trip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStep:
    """One image that may change, and why."""

    image: str
    reason: str
    other: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in the order of building. `inputs` are the build inputs of every package of the tree, planned or not,
    so that the next plan can see which of them have become others."""

    steps: tuple[Step, ...]
    images: tuple[ImageStep, ...] = ()
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    other: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @classmethod
    def of(
        cls,
        *,
        graph: Graph,
        changes: ChangeSet,
        previous: Plan | None,
        images: Mapping[str, Collection[str] | None] = _NOTHING,
    ) -> Plan:
        """The plan for a change. `images` maps an image to the binary packages it holds, None where not known yet.

        Planned are the packages whose folder changed, those whose inputs are others than in the `previous` plan,
        and all that depend on them; without a previous plan, every package. `Refused` when there is no order.
        """
        graph.check()
        order = [name for level in graph.order() for name in level]
        inputs = {name: tuple(sorted(graph.build_inputs(name))) for name in sorted(graph.packages)}
        reasons = _own_reasons(graph, changes, previous, inputs)
        for name in order:  # inputs come first in the order, so that one pass reaches all dependents
            if name not in reasons and (planned := [each for each in inputs[name] if each in reasons]):
                reasons[name] = _dependent(graph, name, planned, changes)
        steps = tuple(
            Step(package=name, requires=tuple(each for each in inputs[name] if each in reasons), reason=reasons[name])
            for name in order
            if name in reasons
        )
        touched = tuple(_image_steps(graph, changes, reasons, images))
        return cls(steps=steps, images=touched, inputs=MappingProxyType(inputs))

    def to_json(self) -> dict[str, Any]:
        """The plan as a part of the release object."""
        return {
            **self.other,
            "steps": [
                {**step.other, "package": step.package, "requires": list(step.requires), "reason": step.reason}
                for step in self.steps
            ],
            "images": [{**step.other, "image": step.image, "reason": step.reason} for step in self.images],
            "inputs": {name: list(inputs) for name, inputs in self.inputs.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """Read a recorded plan back; `Refused` when it is none. Keys of a later version are kept."""
        try:
            return cls(
                steps=tuple(
                    Step(
                        package=str(step["package"]),
                        requires=tuple(map(str, step["requires"])),
                        reason=str(step["reason"]),
                        other=_without(step, "package", "requires", "reason"),
                    )
                    for step in value["steps"]
                ),
                images=tuple(
                    ImageStep(
                        image=str(step["image"]), reason=str(step["reason"]), other=_without(step, "image", "reason")
                    )
                    for step in value["images"]
                ),
                inputs=MappingProxyType({str(name): tuple(map(str, each)) for name, each in value["inputs"].items()}),
                other=_without(value, "steps", "images", "inputs"),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise Refused(
                "not a plan", got=f"{type(error).__name__}: {error}", expected="steps, images, inputs"
            ) from error


def _change(before: str | None, after: str | None) -> Change | None:
    if before == after:
        return None
    if before is None:
        return Change.ADDED
    return Change.REMOVED if after is None else Change.CHANGED


def _own_reasons(
    graph: Graph, changes: ChangeSet, previous: Plan | None, inputs: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Why a package is planned on its own account, not because of another one in the plan."""
    reasons: dict[str, str] = {}
    everything = changes.everything or (() if previous else ("no plan of the previous release is known",))
    for name, package in graph.packages.items():
        before = previous.inputs.get(name) if previous else None
        if everything:
            reasons[name] = "; ".join(everything)
        elif package.folder in changes.folders:
            reasons[name] = f"{changes.folders[package.folder]}: {package.folder}"
        elif before is None:
            reasons[name] = f"added: {package.spec}"
        elif before != inputs[name]:
            gone, new = sorted(set(before) - set(inputs[name])), sorted(set(inputs[name]) - set(before))
            reasons[name] = "; ".join(
                [*(f"no longer needs {each}" for each in gone), *(f"now needs {each}" for each in new)]
            )
    return reasons


def _dependent(graph: Graph, name: str, planned: list[str], changes: ChangeSet) -> str:
    """A changed input explains more than one that is only rebuilt."""
    changed = [each for each in planned if graph.packages[each].folder in changes.folders]
    on = (changed or planned)[0]
    return f"depends on {on} through {graph.through(name, on)}"


def _image_steps(
    graph: Graph, changes: ChangeSet, planned: Collection[str], images: Mapping[str, Collection[str] | None]
) -> Iterator[ImageStep]:
    source_of = {binary.name: name for name in planned for binary in graph.packages[name].binaries}
    for image in sorted(images.keys() | changes.images):
        held = images.get(image)
        inside = sorted({source_of[each] for each in held or () if each in source_of})
        if image in changes.images:
            yield ImageStep(image=image, reason="its definition changed")
        elif held is None:
            yield ImageStep(image=image, reason="its packages are not known yet")
        elif inside:
            yield ImageStep(image=image, reason=f"holds packages of {', '.join(inside)}")


def _without(value: Mapping[str, Any], *known: str) -> Mapping[str, Any]:
    return MappingProxyType({key: each for key, each in value.items() if key not in known})
