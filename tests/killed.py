"""A release that ends itself with SIGKILL: `python -m tests.killed "<instant>" <commit> <file that counts builds>`.

An instant is something that is about to happen or has just happened, and which time: `tagging edge 2` is before the
second tag `edge` is set. The process ends with 0 when the instant never comes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# In the order in which they come, so that a release which dies at each of them in turn always gets further.
INSTANTS = (
    "stage detect 1", "ended detect 1", "stage toolchain 1", "ended toolchain 1", "stage plan 1", "ended plan 1",
    "stage build 1", "signing provenance 1", "signed provenance 1", "tagging k 1", "tagged k 1", "ended build 1",
    "stage publish 1", "signing sign 1", "signed sign 1", "tagging d 1", "tagged d 1", "tagging c 1", "tagged c 1",
    "ended publish 1",
    "stage images 1", "signing many 1", "signed many 1", "tagging i 1", "tagged i 1", "tagging i 2", "ended images 1",
    "stage release 1", "signing sign 2", "signed sign 2", "tagging R 1", "tagged R 1", "tagging R 2", "tagging R 3",
    "tagging R 4", "tagged R 4", "ended release 1",
    "stage promote 1", "signing verification_summary 1", "signed verification_summary 1", "committing channels 1",
    "committed channels 1",
    # The next attempt moves only the tags that are not yet where git says.
    "tagging edge 1", "tagged edge 1", "tagging edge 2", "tagged edge 1", "tagged edge 1", "noting 1", "noted 1",
)  # fmt: skip


class Killer:
    """Wraps the hands of the pipeline, and counts what passes through them."""

    def __init__(self, instant: str) -> None:
        self._instant = instant
        self._seen: Counter[str] = Counter()

    def reached(self, what: str) -> None:
        """Now, if it is the chosen instant."""
        self._seen[what] += 1
        if f"{what} {self._seen[what]}" == self._instant:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, words: Callable[..., tuple[str, str] | None]) -> None:
        """Tell of each call of an async function: the first word before it, the second after it."""
        real = getattr(owner, name)

        async def told(*arguments: Any, **named: Any) -> Any:
            what = words(*arguments, **named)
            if what:
                self.reached(what[0])
            result = await real(*arguments, **named)
            if what:
                self.reached(what[1])
            return result

        setattr(owner, name, told)

    def around_blocking(self, owner: Any, name: str, words: Callable[..., tuple[str, str]]) -> None:
        """The same for a function that blocks."""
        real = getattr(owner, name)

        def told(*arguments: Any, **named: Any) -> Any:
            before, after = words(*arguments, **named)
            self.reached(before)
            result = real(*arguments, **named)
            self.reached(after)
            return result

        setattr(owner, name, told)


def _signing(_: Any, claims: Any, **named: Any) -> tuple[str, str] | None:
    kinds = {claim.predicate_type.rstrip("/v1").rpartition("/")[2] for claim in claims}
    word = next(iter(kinds)) if len(kinds) == 1 else "many"
    return f"signing {word}", f"signed {word}"


def _tagging(*_: Any, tag: str | None = None, **named: Any) -> tuple[str, str] | None:
    word = (tag or "").partition("-")[0]
    return (f"tagging {word}", f"tagged {word}") if word else None


def main(instant: str, commit: str, builds: Path) -> None:
    """Release the commit with the killer in every place."""
    from flows.on_commit import on_commit
    from release.tools.git import Repository
    from release.tools.registry import Registry
    from tasks import assemble, promote, publish
    from tasks.progress import Progress
    from tests.world import count_builds

    killer = Killer(instant)
    stage = Progress.stage

    @contextmanager
    def told(self: Progress, name: str) -> Iterator[None]:
        killer.reached(f"stage {name}")
        with stage(self, name):
            yield
        killer.reached(f"ended {name}")

    Progress.stage = told  # type: ignore[method-assign]
    for room in (publish, assemble, promote):
        killer.around(room, "sign", _signing)
    killer.around(Registry, "push_document", _tagging)
    killer.around_blocking(
        Repository, "commit_files", lambda _, branch, *a, **n: (f"committing {branch}", f"committed {branch}")
    )
    killer.around_blocking(Repository, "write_note", lambda *a, **n: ("noting", "noted"))
    count_builds(builds)
    asyncio.run(on_commit(repository="distribution", commit=commit))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
