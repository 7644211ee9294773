"""The container engine where none answers: Debian's dockerd with its own folders, no bridge, no firewall rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import docker
from docker.errors import DockerException

from release.errors import Broken
from release.tools.daemons import Daemon

# An AF_UNIX path holds 107 bytes (unix(7)), and folders of a checkout can be deep: the socket has a short home.
DEFAULT_SOCKET = "unix:///var/run/docker.sock"


def docker_daemon(*, folder: Path, socket: Path) -> Daemon:
    """dockerd with all state below `folder`, listening on `socket` only."""
    return Daemon(
        name="dockerd",
        argv=[
            "dockerd",
            "--data-root", str(folder / "data"),
            "--exec-root", str(folder / "exec"),
            "--pidfile", str(folder / "docker.pid"),
            "-H", f"unix://{socket}",
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
        ],
        folder=folder,
        ready=lambda: engine_answers(f"unix://{socket}"),
        stop_seconds=30.0,
    )  # fmt: skip


def release_mounts(folder: Path) -> None:
    """Unmount what a stopped dockerd left below its folder: its own network namespace stays mounted as a file."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", mount], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def remove_traces(url: str, *, names: tuple[str, ...]) -> None:
    """Remove the containers and images of an engine that is not ours to delete, by the beginning of their names."""
    try:
        client = docker.DockerClient(base_url=url, timeout=60)
        for container in client.containers.list(all=True):
            if (container.name or "").startswith(names):
                container.remove(force=True, v=True)
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith(names):
                    client.images.remove(tag, force=True)
        client.close()
    except (DockerException, OSError) as error:
        raise Broken("the container engine did not remove what we left there", where=url, got=error) from error


def engine_answers(url: str) -> bool:
    """Whether a Docker engine answers at `url`."""
    try:
        client = docker.DockerClient(base_url=url, timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False
