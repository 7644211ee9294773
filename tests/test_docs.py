"""What the documentation says is so: links, commands, settings, tags, keys, examples, messages: the code is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
import yaml

from flows.cli import app
from release.channel.channels import rolled_back
from release.channel.decisions import Decision
from release.channel.guards import guard
from release.channel.policies import GateKind, Lane, Policy
from release.channel.policy_files import parse_policy, parse_waivers
from release.channel.promotions import promote
from release.digests import digest_of
from release.documents import load_json
from release.errors import Broken, Misconfigured, Refused
from release.product.aliases import mint_alias
from release.product.image_keys import image_tag
from release.product.image_schema import DefinitionModel, SystemModel
from release.product.repository import REPOMD, REPOMD_DIRECT, Snapshot, repodata_document
from release.source.commits import End
from release.source.distro import parse_distro
from release.source.specs import parse_signatures
from release.source.toolchain import parse_lock
from release.tools.registry_referrers import fallback_tag
from tasks.builds import key_tag
from tasks.observe import cosign_command
from tasks.settings import Settings, read_settings
from tests.conftest import ROOT
from tests.release import promotion_world as world

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
COMMAND = re.compile(r"(?:^|[\s/])slipway +([a-z]+)\b([^\n|#]*)", re.MULTILINE)
VARIABLE = re.compile(r"\bSLIPWAY_[A-Z]+(?:_[A-Z]+)*\b")


def pages() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        yield str(path.relative_to(ROOT)), path.read_text()


def page(name: str) -> str:
    return (ROOT / name).read_text()


def fences(language: str) -> list[tuple[str, str]]:
    return [(name, body) for name, text in pages() for kind, body in FENCE.findall(text) if kind == language]


def spans(text: str) -> list[str]:
    """The inline code of a text, each on one line."""
    return [" ".join(each.split()) for each in SPAN.findall(FENCE.sub("", text))]


def code(text: str) -> str:
    """What a page shows as code: fenced blocks, and spans, one a line."""
    return "\n".join([*(body for _, body in FENCE.findall(text)), *spans(text)])


def anchors(text: str) -> set[str]:
    """The anchors that a forge makes of headings: lower case, spaces to dashes, no punctuation."""
    headings = re.findall(r"(?m)^#+ (.+)$", FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose header begins with `first`."""
    _, _, rest = text.partition(f"\n| {first} |")
    table = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def told(text: str, first: str) -> set[str]:
    """The inline code in the first column of that table."""
    return {each for row in rows(text, first) for each in spans(row[0])}


def commands() -> dict[str, set[str]]:
    """Every command of the program with its options."""
    group = typer.main.get_command(app)
    return {name: {o for p in each.params for o in p.opts} for name, each in group.commands.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
            dead.append(target)
    assert not dead


def test_every_command_and_option_exists() -> None:
    known, wrong, named = commands(), [], set()
    for name, text in pages():
        for command, rest in COMMAND.findall(code(text)):
            named.add(command)
            options = re.findall(r"(?<!\S)\[?(--[a-z-]+)", rest)
            if command not in known or not known[command] >= set(options):
                wrong.append(f"{name}: slipway {command} {' '.join(options)}")
    assert not wrong
    assert named == set(known)


def test_the_readme_lists_every_command() -> None:
    assert {each.split()[1] for each in told(page("README.md"), "command")} == set(commands())


def test_every_setting_that_is_named_exists_and_every_setting_is_explained() -> None:
    known = {each.metadata["variable"] for each in fields(Settings)}
    named = {variable for _, text in pages() for variable in VARIABLE.findall(text)}
    assert named <= known
    assert told(page("docs/production.md"), "variable") == known


def test_the_documented_defaults_are_those_of_the_code() -> None:
    real = {name: str(value) for name, value, _ in read_settings({}, start=ROOT).rows()}
    said = {row[0].strip("`"): row[1].strip("`") for row in rows(page("docs/production.md"), "variable")}
    plain = {name: default for name, default in said.items() if re.fullmatch(r"\d+|http\S+|[a-z]+", default)}
    assert len(plain) > 8
    assert {name: real[name] or "none" for name in plain} == plain


def test_yaml_examples_are_accepted_by_the_parsers() -> None:
    kinds = []
    for name, text in fences("yaml"):
        top = yaml.safe_load(text)
        if "waivers" in top:
            assert parse_waivers(text, where=name)
        elif "gates" in top:
            assert parse_policy(text, name=top["channel"])
        else:
            assert parse_distro(text, name)
        kinds.append(next(each for each in ("waivers", "gates", "toolchain") if each in top))
    assert set(kinds) == {"waivers", "gates", "toolchain"}


def test_json_examples_are_accepted_by_the_parsers() -> None:
    for name, text in fences("json"):
        if "Signatures" in text:
            assert parse_signatures(text, name)
        elif '"origin"' in text:
            assert parse_lock(text, name)
        else:
            assert load_json(text, DefinitionModel, where=name)
    assert len(fences("json")) >= 3


def test_every_tag_of_the_table_is_made_by_the_code() -> None:
    digest = digest_of(b"x")
    repodata = repodata_document("x86_64", {REPOMD: b"", REPOMD_DIRECT: b""})
    snapshot = Snapshot.of(commit="c", committed=datetime.now(UTC), repodata=[repodata], built=[])
    made = {key_tag(digest), image_tag(digest), fallback_tag(digest), *snapshot.tags()}
    made.add(mint_alias(tags={}, digest=digest, commit_time=datetime.now(UTC)))
    holes = {"<64 hex>": "[0-9a-f]{64}", "<yyyymmdd>": r"\d{8}", "<n>": r"\d+"}
    named = [each for each in told(page("docs/architecture.md"), "tag") if "<" in each]
    patterns = [re.sub("<[^>]+>", lambda hole: holes[hole[0]], each) for each in named]
    assert len(patterns) == len(made)
    assert all(any(re.fullmatch(pattern, tag) for pattern in patterns) for tag in made)


def test_exit_codes_are_those_of_the_errors() -> None:
    codes = {row[1]: row[0] for row in rows(page("docs/operations.md"), "code")}
    for family in (Misconfigured, Refused, Broken):
        assert codes[family.__name__] == str(family.exit_code)


def test_the_ends_of_a_commit_are_all_explained() -> None:
    assert told(page("docs/operations.md"), "state") == set(End)


def test_gates_guards_and_lanes_are_all_explained() -> None:
    text = page("docs/channels.md")
    assert told(text, "kind") == set(GateKind)
    guards = {result.gate for result in guard(world.decided().question)}
    assert guards <= set(spans(text.partition("### Guards")[2].partition("###")[0]))
    assert set(Lane) <= {each.split()[-1] for each in spans(text.partition("### Lanes")[2].partition("###")[0])}


def test_the_keys_of_a_policy_are_all_explained() -> None:
    policy = page("docs/channels.md").partition("## The policy")[2]
    assert told(policy, "key") == {each.name for each in fields(Policy)} - {"digest"}


def test_the_keys_of_distro_yaml_are_all_explained() -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_distro("nonsense: 1\n")
    expected = re.search(r"one of: (.*)", caught.value.diagnostics())
    assert expected
    explained = {each.partition(".")[0] for each in told(page("docs/distribution.md"), "key")}
    assert explained == set(expected[1].split(", "))


def test_the_keys_of_an_image_are_all_explained() -> None:
    named = set(spans(page("docs/image-definitions.md")))
    unexplained = {str(field.alias) for field in SystemModel.model_fields.values()} - named
    assert unexplained == {"IsDefault"}  # of no consequence where exactly one system is allowed


def test_the_cosign_command_is_the_one_that_the_status_page_shows() -> None:
    tools = SimpleNamespace(issuer="http://127.0.0.1:5804/embedded")
    distro = SimpleNamespace(identity="https://slipway.example/skiff")
    line = cosign_command(tools, distro, "127.0.0.1:5801/skiff/base:stable")  # type: ignore[arg-type]
    assert line in " ".join(page("README.md").replace("\\\n", " ").split())


def test_the_messages_of_the_worked_example_are_real() -> None:
    text = " ".join(page("docs/channels.md").split())
    policy = next(parse_policy(text, name="stable") for _, text in fences("yaml") if "gates:" in text)
    waivers = next(parse_waivers(text) for _, text in fences("yaml") if "waivers:" in text)
    five_hours = world.BETA_AT + timedelta(hours=5)
    soaking = ask(policy, five_hours)
    assert soaking.excuse
    said = f"{soaking.excuse.message} got: {soaking.excuse.got} expected: {soaking.excuse.expected}"
    assert f"error: stable: {said} mend: {soaking.excuse.action}" in text
    waived = next(each for each in ask(policy, five_hours, waivers=waivers).results if each.gate == "soaked")
    assert f"soaked: PASS ({waived.message})" in text

    moved = promote(world.channel(), ask(policy, world.SOAKED))
    reason = "R-20261122.3 breaks dnf"
    back = rolled_back(moved, at=world.SOAKED, by="robin", reason=reason, policy=policy.digest, valid_seconds=1)
    assert back.current
    assert f"stable is back at {back.current.alias} (serial {back.serial}) and held: {reason}" in text
    denied = ask(policy, world.SOAKED, channel=back)
    fixed = ask(policy, world.SOAKED, channel=back, release=world.ref(4))
    frozen = ask(policy, world.SOAKED.replace(month=12))
    for each in (denied, fixed, frozen):
        assert each.excuse
        assert each.excuse.message in text
    assert ask(policy, world.SOAKED, channel=back, release=world.ref(4), by_hand="robin").excuse is None


def ask(policy: Policy, now: datetime, *, release: world.ReleaseRef = world.CANDIDATE, **more: object) -> Decision:
    """The decision about a release that passed beta, everything in order but for the clock and what is given."""
    upstream = world.channel("beta", range(1, int(release.alias[-1]) + 1))
    given = {"channel": world.channel(), "upstream": upstream, **more}
    return world.decided(policy=policy, now=now, evidence=world.evidence(release=release), **given)
