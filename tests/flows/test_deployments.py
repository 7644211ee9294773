"""The trigger as a whole: git's own hook, the receiver, Prefect and its runner, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import get_client

from flows.deployments import ZOMBIE
from flows.runs import ON_COMMIT, orchestrator
from signing.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER, plain_signature
from tests.world import World

pytestmark = pytest.mark.integration
PATIENCE = 90.0


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[World]:
    """The web door and the runner, as `slipway up` starts them, with nothing left to do from other tests."""
    asyncio.run(_forget_runs())
    with contextlib.ExitStack() as stack:
        for module in ("flows.serve", "flows.deployments"):
            log = stack.enter_context((world.folder / f"{module}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", module], env=world.environment, cwd=world.folder, stdout=log, stderr=log
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        _await(lambda: httpx.get(f"{world.settings.web_public}/healthz").is_success)
        _await(lambda: (world.settings.folder / "runner" / "ready").read_text() == str(process.pid))
        yield world


async def _forget_runs() -> None:
    async with get_client() as client:
        for run in await client.read_flow_runs():
            if run.state and not run.state.is_final():
                await client.delete_flow_run(run.id)


def _await(good: Any) -> None:
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        with contextlib.suppress(httpx.HTTPError, OSError):
            if good():
                return
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def post(world: World, event: dict[str, str]) -> httpx.Response:
    """What the hook sends."""
    body, now = json.dumps(event).encode(), int(time.time())
    secret = Path(world.settings.webhook_secret_file).read_text().strip()
    headers = {
        "Content-Type": "application/json",
        "X-Slipway-Event": "push",
        TIMESTAMP_HEADER: str(now),
        SIGNATURE_HEADER: plain_signature(secret, now, body),
    }
    return httpx.post(f"{world.settings.web_public}/events", content=body, headers=headers)


def event(commit: str, branch: str = "stable", **more: str) -> dict[str, str]:
    """A push of a commit to a branch."""
    return {"repository": "distribution", "ref": f"refs/heads/{branch}", "before": "0" * 40, "after": commit, **more}


@pytest.fixture
async def deployments(served: World) -> AsyncIterator[dict[str, Any]]:
    """Deployments by name, as Prefect knows them."""
    async with get_client() as client:
        yield {each.name: each for each in await client.read_deployments()}


async def test_every_deployment_is_declared_with_its_schedule_and_its_limit(deployments: dict[str, Any]) -> None:
    assert set(deployments) == {"stable", "channels", "nightly", "lost-events"}
    (nightly,) = deployments["nightly"].schedules
    assert (nightly.schedule.cron, nightly.schedule.timezone) == ("30 1 * * *", "UTC")
    (poll,) = deployments["lost-events"].schedules
    assert poll.schedule.interval.total_seconds() == 60
    limit = deployments["stable"].global_concurrency_limit
    assert limit.limit == 1
    assert deployments["stable"].concurrency_options.collision_strategy == "ENQUEUE", "the newest commit is never lost"


async def test_a_push_reaches_the_pipeline_and_ends_with_a_note(served: World) -> None:
    world = served
    commit = world.commit({"README.md": f"# {time.time_ns()}\n"}, "readme: By the whole way")
    told = world.push("HEAD:stable")
    assert f"remote: slipway: stable {commit[:12]} is on its way (flow run" in told
    pushed = time.monotonic()
    _await(lambda: world.note(commit))
    note = world.note(commit)
    assert note is not None and note["state"] == "no-op", f"after {time.monotonic() - pushed:.0f} s"
    async with orchestrator() as prefect:
        (run,) = await prefect.runs_of(f"distribution@{commit}")
    assert run.name == f"readme: By the whole way ({commit[:12]})"

    again = {post(world, event(commit, subject="replayed")).json()["flow_run"] for _ in range(3)}
    assert again == {run.id}, "a repeated event starts nothing"
    async with orchestrator() as prefect:
        assert [each.id for each in await prefect.runs_of(f"distribution@{commit}")] == [run.id]


async def test_a_push_to_another_branch_is_told_that_it_is_ignored(served: World) -> None:
    world = served
    commit = world.commit({"README.md": "# topic\n"}, "readme: A topic")
    told = world.push("HEAD:refs/heads/topic")
    assert "branch topic is not stable or channels" in told
    async with orchestrator() as prefect:
        assert await prefect.runs_of(f"distribution@{commit}") == ()


async def test_a_moved_pointer_starts_the_run_that_follows_it(served: World) -> None:
    world = served
    head = world.head("channels")
    answer = post(world, event(head, branch="channels"))
    assert answer.status_code == 202
    async with get_client() as client:
        run = await client.read_flow_run(answer.json()["flow_run"])
    assert run.parameters == {"repository": "distribution", "commit": head}
    async with orchestrator() as prefect:
        assert answer.json()["flow_run"] not in {each.id for each in await prefect.recent(ON_COMMIT, limit=50)}
    _await(lambda: _state(run.id) == "COMPLETED")


def _state(run: Any) -> str:
    async def read() -> str:
        async with get_client() as client:
            found = await client.read_flow_run(run)
            return str(found.state.type.value) if found.state else ""

    import threading

    box: list[str] = []
    thread = threading.Thread(target=lambda: box.append(asyncio.run(read())))
    thread.start()
    thread.join()
    return box[0]


def test_a_forged_event_and_one_that_is_too_large_start_nothing(served: World) -> None:
    door = f"{served.settings.web_public}/events"
    body = json.dumps(event("1" * 40)).encode()
    headers = {"Content-Type": "application/json", "X-Slipway-Event": "push", TIMESTAMP_HEADER: str(int(time.time()))}
    forged = httpx.post(door, content=body, headers={**headers, SIGNATURE_HEADER: "sha256=" + "0" * 64})
    assert forged.status_code == 401
    large = httpx.post(door, content=b" " * (6 << 20), headers=headers)
    assert large.status_code == 413
    assert "the poller finds the commit by itself" in large.text


def test_the_page_and_the_gateway_are_wired_to_this_installation(served: World) -> None:
    with httpx.Client(base_url=served.settings.web_public) as door:
        status = door.get("/status.json").json()
        assert status["name"] == "tiny"
        assert {each["name"]: each["health"] for each in status["services"]} == {
            "registry": "up", "Prefect": "up", "Sigstore": "up",
        }  # fmt: skip
        assert "Tiny Linux" in door.get("/").text
        assert door.get("/key").text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        root = (served.settings.folder / "sigstore" / "trusted_root.json").read_bytes()
        assert door.get("/trust/trusted_root.json").content == root


def test_stock_dnf_follows_a_channel_through_the_gateway_and_checks_every_signature(
    served: World, tmp_path: Path
) -> None:
    (tmp_path / "dnf.conf").write_text(
        f"[main]\nreposdir=/nonexistent\nplugins=0\ncachedir={tmp_path}/cache\n"
        f"[tiny]\nname=tiny\nbaseurl={served.settings.web_public}/repo/edge/x86_64\n"
        f"gpgcheck=1\nrepo_gpgcheck=1\ngpgkey={served.settings.web_public}/key\n"
    )
    words = ["dnf", "-y", f"--config={tmp_path}/dnf.conf", f"--installroot={tmp_path}/root", "--releasever=1"]
    done = subprocess.run([*words, "install", "dd"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "root/usr/share/dd/dd.txt").read_text() == "leaf\n"


async def test_the_automation_that_ends_zombies_is_there_once_however_often_we_start(served: World) -> None:
    from flows.deployments import _declare_zombie_automation

    await _declare_zombie_automation()
    async with get_client() as client:
        found = [each for each in await client.read_automations() if each.name == ZOMBIE]
    assert len(found) == 1
