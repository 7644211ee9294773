"""One step of a path through the graph, in words: apart from the graph, for those who only read a forecast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step of a path: `package` has `on` in its build root through `through`, the requirements as they are
    written: the BuildRequires first, then what that package requires at run time, and so on, up to `on`."""

    package: str
    on: str
    through: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.package} needs {self.on} through {' -> '.join(self.through)}"
