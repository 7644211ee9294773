"""Events as forges send them, cut to the fields that matter plus a few that must not: field names per their documents.

GitHub: "Webhook events and payloads", push. GitLab: "Webhook events", push and tag events. Gitea:
modules/structs/hook.go and services/webhook/deliver.go.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 11, 23, 3, 12, 7, tzinfo=UTC)
BEFORE = "95790bf891e76fee5e1747ab589903a6a1f80f22"
AFTER = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
NOTHING = "0" * 40
REPOSITORY = "skiff/distribution"
SECRET = "correct horse battery staple"
SIGNING_TOKEN = f"whsec_{base64.b64encode(b'a key of thirty-two bytes, 123456').decode()}"


def commit(sha: str = AFTER, message: str = "zlib: Fix the overflow\n\nCVE-2026-41234") -> dict[str, Any]:
    """A commit as all three forges list it."""
    return {
        "id": sha,
        "message": message,
        "timestamp": "2026-11-23T03:11:59Z",
        "url": f"https://forge.example/{REPOSITORY}/commit/{sha}",
        "author": {"name": "Mira Okafor", "email": "mira@example.org", "username": "mira"},
        "added": [],
        "removed": [],
        "modified": ["SPECS/zlib/zlib.spec"],
    }


def github(ref: str = "refs/heads/stable", **changes: Any) -> dict[str, Any]:
    """A GitHub push."""
    return {
        "ref": ref,
        "before": BEFORE,
        "after": AFTER,
        "repository": {"id": 186853002, "name": "distribution", "full_name": REPOSITORY, "private": False},
        "pusher": {"name": "mira", "email": "mira@example.org"},
        "sender": {"login": "mira", "id": 21031067, "type": "User"},
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"https://github.com/{REPOSITORY}/compare/95790bf891e7...da1560886d4f",
        "commits": [commit()],
        "head_commit": {**commit(), "tree_id": "31b122c26a97cf9af023e9ddab94a82c6e77b0ea", "distinct": True},
        **changes,
    }


def gitea(ref: str = "refs/heads/stable", **changes: Any) -> dict[str, Any]:
    """A Gitea push: GitHub's words, without `forced`."""
    return {
        "ref": ref,
        "before": BEFORE,
        "after": AFTER,
        "compare_url": f"https://gitea.example/{REPOSITORY}/compare/{BEFORE}...{AFTER}",
        "commits": [commit()],
        "total_commits": 1,
        "head_commit": commit(),
        "repository": {"id": 140, "full_name": REPOSITORY, "owner": {"id": 1, "login": "skiff"}},
        "pusher": {"id": 1, "login": "mira"},
        "sender": {"id": 1, "login": "mira"},
        **changes,
    }


def gitlab(ref: str = "refs/heads/stable", **changes: Any) -> dict[str, Any]:
    """A GitLab push: the newest commit is the last of the list."""
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": BEFORE,
        "after": AFTER,
        "ref": ref,
        "ref_protected": True,
        "checkout_sha": AFTER,
        "user_id": 4,
        "user_name": "Mira Okafor",
        "user_username": "mira",
        "project_id": 15,
        "project": {"id": 15, "name": "distribution", "path_with_namespace": REPOSITORY, "default_branch": "stable"},
        "repository": {"name": "distribution", "url": f"git@gitlab.example:{REPOSITORY}.git"},
        "commits": [commit(BEFORE, "an older one"), {**commit(), "title": "zlib: Fix the overflow"}],
        "total_commits_count": 2,
        **changes,
    }


def gitlab_tag(**changes: Any) -> dict[str, Any]:
    """A GitLab tag push: another event name, the same shape."""
    tag = {"object_kind": "tag_push", "event_name": "tag_push", "before": NOTHING, "commits": []}
    return gitlab("refs/tags/v1.0.0", **{**tag, **changes})


def plain(ref: str = "refs/heads/stable", **changes: Any) -> dict[str, Any]:
    """What our post-receive hook sends."""
    event = {"repository": REPOSITORY, "ref": ref, "before": BEFORE, "after": AFTER}
    return {**event, "subject": "zlib: Fix the overflow", "author": "Mira Okafor", **changes}


def encoded(event: dict[str, Any]) -> bytes:
    """The bytes of a body."""
    return json.dumps(event).encode()


def hex_hmac(body: bytes, secret: str = SECRET) -> str:
    """HMAC-SHA256 in hex, computed here by hand so that the tests do not trust the code under test."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github_headers(body: bytes, event: str = "push") -> dict[str, str]:
    """As GitHub's documents name them."""
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": "72d3162e", "X-Hub-Signature-256": f"sha256={hex_hmac(body)}"}


def gitea_headers(body: bytes, event: str = "push") -> dict[str, str]:
    """Gitea sends its own headers and copies of GitHub's and of Gogs'."""
    signature = hex_hmac(body)
    return {
        "X-Gitea-Event": event,
        "X-Gitea-Signature": signature,
        "X-Gogs-Event": event,
        "X-Gogs-Signature": signature,
        "X-Hub-Signature-256": f"sha256={signature}",
        "X-GitHub-Event": event,
    }


def gitlab_headers(event: str = "Push Hook", token: str = SECRET) -> dict[str, str]:
    """The secret itself, in the clear."""
    return {"X-Gitlab-Event": event, "X-Gitlab-Token": token}


def gitlab_signed_headers(body: bytes, sent: datetime = NOW, event: str = "Push Hook") -> dict[str, str]:
    """The newer signing: Standard Webhooks with a `whsec_` key."""
    identity, timestamp = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", str(int(sent.timestamp()))
    key = base64.b64decode(SIGNING_TOKEN.removeprefix("whsec_"))
    signature = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "X-Gitlab-Event": event,
        "webhook-id": identity,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def plain_headers(body: bytes, sent: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    """As the post-receive hook sends them."""
    timestamp = int(sent.timestamp())
    return {
        "X-Slipway-Event": "push",
        "X-Slipway-Timestamp": str(timestamp),
        "X-Slipway-Signature-256": f"sha256={hex_hmac(f'{timestamp}.'.encode() + body, secret)}",
    }
