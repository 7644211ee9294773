"""Starts and stops the embedded stack: registry, Sigstore, container engine, Prefect, runner, web door."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from release.errors import Broken, Misconfigured, Refused
from release.tools.daemons import Daemon
from release.tools.docker_daemon import DEFAULT_SOCKET, docker_daemon, engine_answers, release_mounts, remove_traces
from release.tools.registry_daemon import answers, registry_daemon
from signing import embedded
from tasks.settings import Settings, prefect_environment

Say = Callable[[str, str], None]  # (part, what happened to it), for a person who watches
SOCKET_LENGTH = 100  # an AF_UNIX path holds 107 bytes (unix(7))


def up(settings: Settings, say: Say) -> None:
    """Start what does not run yet, in two waves: what others need first, then who needs it."""
    with _only_one(settings):
        first, second = _waves(settings)
        for wave in (first, second):
            _refuse_foreign_ports(settings, wave)
            with ThreadPoolExecutor(max_workers=len(wave)) as pool:
                for daemon, started in zip(wave, pool.map(lambda each: each.start(), wave), strict=True):
                    say(daemon.name, "started" if started else "already up")


def down(settings: Settings, say: Say) -> None:
    """Stop what we started, in the opposite order; what somebody else runs is left alone."""
    with _only_one(settings):
        for daemon in reversed([*_first(settings, everything=True), *_second(settings)]):
            if daemon.stop():
                say(daemon.name, "stopped")


def remove_state(settings: Settings) -> None:
    """Remove the whole state folder; the stack must be down."""
    alive = [name for name, pid in running(settings).items() if pid]
    if alive:
        raise Refused(f"{', '.join(alive)} still runs", where=settings.state, hint="slipway down, then again")
    if engine_answers(engine_url(settings)):  # somebody else's engine, which keeps what we put there
        host = settings.registry_public.partition("://")[2]
        remove_traces(engine_url(settings), names=("slipway-toolchain:", "slipway-bare:", "slipway-demo-", f"{host}/"))
    release_mounts(settings.folder)
    shutil.rmtree(settings.folder, ignore_errors=True)
    if settings.folder.exists():
        raise Broken("the state folder cannot be removed completely", where=settings.state, hint="remove it by hand")


def running(settings: Settings) -> dict[str, int | None]:
    """Process id of each part of the embedded stack, None where it does not run."""
    return {each.name: each.pid() for each in [*_first(settings, everything=True), *_second(settings)]}


def engine_url(settings: Settings) -> str:
    """The container engine in use: the one that was configured, ours when it runs, otherwise the system's."""
    if settings.docker:
        return settings.docker
    return _socket_url(settings) if _docker(settings).pid() else DEFAULT_SOCKET


def _waves(settings: Settings) -> tuple[list[Daemon], list[Daemon]]:
    return _first(settings), _second(settings)


def _first(settings: Settings, *, everything: bool = False) -> list[Daemon]:
    ours = [_sigstore(settings)] if settings.embedded_trust else []
    if settings.embedded_registry:
        ours.append(registry_daemon(folder=settings.folder / "registry", port=settings.registry_port))
    if everything or _docker(settings).pid() or not engine_answers(settings.docker or DEFAULT_SOCKET):
        ours.append(_docker(settings))
    if settings.embedded_prefect:
        ours.append(_prefect(settings))
    return ours


def _second(settings: Settings) -> list[Daemon]:
    return [_ours(settings, "runner", "flows.deployments"), _ours(settings, "web", "flows.serve")]


def _docker(settings: Settings) -> Daemon:
    return docker_daemon(folder=settings.folder / "docker", socket=Path(_socket_url(settings).removeprefix("unix://")))


def _socket_url(settings: Settings) -> str:
    path = settings.folder / "docker" / "docker.sock"
    if len(str(path)) > SOCKET_LENGTH:
        name = hashlib.sha256(str(settings.folder).encode()).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"slipway-{name}.sock"
    return f"unix://{path}"


def _sigstore(settings: Settings) -> Daemon:
    folder = settings.folder / "sigstore"
    return Daemon(
        name="sigstore",
        argv=embedded.command(state=folder, port=settings.sigstore_port, identity=settings.identity),
        folder=folder,
        environment={"PYTHONPATH": _code()},
        ready=lambda: answers(f"{settings.sigstore_url}/healthz"),
    )


def _prefect(settings: Settings) -> Daemon:
    port = str(settings.prefect_port)
    return Daemon(
        name="prefect",
        argv=[sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port],
        folder=settings.folder / "prefect",
        environment={"HOME": str(settings.folder), **prefect_environment(settings)},
        ready=lambda: answers(f"{settings.prefect_api}/health"),
    )


def _ours(settings: Settings, name: str, module: str) -> Daemon:
    folder = settings.folder / name
    urls = {"web": f"http://127.0.0.1:{settings.web_port}/healthz"}
    return Daemon(
        name=name,
        argv=[sys.executable, "-m", module],
        folder=folder,
        environment={
            "HOME": str(settings.folder),
            "PYTHONPATH": _code(),
            **prefect_environment(settings),
            **settings.to_environment(),
        },
        ready=(lambda: answers(urls[name])) if name in urls else lambda: _announced(folder, name),
    )


def _announced(folder: Path, name: str) -> bool:
    # The runner serves no port: it writes its own pid into `ready` once its deployments are registered. A file
    # left behind by an earlier process names another pid.
    try:
        return (folder / "ready").read_text() == str(json.loads((folder / f"{name}.pid").read_text())["pid"])
    except (FileNotFoundError, ValueError):
        return False


def _code() -> str:
    return str(Path(__file__).parent.parent)


def _refuse_foreign_ports(settings: Settings, wave: list[Daemon]) -> None:
    ports = {
        "registry": ("SLIPWAY_REGISTRY_PORT", settings.registry_port),
        "sigstore": ("SLIPWAY_SIGSTORE_PORT", settings.sigstore_port),
        "prefect": ("SLIPWAY_PREFECT_PORT", settings.prefect_port),
        "web": ("SLIPWAY_WEB_PORT", settings.web_port),
    }
    for daemon in wave:
        variable, port = ports.get(daemon.name, ("", 0))
        if port and daemon.pid() is None and _taken(port):
            raise Misconfigured(
                f"port {port} is taken by another program, so {daemon.name} cannot start",
                hint=f"set {variable} to a free port, or stop the other program (ss -ltnp shows it)",
            )


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.folder / "stack.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                "another slipway up or down is at work on this state",
                where=str(settings.folder),
                hint="wait for it to end, then run the command again",
            ) from error
        yield
