"""Pushing to a registry: our client beside skopeo and oras-py, far away (20 ms) and near.

    python -m bench.bench_registry [--quick]

Medians of 5 (1 with --quick). Each run of each client pushes fresh random content into a repository of its own, so
that nobody finds anything already there. The registry keeps its content in memory where the machine has /dev/shm.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from release import oci
from release.tools.registry_daemon import answers, registry_daemon
from release.tools.store import digest_of_file
from tests.conftest import free_port

ROUND_TRIP = 0.020
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is pushed: a number of files of one size, with or without the delay."""

    title: str
    files: int
    size: int
    far: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One push: wall seconds of the whole process, and the most memory it held (MiB)."""

    seconds: float
    mebibytes: float


Client = Callable[[str, str, Path], Sequence[str]]


def slipway(url: str, repository: str, folder: Path) -> Sequence[str]:
    """Our client."""
    return [sys.executable, "-m", "bench.pushers", "slipway", url, repository, str(folder)]


def oras_py(url: str, repository: str, folder: Path) -> Sequence[str]:
    """oras-py."""
    return [sys.executable, "-m", "bench.pushers", "oras", url, repository, str(folder)]


def skopeo(url: str, repository: str, folder: Path) -> Sequence[str]:
    """skopeo, from an OCI layout with the files as layers, made here (not part of the time)."""
    layout = write_layout(folder)
    target = f"docker://{url.removeprefix('http://')}/{repository}:bench"
    return ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout}:bench", target]


CLIENTS: dict[str, Client] = {"slipway": slipway, "skopeo": skopeo, "oras-py": oras_py}


def write_layout(folder: Path) -> Path:
    """An OCI image layout beside the folder whose layers are hard links to its files."""
    layout = folder.with_name(f"{folder.name}-layout")
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = []
    for path in sorted(folder.iterdir()):
        digest = digest_of_file(path)
        (blobs / digest.removeprefix("sha256:")).hardlink_to(path)
        layers.append(oci.Descriptor(media_type=oci.LAYER_GZIP, digest=digest, size=path.stat().st_size))
    rootfs = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    described = oci.blob(config, oci.IMAGE_CONFIG)
    manifest = oci.manifest(config=described, layers=layers)
    for digest, content in ((described.digest, config), (manifest.digest, manifest.raw)):
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    named = {**manifest.descriptor.to_json(), "annotations": {"org.opencontainers.image.ref.name": "bench"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return layout


def sample(client: Client, load: Load, url: str, repository: str) -> Sample:
    """Push once in a fresh process."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name, "files")
        folder.mkdir()
        for number in range(load.files):
            (folder / f"{number:04}").write_bytes(os.urandom(load.size))
        argv = client(url, repository, folder)
        started = time.perf_counter()
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, high_water(process.pid))
                time.sleep(0.01)
        if process.returncode:
            raise SystemExit(f"failed: {' '.join(argv)}")
        return Sample(seconds=time.perf_counter() - started, mebibytes=peak)


def high_water(pid: int) -> float:
    """MiB a process has held at most since its exec; rusage would count what we held when we forked it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def registries() -> Iterator[tuple[str, str]]:
    """URLs of one registry, near and far."""
    near, far = free_port(), free_port()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        daemon = registry_daemon(folder=Path(name), port=near)
        daemon.start()
        proxy = subprocess.Popen([sys.executable, "-m", "bench.delay_proxy", str(far), str(near), str(ROUND_TRIP)])
        try:
            while not answers(f"http://127.0.0.1:{far}/v2/"):
                time.sleep(0.05)
            yield f"http://127.0.0.1:{near}", f"http://127.0.0.1:{far}"
        finally:
            proxy.terminate()
            proxy.wait()
            daemon.stop()


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    quick = "--quick" in arguments
    runs, small, large = (1, 100, 50) if quick else (5, 500, 300)
    loads = [
        Load(title=f"push {small} x 20 KB, 20 ms away", files=small, size=20_000, far=True),
        Load(title=f"push 1 x {large} MB, near", files=1, size=large * 1_000_000, far=False),
    ]
    numbers = count()
    print(f"{'':34}{'client':10}{'median s':>10}{'ratio':>8}{'MiB':>7}   all runs (s)")
    with registries() as (near, far):
        for load in loads:
            samples: dict[str, list[Sample]] = {name: [] for name in CLIENTS}
            for _ in range(runs):  # in turns, so that a noisy minute hits everyone
                for name, client in CLIENTS.items():
                    url = far if load.far else near
                    samples[name].append(sample(client, load, url, f"bench/r{next(numbers)}"))
            ours = statistics.median(each.seconds for each in samples["slipway"])
            for name, taken in samples.items():
                median = statistics.median(each.seconds for each in taken)
                peak = max(each.mebibytes for each in taken)
                every = " ".join(f"{each.seconds:.2f}" for each in taken)
                title = load.title if name == "slipway" else ""
                print(f"{title:34}{name:10}{median:10.2f}{median / ours:8.1f}{peak:7.0f}   {every}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
