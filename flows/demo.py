"""The demo: from nothing to a signed, promoted release that a consumer uses, then a merge and its update."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from flows import watching
from flows.console import print_lines, print_table, say
from flows.runs import POLL, orchestrator
from release.channel.channels import Channel
from release.errors import Broken, Error, Refused
from release.source.commits import CommitNote, End
from release.tools.debian_tools import fetch_tool
from signing.policy import Role, identity_of
from tasks.fetch import fetch_channel, fetch_distro, fetch_head
from tasks.init import initialize
from tasks.record import recorded
from tasks.settings import Settings, person_environment
from tasks.stack import engine_url, up
from tasks.wiring import Tools, open_tools

WAIT_SECONDS = 1800.0
COSIGN_SUITE = "sid"  # the newest cosign that the system's packages have; it runs unchanged on older releases
BRANCH_OF_CONSUMER = "stable"


@dataclass(slots=True)
class Story:
    """What happened, for the closing table."""

    seconds: dict[str, float] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)

    def timed(self, name: str, started: float) -> None:
        """Remember how long a chapter took."""
        self.seconds[name] = time.monotonic() - started


def demo(settings: Settings, tree: Path) -> None:
    """Run the whole story on the embedded stack and leave it running."""
    asyncio.run(_demo(settings, tree))


async def _demo(settings: Settings, tree: Path) -> None:
    story = Story()
    async with open_tools(settings) as tools:
        start = time.monotonic()
        _chapter("1. an installation: keys, a git repository, a pinned toolchain set")
        await initialize(tools, tree, say)
        _chapter("2. the embedded stack")
        await asyncio.to_thread(up, settings, say)
        say("page", settings.web_public)
        story.timed("set up", start)
        await _first_release(tools, story)
        consumer = Consumer(settings, tree, await _consumer_environment(tools, settings))
        if await _merge_is_new(tools, tree):
            start = time.monotonic()
            _chapter("4. consumers of the first release")
            story.checks += consumer("image", "host")
            story.timed("consumers before", start)
            await _merge(tools, tree, story)
            start = time.monotonic()
            _chapter("6. consumers after the merge")
            story.checks += consumer("update", "verify")
            story.timed("consumers after", start)
        else:
            _chapter("4. the change was merged before: nothing to build")
            story.checks += consumer("image", "host", "verify")
        await _close(tools, story)


async def _first_release(tools: Tools, story: Story) -> None:
    """The head of stable, released now if it is not yet; the poller finds it, as it finds every lost event."""
    head = await fetch_head(tools, tools.settings.branch)
    start, since = time.monotonic(), tools.now()
    note = await recorded(tools, head)
    if note is not None and note.state.final:
        _chapter(f"3. {head[:12]} is released already: {_told(note)}")
    else:
        _chapter(f"3. the first release, from nothing: {head[:12]}")
        async with orchestrator() as prefect:
            await prefect.start(POLL, key=f"demo:{head}:{int(time.time())}", parameters={})
        await _until_ended(tools, head, since=since)
    await _until_promoted(tools, head)
    story.timed("first release, promoted to stable", start)


async def _merge_is_new(tools: Tools, tree: Path) -> bool:
    head = await fetch_head(tools, tools.settings.branch)
    log = await asyncio.to_thread(tools.repository.log, None, head)
    return _subject(_patch(tree)) not in {commit.subject for commit in log}


async def _merge(tools: Tools, tree: Path, story: Story) -> None:
    """What a maintainer does: clone, apply, push. The repository's own hook carries the event."""
    patch = _patch(tree)
    _chapter(f"5. a merge to stable: {_subject(patch)}")
    start, since = time.monotonic(), tools.now()
    await asyncio.to_thread(_push, tools, patch)
    head = await fetch_head(tools, tools.settings.branch)
    await _until_ended(tools, head, since=since)
    story.timed("merge, released to edge", start)
    await _until_promoted(tools, head)
    story.timed("merge, promoted to stable", start)


def _push(tools: Tools, patch: Path) -> None:
    work = tools.scratch("maintainer") / "clone"
    subprocess.run(["rm", "-rf", str(work)], check=True)
    who = {"GIT_COMMITTER_NAME": "Robin Caulker", "GIT_COMMITTER_EMAIL": "robin@skiff.example"}
    branch = tools.settings.branch
    for words in (
        ["git", "clone", "-q", "--branch", branch, tools.repository.url, str(work)],
        ["git", "-C", str(work), "am", "-q", "--whitespace=nowarn", str(patch)],
        ["git", "-C", str(work), "push", "-q", "origin", f"HEAD:{branch}"],
    ):
        done = subprocess.run(words, env={**person_environment(), **who}, capture_output=True, text=True, check=False)
        sys.stderr.write(done.stderr)
        if done.returncode:
            raise Broken(f"{' '.join(words[:2])} failed", got=done.stderr.strip())


async def _until_ended(tools: Tools, commit: str, *, since: datetime) -> None:
    """Show the run's progress until the commit's note says how it ended; a bad end is an error with its reason."""
    watch = watching.Watch(tools.settings.folder / "progress", commit, since=since)
    with watch:
        note = await _await(
            lambda: recorded(tools, commit), lambda found: found is not None, watch.show, what=commit[:12]
        )
    if note is None or note.state in (End.FAILED, End.REFUSED):
        raise Refused(
            f"commit {commit[:12]} was not released", got=note.reason if note else None, hint="see slipway status"
        )
    say("released", _told(note))


async def _until_promoted(tools: Tools, commit: str) -> None:
    """Wait until the last channel points at the release of the commit."""
    distro = await fetch_distro(tools, commit)
    note = await recorded(tools, commit)
    if note is None or note.release is None:
        return
    wanted = note.release
    for name in distro.channels:

        async def read(name: str = name) -> Channel:
            return (await fetch_channel(tools, distro, name))[0]

        def arrived(found: Channel) -> bool:
            return any(entry.release == wanted for entry in found.history)

        pointer = await _await(read, arrived, lambda: None, what=f"{name} to reach {wanted.alias}")
        say(name, f"serial {pointer.serial}: {wanted.alias}")


async def _await(read: Callable[..., object], good: Callable[..., bool], tick: Callable[[], None], *, what: str):  # type: ignore[no-untyped-def]
    limit = time.monotonic() + WAIT_SECONDS
    while True:
        found = await read()  # type: ignore[misc]
        if good(found):
            return found
        if time.monotonic() > limit:
            raise Broken(
                f"waited {WAIT_SECONDS:.0f} s for {what}", hint="slipway status, and the page, say where it is"
            )
        tick()
        await asyncio.sleep(0.3)


class Consumer:
    """Runs the consumer's own script, which knows nothing of Slipway."""

    def __init__(self, settings: Settings, tree: Path, environment: Mapping[str, str]) -> None:
        self._script = tree / "demo" / "consumer" / "consume.sh"
        self._environment = {**person_environment(), "DOCKER_HOST": engine_url(settings), **environment}

    def __call__(self, *steps: str) -> list[str]:
        checks = []
        for step in steps:
            done = subprocess.run(
                ["sh", str(self._script), step], env=self._environment, stdout=subprocess.PIPE, text=True, check=False
            )
            sys.stderr.write(done.stdout)
            if done.returncode:
                raise Broken(
                    f"the consumer's step {step!r} failed", where=str(self._script), got=done.stdout.strip()[-500:]
                )
            checks += [line for line in done.stdout.splitlines() if line.startswith(("ok:", "skipped:"))]
        return checks


async def _consumer_environment(tools: Tools, settings: Settings) -> dict[str, str]:
    distro = await fetch_distro(tools, await fetch_head(tools, settings.branch))
    cosign = ""
    try:
        cosign = str(await fetch_tool("cosign", COSIGN_SUITE, settings.folder / "tools"))
    except Error as error:
        say("cosign", f"not at hand: {error.message}")
    return {
        "REGISTRY": settings.registry_public.partition("://")[2],
        "CHANNEL": BRANCH_OF_CONSUMER,
        "COSIGN": cosign,
        "ROOT": str(settings.folder / "sigstore" / "trusted_root.json"),
        "IDENTITY": identity_of(distro.identity, Role.SIGN),
        "ISSUER": tools.issuer,
    }


async def _close(tools: Tools, story: Story) -> None:
    from tasks.observe import observe

    found = await observe(tools)
    channels = [(each.name, str(each.serial), each.alias or "-") for each in found.channels]
    print_table("channels", ["channel", "serial", "release"], channels)
    for release in found.releases[:1]:
        lines = [release.digest, *(each.reference for each in release.published)]
        print_lines(f"{release.alias}, by digest", lines)
    builds = [(each.package, str(each.state), f"{each.seconds or 0:.1f}", each.reason) for each in found.builds]
    print_table("rebuilt, and why", ["package", "how", "seconds", "why"], builds)
    print_table("times", ["chapter", "seconds"], [(name, f"{seconds:.1f}") for name, seconds in story.seconds.items()])
    print_lines("what the consumers saw", story.checks)
    settings = tools.settings
    command = Path(sys.executable).parent / "slipway"
    print_lines(
        "try next",
        [
            f"{settings.web_public}   the status page",
            f"{settings.prefect_api.removesuffix('/api')}   Prefect",
            f"{command} status",
            f"{command} plan --why lua-lpeg",
            f"{command} verify stable",
            f"{command} rollback stable --reason 'trying it'",
            "make down    stop everything",
            "make clean   remove every trace",
        ],
    )


def _patch(tree: Path) -> Path:
    return next(iter(sorted((tree / "demo").glob("*.patch")))).absolute()


def _subject(patch: Path) -> str:
    line = next(line for line in patch.read_text().splitlines() if line.startswith("Subject: "))
    return line.removeprefix("Subject: ").removeprefix("[PATCH] ")


def _told(note: CommitNote) -> str:
    return f"{note.state} {note.release.alias if note.release else note.reason}"


def _chapter(title: str) -> None:
    sys.stderr.write(f"\n{title}\n")
    sys.stderr.flush()
