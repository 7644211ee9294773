"""Real daemons for the tests: one registry and one container engine a session, kept out of the working stack."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from release.tools.docker_daemon import DEFAULT_SOCKET, docker_daemon, engine_answers
from release.tools.registry_daemon import registry_daemon

if TYPE_CHECKING:
    from tests.world import World

ROOT = Path(__file__).parent.parent
STATE = ROOT / ".slipway" / "test"
CREATEREPO = str(Path(sys.executable).with_name("createrepo_c"))  # of the lock file, whatever the machine has
(STATE / "prefect").mkdir(parents=True, exist_ok=True)
# Prefect reads these once, when it is imported: its own files beside ours, nobody is told of it.
os.environ |= {
    "PREFECT_HOME": str(STATE / "prefect"),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real docker-registry with an empty store: `http://127.0.0.1:<port>`."""
    port = free_port()
    daemon = registry_daemon(folder=tmp_path_factory.mktemp("registry"), port=port)
    daemon.start()
    yield f"http://127.0.0.1:{port}"
    daemon.stop()


@pytest.fixture(scope="session")
def docker_url() -> Iterator[str]:
    """A real Docker engine: the one that answers already, otherwise our own, whose images stay for the next run."""
    wanted = os.environ.get("DOCKER_HOST", DEFAULT_SOCKET)
    if engine_answers(wanted):
        yield wanted
        return
    name = hashlib.sha256(str(STATE).encode()).hexdigest()[:12]  # another checkout has an engine of its own
    path = Path(tempfile.gettempdir()) / f"slipway-test-{name}.sock"
    daemon = docker_daemon(folder=STATE / "docker", socket=path)
    started = daemon.start()
    yield f"unix://{path}"
    if started:
        daemon.stop()


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """A real Prefect server with an empty database: the URL of its API, which every flow of this process uses."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, docker_url: str, prefect_api: str) -> Iterator[World]:
    """A whole installation with its first release. Tests share it, so each leaves it able to make the next one."""
    from tests.world import made_world

    with made_world(tmp_path_factory.mktemp("world"), docker_url=docker_url, prefect_api=prefect_api) as made:
        yield made
