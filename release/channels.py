"""Where a channel points: a file in git whose serial only rises, with its history, its denials and its hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import yaml
from pydantic import ConfigDict, RootModel

from release.documents import load_yaml
from release.errors import Misconfigured, Refused
from release.instants import Instant, short_instant
from release.records import Digest, Recorded, to_json
from release.releases import ReleaseRef

HISTORY = 20
_HEADER = "# Written by slipway; it moves by commits only, and its serial never falls.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Recorded):
    """One move of the pointer. `decision` is the digest of the recorded decision; a rollback has none."""

    serial: int
    release: ReleaseRef
    at: Instant
    decided_by: str
    decision: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial(Recorded):
    """A release, or an artifact inside releases, that this channel must not point at again."""

    digest: Digest
    alias: str | None = None
    reason: str
    by: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Recorded):
    """Why nothing automatic moves the channel. `until` None: until somebody promotes by hand."""

    reason: str
    by: str
    since: Instant
    until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel(Recorded):
    """A channel's pointer. `history` has the newest move first and includes the current one, at most 20.

    `policy` is the digest of the policy file that allowed the move; after `valid_until` consumers may call it stale.
    """

    channel: str
    serial: int = 0
    current: ReleaseRef | None = None
    previous: ReleaseRef | None = None
    decided_by: str | None = None
    policy: Digest | None = None
    valid_until: Instant | None = None
    hold: Hold | None = None
    deny: tuple[Denial, ...] = ()
    history: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        """A pointer that contradicts itself is no pointer."""
        if problem := _contradiction(self):
            raise ValueError(problem)

    def denied(self, digests: Collection[str]) -> Denial | None:
        """The first denial that names one of `digests`."""
        return next((each for each in self.deny if each.digest in digests), None)

    def held(self, now: datetime) -> Hold | None:
        """The hold, while it lasts."""
        return self.hold if self.hold and (self.hold.until is None or now < self.hold.until) else None

    def passed_at(self, digest: str) -> datetime | None:
        """When a release first became current here, as far as the history reaches."""
        return min((each.at for each in self.history if each.release.digest == digest), default=None)

    def to_yaml(self) -> str:
        """The file: stable order, one fact a line, nothing but what `parse_channel` reads back equal."""
        return _HEADER + yaml.dump(to_json(self), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


class _File(RootModel[Channel]):
    model_config = ConfigDict(frozen=True)


def parse_channel(text: str, *, name: str) -> Channel:
    """Read `channels/<name>.yaml`. `Misconfigured` with file and line; unknown keys survive."""
    where = f"channels/{name}.yaml"
    channel = load_yaml(text, _File, where=where).root
    if channel.channel != name:
        raise Misconfigured("the file is another channel's", where=where, got=channel.channel, expected=name)
    return channel


def moved(
    channel: Channel,
    release: ReleaseRef,
    *,
    at: datetime,
    decided_by: str,
    decision: str | None,
    policy: str,
    valid_seconds: int,
    artifacts: Collection[str] = (),
    by_hand: bool = False,
) -> Channel:
    """The channel after it was pointed at `release` under the next serial; an expired hold is gone.

    `artifacts` are the digests inside the release. `Refused` when the release is current already, when it or an
    artifact of it is denied, and when a hold lasts: only a promotion `by_hand` lifts one.
    """
    where = f"channel {channel.channel!r}"
    if channel.current and channel.current.digest == release.digest:
        raise Refused(
            f"{release.alias} is current already", where=where, got=f"serial {channel.serial}", expected="another release"
        )
    if denial := channel.denied({release.digest, *artifacts}):
        raise Refused(
            f"{release.alias} is denied",
            where=where,
            got=f"{denial.alias or denial.digest} denied by {denial.by}: {denial.reason}",
            expected="a release without anything denied",
            hint=f"fix it in a new release, or take the denial out of channels/{channel.channel}.yaml by a commit",
        )
    if (hold := channel.held(at)) and not by_hand:
        until = f"until {short_instant(hold.until)}" if hold.until else "until a person promotes"
        raise Refused(
            "the channel is held",
            where=where,
            got=f"{hold.reason} (by {hold.by}, {until})",
            expected="no hold",
            hint=f"slipway promote {channel.channel} {release.alias}, by hand, lifts it",
        )
    entry = Entry(serial=channel.serial + 1, release=release, at=at, decided_by=decided_by, decision=decision)
    return _pointed(channel, entry, policy=policy, valid_seconds=valid_seconds, hold=None)


def rolled_back(
    channel: Channel,
    *,
    at: datetime,
    by: str,
    reason: str,
    policy: str,
    valid_seconds: int,
    to: str | None = None,
    until: datetime | None = None,
    deny: Collection[str] = (),
) -> Channel:
    """The channel after it went back to an older release of its history, under a new serial.

    `to` is a digest or an alias (default: the newest release before this one that is not denied). The release that
    was current is denied, with the digests `deny` of what was bad in it, and a hold is set `until` then.
    `Refused` without a current release, a reason or a name, without such a release, or with a hold in the past.
    """
    where = f"channel {channel.channel!r}"
    bad = channel.current
    if bad is None:
        raise Refused("there is nothing to roll back", where=where, got="no current release")
    if not by.strip() or not reason.strip():
        raise Refused("a rollback needs a name and a reason", where=where, got=f"by {by!r}, reason {reason!r}")
    if until and until <= at:
        raise Refused("the hold would end before it begins", where=where, got=until, expected=f"after {at}")
    target = _target(channel, to)
    alias = {bad.digest: bad.alias}
    known = {each.digest for each in channel.deny}
    denials = tuple(
        Denial(digest=digest, alias=alias.get(digest), reason=reason, by=by, at=at)
        for digest in dict.fromkeys((bad.digest, *deny))
        if digest not in known
    )
    entry = Entry(serial=channel.serial + 1, release=target, at=at, decided_by=by)
    hold = Hold(reason=reason, by=by, since=at, until=until)
    held = replace(channel, current=None, previous=None, history=(), deny=(*channel.deny, *denials))
    held = replace(held, current=target, history=channel.history)
    return _pointed(held, entry, policy=policy, valid_seconds=valid_seconds, hold=hold)
