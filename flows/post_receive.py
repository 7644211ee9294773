"""The door from git: a post-receive hook tells the receiver of each pushed branch, and never fails the push.

`slipway init` installs it as `hooks/post-receive` of a bare repository. What it cannot deliver, the poller finds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path

from signing.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER, plain_signature

BRANCHES = "refs/heads/"
DELETED = "0" * 40
SECONDS = 10.0


def main(arguments: list[str], lines: Iterable[str]) -> int:
    """`lines` are git's `<before> <after> <ref>` (githooks(5)). Always 0: the push has already happened."""
    parser = argparse.ArgumentParser(prog="post-receive", description=__doc__)
    parser.add_argument("--url", required=True, help="the receiver, for example http://127.0.0.1:5802/events")
    parser.add_argument("--secret-file", required=True, type=Path, help="file with the webhook secret")
    parser.add_argument("--repository", required=True, help="the name by which the pipeline knows this repository")
    options = parser.parse_args(arguments)
    for line in lines:
        before, after, ref = line.split()
        if ref.startswith(BRANCHES):
            answer = _deliver(options.url, options.secret_file, _event(options.repository, before, after, ref))
            sys.stderr.write(f"slipway: {ref.removeprefix(BRANCHES)} {after[:12]} {answer}\n")
    return 0


def _event(repository: str, before: str, after: str, ref: str) -> dict[str, object]:
    subject, author = "", ""
    if after != DELETED:
        described = subprocess.run(
            ["git", "log", "-1", "--format=%s%x00%an", after], capture_output=True, text=True, check=False
        )
        subject, _, author = described.stdout.strip().partition("\0")
    return {
        "repository": repository, "ref": ref, "before": before, "after": after, "subject": subject, "author": author,
    }  # fmt: skip


def _deliver(url: str, secret_file: Path, event: dict[str, object]) -> str:
    body = json.dumps(event).encode()
    timestamp = int(time.time())
    try:
        secret = secret_file.read_text().strip()
        request = urllib.request.Request(  # noqa: S310 - the URL is written by slipway init
            url,
            data=body,
            headers={
                "Content-Type": "application/json",
                "X-Slipway-Event": "push",
                TIMESTAMP_HEADER: str(timestamp),
                SIGNATURE_HEADER: plain_signature(secret, timestamp, body),
            },
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            told = json.loads(answer.read(65536))
        if not isinstance(told, dict):
            raise ValueError("its answer is no JSON object")
    except urllib.error.HTTPError as error:
        return f"was not accepted (HTTP {error.code}: {error.read(300).decode(errors='replace')}); the poller finds it"
    except (OSError, ValueError, HTTPException) as error:
        return f"was not delivered ({error}); the poller finds it"
    return str(told.get("ignored") or f"is on its way (flow run {told.get('flow_run')})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
