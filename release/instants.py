"""Instants and spans in words: UTC everywhere, one way to write each, so that equal facts give equal bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainValidator

from release.errors import Refused


def parse_instant(text: str) -> datetime:
    """An RFC 3339 time with its offset, as UTC; `Refused` for anything else."""
    try:
        return _read(text)
    except ValueError as error:
        raise Refused("not an instant", got=repr(text)[:60], expected=str(error)) from error


def instant_text(at: datetime) -> str:
    """`2026-11-25T10:00:00Z`: the form in files and in hashed JSON (RFC 3339, section 5.6)."""
    return _aware(at).astimezone(UTC).isoformat().replace("+00:00", "Z")


def short_instant(at: datetime) -> str:
    """`2026-11-25T10:00Z`, with seconds only when there are any: the form in messages."""
    at = _aware(at).astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ" if at.second else "%Y-%m-%dT%H:%MZ")


def span_text(seconds: float) -> str:
    """`72 h`, `5 h 30 min`, `12 min 5 s`, `20 s`: rounded down, seconds only below an hour."""
    hours, rest = divmod(max(0, int(seconds)), 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else left, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at


def _read(value: object) -> datetime:
    if isinstance(value, datetime):
        return _aware(value).astimezone(UTC)
    try:
        return _aware(datetime.fromisoformat(str(value))).astimezone(UTC)
    except ValueError as error:
        raise ValueError("an RFC 3339 time such as 2026-11-25T10:00:00Z") from error


Instant = Annotated[datetime, PlainValidator(_read)]
"""A field that is an instant: read from text, always aware, always UTC."""
