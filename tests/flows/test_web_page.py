"""The page at three in the morning: it says what is wrong first, holds every fact, and trusts nobody's words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from flows.web import STATIC
from flows.web_page import REFRESH_BUSY, REFRESH_IDLE, SMALL_RUN, ago, clock, link, short, took, until
from release.errors import Broken
from release.status import BuildState, Candidate, CommitState, Published, Status
from tests import status_samples as samples
from tests.flows.page_reader import PageReader
from tests.flows.web_doubles import House

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{ 7 * 7 }}"
HOSTILE_FILES = (HOSTILE,) * 9
SAMPLES = {"quiet": samples.quiet(), "busy": samples.busy(), "broken": samples.broken()}
every_sample = pytest.mark.parametrize("status", SAMPLES.values(), ids=SAMPLES)


async def fetched(status: Status) -> str:
    house = House()
    house.status = status
    async with house.door() as client:
        answer = await client.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.text


async def read(status: Status) -> PageReader:
    return PageReader(await fetched(status))


async def test_says_that_nothing_is_wrong() -> None:
    page = await read(samples.quiet())
    assert "Nothing needs you" in page.words
    assert "No run." in page.words


async def test_says_what_is_wrong_first_and_links_to_it() -> None:
    page = await read(samples.broken())
    assert page.words.index("Needs you now") < page.words.index("Channels")
    verdict = [each["href"] for each in page.all("a") if each["href"].startswith("#")]
    assert verdict == ["#main", "#services", "#commits", "#run", "#audit", "#services", "#audit", "#audit", "#channels"]
    assert "stable is on hold" not in page.words
    assert "beta is on hold: curl breaks proxies (can wait)" in page.words


async def test_the_title_tells_a_tab_how_things_are() -> None:
    assert "<title>✓ Skiff Linux: nothing needs you</title>" in await fetched(samples.quiet())
    assert "<title>(1) Skiff Linux: can wait for the morning</title>" in await fetched(samples.busy())
    assert "<title>(8) Skiff Linux: needs you now</title>" in await fetched(samples.broken())


async def test_shows_channels_with_what_is_next_and_what_holds_it_back() -> None:
    words = (await read(samples.busy())).words
    assert "edge R-20261122.3 serial 41" in words
    assert "released 15 h ago, here since 3 h ago" in words
    assert "Next: R-20261122.3 soaking: 2 h of 12 h eligible 13:02 UTC, in 9 h 50 min" in words
    assert "On hold: curl breaks proxies by mira, until 2026-11-24 09:12 UTC" in words
    assert "stable nothing yet" in words


async def test_a_candidate_that_nothing_ends_by_itself_has_no_time() -> None:
    edge, beta, stable = samples.channels()
    waiting = replace(beta, candidate=Candidate(alias="R-1", held_back_by="needs an approval", eligible_at=None))
    words = (await read(replace(samples.quiet(), channels=(edge, waiting, stable)))).words
    assert "needs an approval" in words and "eligible" not in words


async def test_shows_the_run_its_stages_and_its_packages() -> None:
    page = await read(samples.busy())
    assert "zlib: Fix the overflow" in page.words
    assert "plan done 1.9 s" in page.words and "build running 2 min 58 s" in page.words
    assert "2 of 4: 1 building, 1 built, 1 cached, 1 waiting" in page.words
    assert "zlib-devel's interface changed" in page.words
    progress = page.all("progress")[0]
    assert (progress["max"], progress["value"], progress["aria-label"]) == ("4", "2", "Builds finished")
    assert [each["aria-current"] for each in page.all("li") if "stage-running" in each["class"]] == ["step"]


async def test_folds_the_rest_of_a_large_run_away_and_keeps_what_fails_in_view() -> None:
    waiting = [samples.build(f"package-{n}", BuildState.WAITING) for n in range(SMALL_RUN)]
    run = samples.run(*waiting, samples.build("curl", BuildState.FAILED), samples.build("jq", BuildState.BUILDING))
    page = await read(replace(samples.quiet(), run=run))
    assert page.words.index("curl 1.2-3") < page.words.index(f"{SMALL_RUN} more: {SMALL_RUN} waiting")
    assert page.words.index("package-0") > page.words.index("more:")


async def test_shows_what_became_of_each_commit() -> None:
    page = await read(samples.quiet())
    assert "released jq: Update to 1.7.1 as R-20261122.3" in page.words.replace("✓ ", "")
    assert "failed curl: Update to 8.11.0 curl failed in %check log" in page.words
    assert [each["href"] for each in page.all("a") if each["href"] == samples.LOG]


async def test_shows_releases_with_digests_and_commands_to_copy() -> None:
    page = await read(samples.quiet())
    for release in samples.quiet().releases:
        assert release.digest in page.words
        assert release.published[0].reference in page.words
        assert release.verify[0].line in page.words
    assert [each["id"] for each in page.all("details") if "open" in each.attributes] == ["release-R-20261122.3"]
    assert all(each["aria-label"] for each in page.all("button") if "copy" in each["class"])


async def test_shows_the_audit_and_the_services() -> None:
    quiet, broken = await read(samples.quiet()), await read(samples.broken())
    assert "confirmed 14 come out as published, 12 of them bit for bit R-20261122.3 · 1 h ago report" in quiet.words
    assert "different 12 come out as published, 12 of them bit for bit, 1 not rebuilt" in broken.words
    assert "openssl was left as it was, and comes out otherwise from scratch in R-20261121.2" in broken.words
    assert "openssl-devel: /usr/include/openssl/opensslconf.h changed" in broken.words
    assert "Not rebuilt: curl" in broken.words
    assert "Blocked: R-20261122.3 does not move from edge to beta openssl was left" in broken.words
    assert "difference of openssl" in broken.words
    assert "down registry connection refused unknown Prefect" in broken.words
    assert "It has not run yet" in (await read(replace(samples.quiet(), audit=None))).words


async def test_many_faults_of_a_night_are_folded_away() -> None:
    night = samples.missed()
    many = tuple(replace(night.faults[0], package=f"package-{n}", files=HOSTILE_FILES) for n in range(9))
    page = await read(replace(samples.quiet(), audit=replace(night, faults=many)))
    assert page.words.index("package-2") < page.words.index("6 more") < page.words.index("package-3")
    assert HOSTILE in page.words and "and 4 more" in page.words
    assert not page.all("script")[1:]


async def test_an_empty_pipeline_has_a_page() -> None:
    empty = replace(samples.quiet(), commits=(), builds=(), releases=(), audit=None, services=(), channels=())
    words = (await read(empty)).words
    for sentence in ("No commit was seen yet.", "No release yet.", "Nothing was built yet."):
        assert sentence in words


async def test_a_strangers_words_stay_words_wherever_they_stand() -> None:
    commit = replace(samples.commits()[0], subject=HOSTILE, author=HOSTILE, detail=HOSTILE, state=CommitState.FAILED)
    build = replace(samples.build(HOSTILE, BuildState.FAILED), reason=HOSTILE, evr=HOSTILE)
    release = replace(samples.release(HOSTILE), published=(Published(name=HOSTILE, reference=HOSTILE),), commit=HOSTILE)
    edge, held, stable = samples.busy().channels
    hostile = replace(
        samples.busy(),
        title=HOSTILE,
        channels=(replace(edge, alias=HOSTILE), replace(held, name=HOSTILE), replace(stable, name=HOSTILE)),
        commits=(commit,),
        builds=(build,),
        releases=(release,),
        run=replace(samples.run(build), subject=HOSTILE, name=HOSTILE),
    )
    page = await read(hostile)
    assert [each["src"] for each in page.all("script")] == ["/static/page.js"]
    assert {each["src"] for each in page.all("img")} == {"/static/mark.svg"}
    assert page.text.count(HOSTILE) > 10


async def test_a_link_that_is_no_web_address_is_no_link() -> None:
    commit = replace(samples.commits()[0], log_url="javascript:alert(1)")
    run = replace(samples.run(), url="data:text/html,x")
    page = await read(replace(samples.quiet(), commits=(commit,), run=run))
    assert not [each for each in page.all("a") if ":" in each["href"] and not each["href"].startswith("http")]


@every_sample
async def test_needs_nothing_from_elsewhere_and_nothing_inline(status: Status) -> None:
    page = await read(status)
    for element in page.elements:
        assert element.tag != "style" and "style" not in element.attributes, element
        assert not [name for name in element.attributes if name.startswith("on")], element
        if element.tag in ("script", "img"):
            assert element["src"].startswith("/static/"), element
        if element.tag == "link":
            assert element["href"].startswith("/static/"), element


@every_sample
async def test_is_accessible(status: Status) -> None:
    page = await read(status)
    assert page.elements[0]["lang"] == "en"
    assert [len(page.all(landmark)) for landmark in ("header", "main", "footer", "nav", "h1")] == [1] * 5
    ids = [each["id"] for each in page.elements if each["id"]]
    assert len(ids) == len(set(ids))
    for section in page.all("section"):
        assert section["aria-labelledby"] in ids
    for local in (each["href"] for each in page.all("a") if each["href"].startswith("#")):
        assert local[1:] in ids
    assert len(page.all("caption")) == len(page.all("table"))
    for header in page.all("th"):
        assert header["scope"] in ("col", "row") and header["role"] in ("columnheader", "rowheader")
    assert all("alt" in each.attributes for each in page.all("img"))
    assert all(each["type"] == "button" for each in page.all("button"))


async def test_refreshes_itself_with_scripts_and_without() -> None:
    for status, seconds in ((samples.quiet(), REFRESH_IDLE), (samples.busy(), REFRESH_BUSY)):
        page = await read(status)
        assert page.all("body")[0]["data-refresh"] == str(seconds)
        without = next(each for each in page.all("meta") if each["http-equiv"] == "refresh")
        assert "noscript" in without.inside
        assert int(without["content"]) >= 15, "a page that reloads under the reader's eyes is no help"


async def test_a_status_that_cannot_be_read_has_a_page_that_says_so() -> None:
    house = House()
    house.fails = Broken(f"the registry does not answer {HOSTILE}", where="http://127.0.0.1:5801", hint="slipway up")
    async with house.door() as client:
        answer = await client.get("/")
        machine = await client.get("/status.json")
    assert (answer.status_code, machine.status_code) == (503, 503)
    page = PageReader(answer.text)
    assert "cannot be read" in page.words and "Mend slipway up" in page.words
    assert len(page.all("script")) == 1
    assert machine.json()["mend"] == "slipway up"


async def test_the_same_facts_are_served_as_json() -> None:
    house = House()
    house.status = samples.busy()
    async with house.door() as client:
        answer = await client.get("/status.json")
    assert answer.headers["Content-Type"] == "application/json"
    told = json.loads(answer.content)
    assert told["run"]["commit"] == samples.sha("zlib")
    assert told["findings"][0]["section"] == "channels"


async def test_many_readers_cost_one_question() -> None:
    house = House()
    async with house.door() as client:
        for path in ("/", "/status.json", "/"):
            await client.get(path)
        assert house.asked == ["status"]
        house.now += timedelta(seconds=2)
        await client.get("/")
    assert house.asked == ["status"] * 2


def test_words_for_times() -> None:
    now = samples.NOW
    assert [ago(samples.before(seconds=s), now) for s in (-5, 0, 1, 59, 60, 3599, 3600, 86400, 10**6)] == [
        "just now", "just now", "1 s ago", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "1 d ago", "11 d ago",
    ]  # fmt: skip
    assert until(now + timedelta(minutes=90), now) == "in 1 h 30 min"
    assert until(now, now) == "now"
    assert clock(now, now) == "03:12 UTC"
    assert clock(samples.before(days=1), now) == "2026-11-22 03:12 UTC"
    assert [took(seconds) for seconds in (None, 0.04, 9.94, 10, 185)] == ["", "0.0 s", "9.9 s", "10 s", "3 min 5 s"]


def test_words_for_digests_and_links() -> None:
    assert short(samples.digest("x")) == samples.digest("x")[7:19]
    assert short(samples.sha("x")) == samples.sha("x")[:12]
    assert [link(url) for url in ("https://a", "http://a", "/a", "javascript:a", " https://a", None)] == [
        "https://a", "http://a", "/a", "", "", "",
    ]  # fmt: skip


class TestContrast:
    """WCAG 2.2, 1.4.3: text has 4.5 : 1 on its paper. The colours are read from the style sheet itself."""

    css = (Path(STATIC) / "page.css").read_text()

    def palette(self, theme: str) -> dict[str, str]:
        light, dark = self.css.split("@media screen and (prefers-color-scheme: dark)")
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
        return colours if theme == "light" else {**colours, **dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))}

    @staticmethod
    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize(
        ("ink", "paper"),
        [(ink, paper) for ink in ("ink", "soft", "link") for paper in ("bg", "paper")]
        + [(state, f"{state}-paper") for state in ("good", "warn", "bad", "busy", "idle")]
        + [("ink", "idle-paper"), ("soft", "idle-paper"), ("bad", "bg")],
    )
    def test_text_is_readable(self, theme: str, ink: str, paper: str) -> None:
        colours = self.palette(theme)
        lighter, darker = sorted((self.luminance(colours[ink]), self.luminance(colours[paper])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5
