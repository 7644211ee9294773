"""One question at a time: answers that many visitors share for a few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from flows.web_services import Clock

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked(Generic[V]):
    answer: asyncio.Task[V]
    at: datetime


class Shared(Generic[K, V]):
    """Asks `ask(key)` at most once at a time and keeps the answer for `keep`; a failure is not kept.

    A stampede waits for the one question that is under way, so it costs what one visitor costs. Keys must come from
    a closed set: nothing is ever evicted.
    """

    def __init__(self, ask: Callable[[K], Awaitable[V]], *, keep: timedelta, now: Clock) -> None:
        self._ask = ask
        self._keep = keep
        self._now = now
        self._asked: dict[K, _Asked[V]] = {}

    async def get(self, key: K) -> V:
        """The answer, at most `keep` old. Raises what `ask` raises, for everyone who waits."""
        asked = self._asked.get(key)
        if asked is None or self._is_over(asked):
            asked = _Asked(answer=asyncio.ensure_future(self._ask_once(key)), at=self._now())
            self._asked[key] = asked
        # A visitor who leaves must not cancel the question for the others.
        return await asyncio.shield(asked.answer)

    async def _ask_once(self, key: K) -> V:
        return await self._ask(key)

    def _is_over(self, asked: _Asked[V]) -> bool:
        if not asked.answer.done():
            return False
        failed = asked.answer.cancelled() or asked.answer.exception() is not None
        age = self._now() - asked.at
        return failed or not timedelta() <= age < self._keep
