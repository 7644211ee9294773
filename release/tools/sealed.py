"""What a sealed container is told, and how it ended: plain data between the builder and the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from release.errors import Refused


class Exceeded(Refused):
    """A program needed more than a limit allows; `log` is what it had said until then."""

    def __init__(self, message: str, *, log: bytes, got: str, hint: str, where: str | None = None) -> None:
        super().__init__(message, where=where, got=got, hint=hint)
        self.log = log


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use: bytes of memory, bytes of scratch space (in memory, too, and counted beside it; no
    scratch folder can be larger), processes, CPUs (None: all of the machine), seconds."""

    memory: int = 4 << 30
    scratch: int = 4 << 30
    pids: int = 4096
    cpus: float | None = None
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One program to run. `reads` maps container paths to host paths, mounted read-only. `scratch` are folders of
    the container held in memory. `collect` maps container folders to host folders that receive the regular files
    found there when the program has ended. Of a log longer than `log_bytes` the tail is kept.
    """

    image: str
    argv: tuple[str, ...]
    reads: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    scratch: tuple[str, ...] = ()
    collect: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    capabilities: tuple[str, ...] = ()
    user: str = "0:0"
    limits: Limits = field(default_factory=Limits)
    log_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended by itself: exit code, output and errors in one log, seconds."""

    code: int
    log: bytes
    seconds: float


class Tail:
    """Collects output, and forgets the oldest of it beyond `limit` bytes; says so on top."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._dropped = 0

    def write(self, chunk: bytes) -> None:
        """Add output. Forgetting is done in large steps, so that each byte is moved about once."""
        self._kept += chunk
        if len(self._kept) > 2 * self._limit:
            self._forget()

    def content(self) -> bytes:
        """What is kept, at most `limit` bytes, after a line that counts what is not."""
        self._forget()
        note = f"[the first {self._dropped} bytes of this log were dropped]\n" if self._dropped else ""
        return note.encode() + bytes(self._kept)

    def _forget(self) -> None:
        surplus = len(self._kept) - self._limit
        if surplus > 0:
            del self._kept[:surplus]
            self._dropped += surplus
