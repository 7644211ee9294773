"""The embedded registry: the docker-registry daemon of the system's packages, on loopback, content on disk."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from release.tools.daemons import Daemon


def registry_daemon(*, folder: Path, port: int) -> Daemon:
    """docker-registry serving `folder/registry` at 127.0.0.1:`port`; deletion is on, blobs are verified on write."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "registry.json"  # YAML is a superset of JSON
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}, "delete": {"enabled": True}},
                "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True},
            }
        )
    )
    return Daemon(
        name="registry",
        argv=["docker-registry", "serve", str(config)],
        folder=folder,
        environment={"OTEL_TRACES_EXPORTER": "none"},
        ready=lambda: answers(f"http://127.0.0.1:{port}/v2/"),
    )


def answers(url: str) -> bool:
    """Whether an HTTP GET is answered at all; any status counts, a refused connection does not."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
