"""Where a channel points: a file in git whose serial only rises, with its history, its denials and its hold."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from release.errors import Refused
from release.instants import Instant, short_instant
from release.product.aliases import ReleaseRef
from release.records import Digest, Recorded

HISTORY = 20


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
            f"{release.alias} is current already",
            where=where,
            got=f"serial {channel.serial}",
            expected="another release",
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
    known = {each.digest for each in channel.deny}
    denials = tuple(
        Denial(digest=digest, alias=bad.alias if digest == bad.digest else None, reason=reason, by=by, at=at)
        for digest in dict.fromkeys((bad.digest, *deny))
        if digest not in known
    )
    target = _target(channel, to, avoid=known | {each.digest for each in denials})
    entry = Entry(serial=channel.serial + 1, release=target, at=at, decided_by=by)
    hold = Hold(reason=reason, by=by, since=at, until=until)
    return _pointed(channel, entry, policy=policy, valid_seconds=valid_seconds, hold=hold, deny=denials)


def check_succession(before: Channel, after: Channel) -> None:
    """Whether `after` may follow `before` in git, whoever wrote it: `Refused` when a serial falls or is used again."""
    where = f"channel {before.channel!r}"
    if after.channel != before.channel:
        raise Refused("another channel's pointer", where=where, got=after.channel, expected=before.channel)
    same = after.current == before.current
    if after.serial < before.serial or (after.serial == before.serial and not same):
        raise Refused(
            "a serial never falls and never names two releases",
            where=where,
            got=f"serial {after.serial} -> {after.current.alias if after.current else 'nothing'}",
            expected=f"serial {before.serial + 1} or more" if not same else f"serial {before.serial} or more",
            hint="slipway rollback goes back under a new serial",
        )
    told = {each.serial: each.release.digest for each in before.history}
    for entry in after.history:
        if told.get(entry.serial, entry.release.digest) != entry.release.digest:
            raise Refused(
                f"the history of serial {entry.serial} was rewritten",
                where=where,
                got=entry.release.digest,
                expected=told[entry.serial],
            )


def _pointed(
    channel: Channel,
    entry: Entry,
    *,
    policy: str,
    valid_seconds: int,
    hold: Hold | None,
    deny: tuple[Denial, ...] = (),
) -> Channel:
    return replace(
        channel,
        serial=entry.serial,
        current=entry.release,
        previous=channel.current,
        decided_by=entry.decided_by,
        policy=policy,
        valid_until=entry.at + timedelta(seconds=valid_seconds),
        hold=hold,
        deny=(*channel.deny, *deny),
        history=(entry, *channel.history)[:HISTORY],
    )


def _target(channel: Channel, to: str | None, *, avoid: Collection[str]) -> ReleaseRef:
    """The release of the history to go back to: the one named, or the newest one that is not to be avoided."""
    past = {each.release.digest: each.release for each in channel.history}
    allowed = [each for each in past.values() if each.digest not in avoid]
    wanted = [each for each in allowed if to is None or to in (each.digest, each.alias)]
    if wanted:
        return wanted[0]
    raise Refused(
        "no release to go back to" if to is None else f"cannot go back to {to}",
        where=f"channel {channel.channel!r}",
        got=f"history: {', '.join(each.alias for each in past.values())}",
        expected=f"one of {', '.join(each.alias for each in allowed) or 'none: every one is denied or current'}",
    )


def _contradiction(channel: Channel) -> str | None:
    """What is impossible in a pointer, or None."""
    serials = [each.serial for each in channel.history]
    if any(newer <= older for newer, older in itertools.pairwise(serials)):
        return "history serials that fall from entry to entry"
    newest = (channel.history[0].serial, channel.history[0].release) if channel.history else (0, None)
    if (channel.serial, channel.current) != newest:
        return "serial and current equal to the newest entry of the history"
    if channel.current and channel.denied({channel.current.digest}):
        return f"a current release that is not denied: {channel.current.alias} is"
    return None
