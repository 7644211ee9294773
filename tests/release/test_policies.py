"""A policy says enough or is refused: an empty one means no, and no waiver reaches what proves origin."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from release.channel.policies import NEVER_WAIVED, Gate, GateKind, Lane, LaneRule, lane_of
from release.channel.policy_files import parse_policy, parse_waivers
from release.digests import digest_of
from release.errors import Misconfigured
from release.product.releases import Trust
from tests.release.promotion_world import CANDIDATE, SOAKED, STABLE, digest, policy, waiver

EDGE = """\
channel: edge
production: false
valid_seconds: 60
lanes: {normal: {soak_seconds: 0, approvals: 0}}
gates:
  - {id: signed, kind: signature}
  - {id: provenance, kind: provenance}
  - {id: sbom, kind: sbom}
  - {id: closed, kind: closure}
  - {id: descends, kind: ancestry}
"""
WAIVERS = """\
waivers:
  - channel: stable
    release: R-20261122.3
    gate: soaked
    why: before the weekend
    by: alice
    expires: 2026-11-26T10:00:00Z
"""


WAIVER_KEYS = ("channel", "release", "gate", "why", "by", "expires")


def refused(text: str, name: str = "stable") -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        parse_policy(text, name=name)
    return caught.value


def line_of(text: str, part: str) -> str:
    return str(next(number for number, line in enumerate(text.splitlines(), 1) if part in line))


def test_reads_a_full_policy() -> None:
    found = policy()
    assert (found.channel, found.upstream, found.production, found.valid_seconds) == ("stable", "beta", False, 604800)
    assert found.rule(Lane.SECURITY_HIGH) == LaneRule(lane=Lane.SECURITY_HIGH, soak_seconds=14400, approvals=0)
    assert found.approvers == ("alice", "bob", "carol")
    assert [gate.kind for gate in found.gates] == [*NEVER_WAIVED, "trust", "soak", "test-result", "approval"]
    assert found.gates[5].accept == (Trust.EMBEDDED, Trust.PRIVATE, Trust.PUBLIC)
    assert (found.gates[7].test, found.gates[7].deadline_seconds) == ("smoke", 3600)
    assert found.freezes[0].exempt_lanes == (Lane.SECURITY_CRITICAL,)


def test_the_digest_is_the_files() -> None:
    assert policy().digest == digest_of(STABLE.encode())
    assert policy(STABLE + "# a word\n").digest != policy().digest


def test_the_first_channel_needs_the_five_gates_and_no_more() -> None:
    found = parse_policy(EDGE, name="edge")
    assert found.upstream is None
    assert found.missing() == ()


def test_a_lane_without_a_rule_is_treated_as_normal() -> None:
    assert parse_policy(EDGE, name="edge").rule(Lane.SECURITY_CRITICAL).lane is Lane.NORMAL


@pytest.mark.parametrize("kind", NEVER_WAIVED)
def test_refuses_a_policy_that_does_not_ask_for(kind: GateKind) -> None:
    error = refused(re.sub(rf".*kind: {kind}.*\n", "", STABLE))
    assert f"a gate of the kind {kind}: an empty policy means no" in str(error.expected)


@pytest.mark.parametrize("gates", ["gates: []\n", ""])
def test_an_empty_policy_means_no(gates: str) -> None:
    text = STABLE[: STABLE.index("gates:")] + gates
    error = refused(text)
    assert "an empty policy means no" in str(error.expected) or error.message == "missing key 'gates'"


def test_an_empty_file_is_no_policy() -> None:
    assert refused("").where == "policies/stable.yaml"


@pytest.mark.parametrize("kind", NEVER_WAIVED)
def test_what_proves_origin_cannot_be_called_waivable(kind: GateKind) -> None:
    text = STABLE.replace(f"kind: {kind}}}", f"kind: {kind}, waivable: true}}")
    error = refused(text)
    assert str(error.expected) == f"no `waivable`: nothing waives a {kind} gate"
    assert error.where == f"policies/stable.yaml:{line_of(text, f'kind: {kind}')}"


def test_an_unknown_gate_kind_is_refused_with_its_line() -> None:
    text = STABLE.replace("kind: soak", "kind: soack")
    error = refused(text)
    assert error.where == f"policies/stable.yaml:{line_of(text, 'soack')}"
    assert "'soak'" in str(error.expected)


def test_an_unknown_key_is_refused_with_what_was_meant() -> None:
    error = refused(STABLE.replace("upstream:", "upstraem:"))
    assert error.where == "policies/stable.yaml:2"
    assert error.hint == "did you mean 'upstream'?"


def test_an_unknown_lane_is_refused() -> None:
    assert "security-high" in str(refused(STABLE.replace("security-high:", "security-hihg:")).expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  normal: ", "  security-low: ", "'normal'"),
        ("approvals: 2}", "approvals: 2, soak: 3}", "soak_seconds"),
        ("soak_seconds: 259200", "soak_seconds: -1", "greater than or equal to 0"),
        ("valid_seconds: 604800", "valid_seconds: 0", "greater than 0"),
        ("production: false", "production: 0", "boolean"),
        ("production: false\n", "", "production"),
        ("upstream: beta\n", "", "an upstream to soak in"),
        ("upstream: beta", "upstream: stable", "another channel"),
        ("{id: soaked, kind: soak, waivable: true}", "{id: x, kind: signature}", "a gate of the kind soak"),
        ("{id: people, kind: approval}", "{id: x, kind: signature}", "a gate of the kind approval"),
        ("approvers: [alice, bob, carol]", "approvers: [alice, bob, bob]", "at least 3 approvers"),
        ("id: closed", "id: signed", "each gate id once: signed"),
        ("{id: people, kind: approval}", "{id: people, kind: approval, parameters: {test: x}}", "no parameters"),
        ("parameters: {test: smoke, deadline_seconds: 3600}", "parameters: {test: smoke}", "test and deadline_seconds"),
        ("parameters: {accept: [embedded, private, public]}", "waivable: true", "trust gate with accept"),
        ("accept: [embedded, private, public]", "accept: [everybody]", "embedded"),
        ("starts: 2026-12-20", "starts: 2027-12-20", "starts before it ends"),
        ("2026-12-20T00:00:00Z", "christmas", "RFC 3339"),
        ("channel: stable", "channel: Stable!", "pattern"),
    ],
)
def test_refuses_a_policy_that_does_not_add_up(old: str, new: str, expected: str) -> None:
    assert old in STABLE
    error = refused(STABLE.replace(old, new))
    assert str(error.where).startswith("policies/stable.yaml:")
    assert expected in error.diagnostics()


def test_a_file_of_another_channel_is_refused() -> None:
    error = refused(STABLE, name="beta")
    assert (error.where, error.got, error.expected) == ("policies/beta.yaml", "stable", "beta")


@pytest.mark.parametrize(
    "gate",
    [
        "{id: trust, kind: trust, parameters: {accept: [embedded, public]}}",
        "{id: trust, kind: trust, waivable: true, parameters: {accept: [public]}}",
        "{id: trust, kind: signature}",
    ],
    ids=["accepts embedded", "can be waived", "no trust gate"],
)
def test_production_needs_a_firm_trust_gate(gate: str) -> None:
    text = re.sub(r"\{id: trust.*\}\}", gate, STABLE).replace("production: false", "production: true")
    assert "a trust gate that does not accept embedded" in str(refused(text).expected)


def test_production_with_a_firm_trust_gate_is_fine() -> None:
    text = STABLE.replace("production: false", "production: true").replace("accept: [embedded, ", "accept: [")
    assert policy(text).production


def test_a_freeze_covers_its_window_only() -> None:
    found = policy()
    start, end = found.freezes[0].starts, found.freezes[0].ends
    assert found.frozen(start) == found.freezes[0]
    assert found.frozen(end - timedelta(seconds=1))
    assert found.frozen(end) is None
    assert found.frozen(start - timedelta(seconds=1)) is None


def test_reads_waivers() -> None:
    assert parse_waivers(WAIVERS) == (waiver("soaked"),)
    assert parse_waivers("waivers: []") == ()


@pytest.mark.parametrize("key", WAIVER_KEYS)
def test_a_waiver_without_a_fact_is_refused(key: str) -> None:
    with pytest.raises(Misconfigured, match=rf"missing key .*{key}"):
        parse_waivers("waivers: [{" + ", ".join(f"{name}: x" for name in WAIVER_KEYS if name != key) + "}]")


def test_a_waiver_with_an_unknown_key_is_refused_with_its_line() -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_waivers(WAIVERS.replace("expires:", "expire:"))
    assert "policies/waivers.yaml:7" in caught.value.diagnostics()


SOAK = Gate(id="soaked", kind=GateKind.SOAK, waivable=True)


@pytest.mark.parametrize("name", [CANDIDATE.alias, CANDIDATE.digest])
def test_a_waiver_names_its_release_either_way(name: str) -> None:
    assert waiver("soaked", release=name).covers(CANDIDATE, channel="stable", gate=SOAK, now=SOAKED)


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "beta"},
        {"release": "R-20261122.4"},
        {"release": digest("x")},
        {"gate": "smoke"},
        {"expires": SOAKED},
    ],
    ids=["channel", "alias", "digest", "gate", "expired"],
)
def test_a_waiver_covers_nothing_else(change: dict[str, object]) -> None:
    given = waiver(**{"gate": "soaked", **change})
    assert not given.covers(CANDIDATE, channel="stable", gate=SOAK, now=SOAKED)


@pytest.mark.parametrize("kind", NEVER_WAIVED)
def test_a_waiver_never_covers(kind: GateKind) -> None:
    gate = Gate(id="soaked", kind=kind, waivable=True)  # not even where somebody forged the flag
    assert not waiver("soaked").covers(CANDIDATE, channel="stable", gate=gate, now=SOAKED)


@pytest.mark.parametrize(
    ("message", "lane"),
    [
        ("zlib: Fix\n\nSlipway-Lane: security-critical\n", Lane.SECURITY_CRITICAL),
        ("zlib: Fix\n\nslipway-lane:  Security-High\nReviewed-by: a\n", Lane.SECURITY_HIGH),
        ("zlib: Fix\n\nSlipway-Lane: security-high\nSlipway-Lane: normal", Lane.NORMAL),
        ("zlib: Fix\n\nSlipway-Lane: now!", Lane.NORMAL),
        ("zlib: Talk about Slipway-Lane: security-critical in a sentence", Lane.NORMAL),
        ("", Lane.NORMAL),
    ],
)
def test_a_commit_asks_for_its_lane_by_a_trailer(message: str, lane: Lane) -> None:
    assert lane_of(message) is lane


def test_the_clock_of_a_waiver_is_utc() -> None:
    assert parse_waivers(WAIVERS)[0].expires == datetime(2026, 11, 26, 10, tzinfo=UTC)
