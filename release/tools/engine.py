"""The Docker engine, call by call and blocking: images in, one sealed container through its whole life, strays out."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Any

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Mount, Ulimit

from release.errors import Broken, Misconfigured
from release.tools.collect import collect
from release.tools.daemons import start_time
from release.tools.sealed import Ended, Exceeded, Sealed, Tail

_OWNER = "dev.slipway.owner"
_CALL_SECONDS = 600  # importing a root of gigabytes is one call
_CHUNK = 1 << 20
_HOST = "slipway"
_KILLED = 137  # 128 + SIGKILL, bash(1)
# Docker hands its own limit of a million or more open files down; rpm and Python close each of them before an exec.
_OPEN_FILES = 4096


class Engine:
    """A connection to the engine at `url`. Every method blocks; every error is ours."""

    def __init__(self, url: str) -> None:
        self._url = url
        with self._errors():
            self._api = APIClient(base_url=url, version="auto", timeout=_CALL_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def has_image(self, name: str) -> bool:
        """Whether an image of this name is there."""
        with self._errors():
            try:
                self._api.inspect_image(name)  # type: ignore[no-untyped-call]  # types-docker leaves it untyped
            except ImageNotFound:
                return False
            return True

    def import_tar(self, tar: Path, name: str) -> None:
        """One uncompressed tar as an image of one layer."""
        repository, _, tag = name.rpartition(":")
        with self._errors(), tar.open("rb") as content:
            # Chunks and not the file: for a file, requests would say its length beside the client's "chunked".
            chunks = iter(lambda: content.read(_CHUNK), b"")
            self._api.import_image_from_stream(chunks, repository=repository, tag=tag)

    def live(self, sealed: Sealed, name: str, log: Tail, stop: Event) -> Ended:
        """Create, start, follow and remove a container. Whoever sets `stop` and removes it by name ends this call."""
        started = time.monotonic()
        try:
            with self._errors():
                self._create(sealed, name)
                stream = self._api.attach(name, stream=True)
                if stop.is_set():
                    raise Broken("the container was not wanted any more", where=name)
                self._api.start(name)
                for chunk in stream:
                    log.write(chunk)
                code = self._outcome(name, sealed, log)
                for source, target in sealed.collect.items():
                    archive, _ = self._api.get_archive(name, source)
                    collect(self._received(archive), source, target)
        finally:
            self.remove(name)
        return Ended(code=code, log=log.content(), seconds=time.monotonic() - started)

    def remove(self, name: str) -> None:
        """End and remove a container; one that is not there, or that somebody removes already, is fine."""
        with self._errors():
            try:
                self._api.remove_container(name, force=True, v=True)
            except APIError as error:
                if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                    raise

    def remove_strays(self) -> tuple[str, ...]:
        """Remove what processes of this host left behind when they were killed; the names of the removed."""
        with self._errors():
            listed = self._api.containers(all=True, filters={"label": _OWNER})
        strays = [each["Names"][0].lstrip("/") for each in listed if not _lives(each["Labels"][_OWNER])]
        for name in strays:
            self.remove(name)
        return tuple(strays)

    def _create(self, sealed: Sealed, name: str) -> None:
        limits = sealed.limits
        memory = limits.memory + (limits.scratch if sealed.scratch else 0)
        sealing = self._api.create_host_config(
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=list(sealed.capabilities),
            security_opt=["no-new-privileges"],
            mounts=[
                Mount(path, str(host.absolute()), type="bind", read_only=True) for path, host in sealed.reads.items()
            ],
            tmpfs=dict.fromkeys(sealed.scratch, f"size={limits.scratch},mode=1777,exec,nosuid,nodev"),
            mem_limit=memory,
            memswap_limit=memory,  # equal: no swap
            pids_limit=limits.pids,
            nano_cpus=int(limits.cpus * 1e9) if limits.cpus else None,
            ulimits=[Ulimit(name="nofile", soft=_OPEN_FILES, hard=_OPEN_FILES)],
            extra_hosts={_HOST: "127.0.0.1"},
            log_config=LogConfig(type="none"),  # the log is followed here; the engine need not keep it too
        )
        self._api.create_container(
            sealed.image,
            command=list(sealed.argv),
            entrypoint=[],
            environment=dict(sealed.environment),
            user=sealed.user,
            hostname=_HOST,
            labels={_OWNER: _mark(os.getpid())},
            host_config=sealing,
            name=name,
        )

    def _outcome(self, name: str, sealed: Sealed, log: Tail) -> int:
        code = int(self._api.wait(name)["StatusCode"])
        state: dict[str, Any] = self._api.inspect_container(name)["State"]
        if code and state["OOMKilled"]:
            raise Exceeded(
                "out of memory: the kernel ended the program",
                log=log.content(),
                got=f"more than {sealed.limits.memory >> 20} MiB, scratch space not counted",
                hint="raise its memory limit, or let it run fewer jobs at once",
            )
        if code == _KILLED:
            raise Broken("the container was killed from outside", where=name, hint="run it again")
        return code

    def _received(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks; what goes wrong with receiving them is the engine's, whoever asks for the next one."""
        with self._errors():
            yield from chunks

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """The engine's and its client's exceptions as ours."""
        try:
            yield
        except ImageNotFound as error:
            raise Misconfigured(
                "the engine lacks an image",
                got=error.explanation,
                hint="run it again: that makes the toolchain's image",
            ) from error
        except NotFound as error:
            raise Broken("a container vanished", where=self._url, got=error.explanation, hint="run it again") from error
        except APIError as error:
            raise Broken("the container engine refused", where=self._url, got=error.explanation) from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise Broken(
                "the container engine does not answer",
                where=self._url,
                got=error,
                hint="slipway doctor says whether Docker runs and whether you may use it",
            ) from error


def _mark(pid: int) -> str:
    """`<host>/<pid>/<start time>`: names one process for ever, unlike a pid."""
    began = start_time(pid)
    return f"{socket.gethostname()}/{pid}/{began}" if began else ""


def _lives(mark: str) -> bool:
    host, pid, _ = mark.split("/")
    return host != socket.gethostname() or _mark(int(pid)) == mark
