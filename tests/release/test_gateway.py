"""A gateway's answers: today's repository, yesterday's names, and nothing that is no path of a channel."""

from __future__ import annotations

import pytest

from release.digests import digest_of
from release.product.gateway import SNAPSHOTS, Route, find, routes
from release.product.repository import File, Files


def blob(content: str) -> File:
    return File(digest=digest_of(content.encode()), size=len(content))


def snapshot(day: str) -> Files:
    return {
        "x86_64/repodata/repomd.xml": blob(f"repomd {day}"),
        "x86_64/repodata/repomd.xml.asc": blob(f"signature {day}"),
        "x86_64/repodata/repomd-direct.xml": blob(f"direct {day}"),
        f"x86_64/repodata/{day}-primary.xml.zst": blob(f"primary {day}"),
        "x86_64/Packages/z/1234/zlib-1.0-1.x86_64.rpm": blob("zlib"),
    }


def test_a_channel_leads_to_the_newest_repository() -> None:
    channel = routes([snapshot("tuesday"), snapshot("monday")])
    for name in ("repomd.xml", "repomd.xml.asc", "repomd-direct.xml"):
        assert channel[f"x86_64/repodata/{name}"].digest in {each.digest for each in snapshot("tuesday").values()}


def test_yesterdays_names_still_lead_to_yesterdays_blobs() -> None:
    channel = routes([snapshot("tuesday"), snapshot("monday")])
    assert channel["x86_64/repodata/monday-primary.xml.zst"].digest == blob("primary monday").digest
    assert channel["x86_64/repodata/tuesday-primary.xml.zst"].digest == blob("primary tuesday").digest


def test_a_moving_name_that_the_newest_snapshot_lacks_is_not_answered_with_an_old_one() -> None:
    """An unsigned repository must not borrow the signature of an older one."""
    unsigned = {path: file for path, file in snapshot("tuesday").items() if not path.endswith(".asc")}
    assert "x86_64/repodata/repomd.xml.asc" not in routes([unsigned, snapshot("monday")])


def test_todays_blob_wins_where_two_days_share_a_name() -> None:
    path = "x86_64/Packages/z/1234/zlib-1.0-1.x86_64.rpm"
    rebuilt = {**snapshot("tuesday"), path: blob("rebuilt")}
    assert routes([rebuilt, snapshot("monday")])[path].digest == blob("rebuilt").digest


def test_only_the_last_snapshots_are_served() -> None:
    days = [f"day{number}" for number in range(SNAPSHOTS + 1)]
    channel = routes(snapshot(day) for day in days)
    assert f"x86_64/repodata/{days[SNAPSHOTS - 1]}-primary.xml.zst" in channel
    assert f"x86_64/repodata/{days[SNAPSHOTS]}-primary.xml.zst" not in channel


def test_caches_ask_for_moving_names_and_keep_the_others() -> None:
    channel = routes([snapshot("monday")])
    assert channel["x86_64/repodata/repomd.xml"].cache_control == "no-cache"
    assert channel["x86_64/repodata/repomd.xml.asc"].cache_control == "no-cache"
    assert "immutable" in channel["x86_64/repodata/monday-primary.xml.zst"].cache_control
    assert "immutable" in channel["x86_64/Packages/z/1234/zlib-1.0-1.x86_64.rpm"].cache_control


def test_a_path_is_found_below_its_channel_only() -> None:
    channels = {"stable": routes([snapshot("monday")]), "edge": routes([snapshot("tuesday")])}
    found = find(channels, "/stable/x86_64/repodata/repomd.xml")
    assert found == Route(digest=blob("repomd monday").digest, size=13, moving=True)
    assert find(channels, "/edge/x86_64/repodata/monday-primary.xml.zst") is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/stable",
        "/stable/",
        "/unknown/x86_64/repodata/repomd.xml",
        "/stable/../stable/x86_64/repodata/repomd.xml",
        "/stable//x86_64/repodata/repomd.xml",
        "//stable/x86_64/repodata/repomd.xml",
        "/stable/x86_64/repodata/",
        "/stable/x86_64/repodata/repomd.xml?x",
        "/stable/x86_64/repodata/repomd.xml%00",
    ],
)
def test_anything_else_is_nothing(path: str) -> None:
    assert find({"stable": routes([snapshot("monday")])}, path) is None


def test_an_empty_channel_answers_nothing() -> None:
    assert find({"stable": routes([])}, "/stable/x86_64/repodata/repomd.xml") is None
