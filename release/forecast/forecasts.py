"""A forecast: what a change will build, may build and leaves alone, known before anything is built, and kept after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from dataclasses import field as dataclass_field
from types import MappingProxyType
from typing import Any, TypeVar, cast

from release.errors import Refused
from release.forecast.estimates import Estimate
from release.graph.hops import Hop

T = TypeVar("T")
VERSION = 1  # of the JSON; raised when a key changes its meaning, not when one is added
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Certain:
    """A package that will be built: it is another by itself, or other packages come into its build root. `level` is
    its place in the order, from 0; packages of one level do not wait for each other."""

    package: str
    level: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """A package that will be built only if what it observes of the builds before it changes. `path` leads from a
    certain one to it; the shortest there is."""

    package: str
    level: int
    path: tuple[Hop, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A package that will not be built although it should be: its own spec cannot be read (`path` is empty and
    `reason` says why), or one that it needs, at the begin of its `path`. `standing`: the change did nothing to it, its
    spec could not be read before either, for the same reason."""

    package: str
    reason: str
    path: tuple[Hop, ...] = ()
    standing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageForecast:
    """An image that will follow, or, where not `certain`, may follow, and why."""

    image: str
    certain: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the change would not be released at all: an error's facts (release/errors.py)."""

    message: str
    where: str | None = None
    got: str | None = None
    expected: str | None = None
    hint: str | None = None

    def error(self) -> Refused:
        """The error that a release of this commit ends with."""
        return Refused(self.message, where=self.where, got=self.got, expected=self.expected, hint=self.hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """The branch was force-pushed: the commits `dropped` are not in it any more, and the forecast compares with the
    newest commit that both histories have."""

    asked: str
    merge_base: str
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """Which commits are compared, by full id, and what to say when the branch was force-pushed."""

    before: str
    after: str
    rewritten: Rewritten | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a change from commit `before` to commit `after` means. Packages are source packages, in their order.

    `packages` counts those of `after`; 0 where nothing that counts differs, so that nobody read them.
    `unaffected` counts those that are neither certain nor possible nor stopped. `knots` are those of the packages
    to build that need each other. `unresolved` are requirements that were met before, or are new, and that nothing
    is known to provide. `certain_time` is for the certain packages, `possible_time` for all.
    """

    before: str
    after: str
    packages: int = 0
    certain: tuple[Certain, ...] = ()
    possible: tuple[Possible, ...] = ()
    removed: tuple[str, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    unaffected: int = 0
    images: tuple[ImageForecast, ...] = ()
    knots: tuple[tuple[str, ...], ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unresolved: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    certain_time: Estimate | None = None
    possible_time: Estimate | None = None
    rewritten: Rewritten | None = None
    other: Mapping[str, Any] = dataclass_field(default_factory=lambda: _NOTHING)

    @property
    def is_empty(self) -> bool:
        """Whether nothing that a release is made of changes."""
        return not (self.certain or self.removed or self.halted or self.images or self.refusals)

    @property
    def halted(self) -> tuple[Stopped, ...]:
        """What the change stops: those of `stopped` that are not `standing`."""
        return tuple(each for each in self.stopped if not each.standing)

    def timeless(self) -> Forecast:
        """Without the estimates of time, which rest on the builds of one machine: the same on any of them."""
        return replace(self, certain_time=None, possible_time=None)

    def to_json(self) -> dict[str, Any]:
        """`{"forecast": 1, ...}` with the fields by name; what is None is left out. Unknown keys stay."""
        return {"forecast": VERSION, **_plain(self), **self.other}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Forecast:
        """Read a kept forecast back; `Refused` when it is none, or of a version that is not known here."""
        if not isinstance(value, Mapping) or value.get("forecast") != VERSION:
            got = value.get("forecast") if isinstance(value, Mapping) else type(value).__name__
            raise Refused("not a forecast", got=f"version {got}", expected=f"version {VERSION}")
        try:
            return _read(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Refused("not a forecast", got=f"{type(error).__name__}: {error}") from error


def unchanged(commits: Commits) -> Forecast:
    """The forecast of a change of nothing that a release is made of."""
    return Forecast(before=commits.before, after=commits.after, rewritten=commits.rewritten)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        found = {each.name: getattr(value, each.name) for each in fields(value) if each.name != "other"}
        return {name: _plain(each) for name, each in found.items() if each is not None}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _read(value: Mapping[str, Any]) -> Forecast:
    known = {each.name for each in fields(Forecast)} - {"other"}
    rewritten = value.get("rewritten")
    return Forecast(
        before=str(value["before"]),
        after=str(value["after"]),
        packages=int(value["packages"]),
        certain=tuple(_made(Certain, each, reasons=tuple(each["reasons"])) for each in value["certain"]),
        possible=tuple(_made(Possible, each, path=_path(each["path"])) for each in value["possible"]),
        removed=tuple(map(str, value["removed"])),
        stopped=tuple(_made(Stopped, each, path=_path(each["path"])) for each in value["stopped"]),
        unaffected=int(value["unaffected"]),
        images=tuple(_made(ImageForecast, each) for each in value["images"]),
        knots=tuple(tuple(map(str, each)) for each in value["knots"]),
        refusals=tuple(_made(Refusal, each) for each in value["refusals"]),
        unresolved=tuple(map(str, value["unresolved"])),
        findings=tuple(map(str, value["findings"])),
        certain_time=_estimate(value.get("certain_time")),
        possible_time=_estimate(value.get("possible_time")),
        rewritten=_made(Rewritten, rewritten, dropped=tuple(rewritten["dropped"])) if rewritten else None,
        other=MappingProxyType({key: each for key, each in value.items() if key not in known | {"forecast"}}),
    )


def _made(cls: type[T], value: Mapping[str, Any], **read: Any) -> T:
    """A part by its fields; what a later version wrote beside them is left out."""
    names = {each.name for each in fields(cast(Any, cls))}
    return cls(**{key: each for key, each in {**value, **read}.items() if key in names})


def _path(value: Any) -> tuple[Hop, ...]:
    return tuple(_made(Hop, each, through=tuple(each["through"])) for each in value)


def _estimate(value: Any) -> Estimate | None:
    return _made(Estimate, value) if value else None
