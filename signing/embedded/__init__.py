"""The embedded Sigstore: certificate authority, transparency log, clock and identity tokens of one machine.

It makes the first run need no account, and it is honest about it: authority, log and signer are one party, so every
name it certifies carries `trust: embedded`, and production channels refuse it (`signing.policy`).
"""

from __future__ import annotations

import sys
from pathlib import Path


def command(*, state: Path, port: int, identity: str) -> tuple[str, ...]:
    """The argv that serves the instance of the folder `state` at 127.0.0.1:`port`; GET /healthz says when it is up.

    `identity` is the distribution's identity base. The process keeps its word over restarts and ends at SIGTERM.
    """
    module = [sys.executable, "-m", "signing.embedded"]
    return (*module, "--state", str(state), "--port", str(port), "--identity", identity)
