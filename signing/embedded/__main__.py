"""`python -m signing.embedded --state DIR --port N --identity BASE`: serve the embedded Sigstore until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from release.errors import Broken, Error
from signing.embedded.folder import Folder
from signing.embedded.instance import Instance
from signing.embedded.service import HOST, Service


def main() -> int:
    """Read the command line and serve; the exit code is the error's."""
    parser = argparse.ArgumentParser(prog="python -m signing.embedded", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of keys, secrets and log (0700)")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--identity", required=True, help="base of the identity URIs, without a slash at its end")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(Folder(path=asked.state), port=asked.port, identity=asked.identity)
    except Error as error:
        logging.error("%s", error.diagnostics())
        return error.exit_code
    return 0


def serve(folder: Folder, *, port: int, identity: str) -> None:
    """Own the folder and answer on the port until the process is told to end."""
    with folder.owned():
        instance = Instance(folder, url=f"http://{HOST}:{port}", identity=identity, now=_now())
        try:
            with Service(instance, port=port, clock=_now) as service:
                instance.publish()
                service.serve_forever()
        except OSError as error:
            raise Broken(f"port {port} cannot be served", got=error, hint="choose a free port") from error


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
