"""What a night found stands against every release that holds the same builds, until somebody says otherwise aloud."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from release.channel.audits import (
    NIGHTS,
    Agreement,
    Audited,
    AuditReport,
    Fault,
    FaultKind,
    Ledger,
    Night,
    PackageAudit,
    compared,
    fault_of,
    ledger_path,
    parse_ledger,
)
from release.channel.decisions import Decision, State
from release.channel.policies import Gate, GateKind
from release.channel.policy_files import parse_policy
from release.channel.promotions import replay
from release.channel.questions import GateResult
from release.errors import Refused
from release.interfaces.file_rules import FileKind
from release.interfaces.interfaces import BinaryInterface, FileEntry
from release.product.releases import Verdict
from release.source.certificates import Outcome
from tests.release.promotion_world import CANDIDATE, SOAKED, STABLE, decided, digest, evidence, policy, ref, waiver

NIGHT = SOAKED - timedelta(hours=5)


def fault(package: str = "cc", **changes: Any) -> Fault:
    honest: dict[str, Any] = {
        "package": package,
        "build": digest(f"{package} 1"),
        "kind": FaultKind.SKIP,
        "files": (f"{package}: /usr/bin/{package} changed",),
        "release": "R-20261122.2",
        "found": NIGHT,
    }
    return Fault(**{**honest, **changes})


def night(number: int = 3, **changes: Any) -> Night:
    honest: dict[str, Any] = {
        "release": ref(number),
        "at": NIGHT,
        "report": digest("report"),
        "packages": 6,
        "equal": 6,
        "identical": 5,
    }
    return Night(**{**honest, **changes})


def found(*faults: Fault, **changes: Any) -> Decision:
    audit = Audited(at=NIGHT, faults=faults, **changes.pop("audited", {}))
    return decided(evidence=evidence(audit=audit), **changes)


def guard(decision: Decision) -> GateResult:
    return next(each for each in decision.results if each.gate == "audit" and each.kind == "guard")


# --- the guard


def test_a_release_whose_builds_hold_may_move() -> None:
    assert found().verdict is Verdict.PASS
    assert guard(found()).verdict is Verdict.PASS


def test_a_wrong_skip_is_refused_with_package_file_night_and_mend() -> None:
    decision = found(fault(), fault("dd"))
    assert (decision.verdict, decision.state) == (Verdict.FAIL, State.REJECTED)
    excuse = decision.excuse
    assert excuse
    assert excuse.message == (
        "the nightly audit does not confirm R-20261122.3: cc was left as it was, and comes out otherwise from scratch "
        "(and dd)"
    )
    assert excuse.expected == "builds that come out from scratch as they were published"
    assert excuse.got == (
        f"cc: /usr/bin/cc changed; found in R-20261122.2 at 2026-11-25T05:00Z, build {digest('cc 1')}"
    )
    assert excuse.owner == "the maintainers"
    assert excuse.action == "have it built again by a commit that changes its spec: cc, dd"


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_of_fault_blocks_and_says_what_it_is(kind: FaultKind) -> None:
    answer = guard(found(fault(kind=kind)))
    assert answer.verdict is Verdict.FAIL
    assert f": cc {kind.sentence}" in answer.message


def test_the_first_channel_is_not_blocked() -> None:
    audit = Audited(at=NIGHT, faults=(fault(),))
    first = decided(policy=policy(upstream=None), upstream=None, evidence=evidence(audit=audit))
    assert first.verdict is Verdict.PASS


def test_by_hand_is_no_way_around() -> None:
    assert found(fault(), by_hand="alice").verdict is Verdict.FAIL


def test_a_ledger_that_cannot_be_read_blocks() -> None:
    decision = found(audited={"problem": "not a ledger of audits"})
    assert (decision.verdict, decision.state) == (Verdict.UNKNOWN, State.BLOCKED)
    assert guard(decision).got == "not a ledger of audits"


def test_a_release_that_no_night_has_seen_is_not_blocked() -> None:
    assert decided(evidence=evidence(audit=Audited())).verdict is Verdict.PASS


def test_a_decision_of_before_there_were_audits_replays_to_the_same_bytes() -> None:
    old = decided()
    assert b'"audit"' not in old.to_bytes()
    assert replay(old.to_bytes()).to_bytes() == old.to_bytes()
    new = found(fault())
    assert replay(new.to_bytes()) == new


# --- waivers


@pytest.mark.parametrize("named", [CANDIDATE.alias, CANDIDATE.digest, digest("cc 1")])
def test_a_waiver_that_names_the_release_or_the_build_passes_aloud(named: str) -> None:
    answer = guard(found(fault(), waivers=[waiver("audit", release=named)]))
    assert answer.verdict is Verdict.PASS
    assert answer.waived_by == "alice"
    assert answer.message == (
        "waived by alice until 2026-11-26T10:00Z (before the weekend): the nightly audit does not confirm cc"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "beta"},
        {"release": "R-20261122.2"},
        {"release": digest("cc 2")},
        {"gate": "audited"},
        {"expires": SOAKED},
    ],
    ids=["another channel", "another release", "another build", "another gate", "expired"],
)
def test_a_waiver_that_does_not_fit_is_none(changes: dict[str, Any]) -> None:
    late = waiver(**{"gate": "audit", **changes})
    assert guard(found(fault(), waivers=[late])).verdict is Verdict.FAIL


def test_a_waiver_of_one_build_leaves_the_other_fault() -> None:
    decision = found(fault(), fault("dd"), waivers=[waiver("audit", release=digest("cc 1"))])
    assert guard(decision).message.endswith("R-20261122.3: dd was left as it was, and comes out otherwise from scratch")


# --- the gate of a policy that demands an audit

DEMANDING = policy(gates=(*policy().gates, Gate(id="audited", kind=GateKind.AUDIT)))


def demanded(audit: Audited | None) -> GateResult:
    decision = decided(policy=DEMANDING, evidence=evidence(audit=audit))
    return next(each for each in decision.results if each.gate == "audited")


def test_a_policy_can_demand_an_audit_of_the_very_release() -> None:
    assert demanded(Audited(at=NIGHT)).verdict is Verdict.PASS
    answer = demanded(Audited())
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.message == "no night has rebuilt R-20261122.3 from scratch"
    assert (answer.owner, answer.got) == ("the nightly audit", "no audit")


@pytest.mark.parametrize(
    ("audit", "got"),
    [
        (None, "no audit"),
        (Audited(at=NIGHT, unknown=("curl", "jq")), "curl, jq"),
        (Audited(at=NIGHT, problem="git is down"), "git is down"),
    ],
)
def test_what_is_not_known_never_passes_where_the_policy_asks(audit: Audited | None, got: str) -> None:
    answer = demanded(audit)
    assert (answer.verdict, answer.got) == (Verdict.UNKNOWN, got)


def test_a_policy_file_may_name_the_gate() -> None:
    line = "  - {id: audited, kind: audit, waivable: true}\n"
    text = STABLE.replace("  - {id: soaked", f"{line}  - {{id: soaked")
    assert Gate(id="audited", kind=GateKind.AUDIT, waivable=True) in parse_policy(text, name="stable").gates


# --- the ledger


def test_a_fault_stands_against_every_release_that_holds_the_build() -> None:
    ledger = Ledger().after(night(2), [fault()])
    assert ledger.of(ref(2), {digest("cc 1")}).faults == (fault(),)
    later = ledger.of(ref(3), {digest("cc 1"), digest("dd 4")})
    assert (later.faults, later.at) == ((fault(),), None), "nobody audited it, its builds are known"
    assert ledger.of(ref(4), {digest("cc 2")}).faults == (), "rebuilt"


def test_a_night_that_finds_nothing_clears_nobody() -> None:
    ledger = Ledger().after(night(2), [fault()]).after(night(3), [])
    assert ledger.faults == (fault(),)
    assert [each.release for each in ledger.nights] == [ref(3), ref(2)]


def test_what_was_found_now_takes_the_place_of_what_was_found_before() -> None:
    again = fault(kind=FaultKind.UNREPRODUCIBLE, found=SOAKED)
    assert Ledger().after(night(2), [fault()]).after(night(3), [again, fault("aa")]).faults == (fault("aa"), again)


def test_the_ledger_keeps_the_newest_nights() -> None:
    ledger = Ledger()
    for number in range(NIGHTS + 3):
        ledger = ledger.after(night(number), [])
    assert len(ledger.nights) == NIGHTS
    assert ledger.nights[0].release == ref(NIGHTS + 2)
    assert ledger.of(ref(1), ()).at is None


def test_the_newest_night_of_a_release_counts() -> None:
    ledger = Ledger().after(night(3, unknown=("jq",)), []).after(night(3, at=SOAKED), [])
    assert ledger.of(ref(3), ()) == Audited(at=SOAKED)


def test_the_ledger_comes_back_equal_one_fact_a_line() -> None:
    ledger = Ledger().after(night(unknown=("jq",)), [fault(diff=digest("diff"))])
    assert parse_ledger(ledger.to_bytes()) == ledger
    assert b'\n   "package": "cc",\n' in ledger.to_bytes()
    assert ledger_path("edge") == "audits/edge.json"


def test_what_a_newer_version_wrote_into_a_ledger_survives() -> None:
    newer = {**json.loads(Ledger().after(night(), [fault()]).to_bytes()), "moon": "full"}
    assert json.loads(parse_ledger(json.dumps(newer).encode()).to_bytes())["moon"] == "full"


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"nights": 3}', b'{"faults": [{}]}'])
def test_refuses_what_is_no_ledger(raw: bytes) -> None:
    with pytest.raises(Refused, match="not a ledger of audits"):
        parse_ledger(raw)


# --- the comparison

BEFORE = PackageAudit(package="cc", build=digest("cc 1"), outcome=Outcome.SKIPPED, agreement=Agreement.UNKNOWN)


def package(content: str = "a", **changes: Any) -> BinaryInterface:
    files = {"/usr/bin": {"cc": FileEntry(kind=FileKind.EXECUTABLE, attributes="100755", content=content)}}
    return replace(
        BinaryInterface(name="cc", epoch=0, version="1", release="1", arch="x86_64", file="cc.rpm", files=files),
        **changes,
    )


def audit(fresh: BinaryInterface, **changes: Any) -> PackageAudit:
    more: dict[str, Any] = {"headers": (), "recorded": ("aa", "bb"), "consumed": ("aa", "bb"), **changes}
    return compared(BEFORE, [package()], [fresh], **more)


def test_equal_headers_are_equal_bits_and_an_equal_product_is_enough() -> None:
    assert audit(package()).agreement is Agreement.IDENTICAL
    equal = audit(package(), headers={"cc.rpm"})
    assert (equal.agreement, equal.headers, equal.files) == (Agreement.EQUAL, ("cc.rpm",), ())


def test_another_product_is_named_by_its_files() -> None:
    other = audit(package("b"), headers={"cc.rpm"})
    assert (other.agreement, other.files) == (Agreement.DIFFERENT, ("cc: /usr/bin/cc changed",))


def test_a_package_that_came_out_more_or_less_is_another_product() -> None:
    both = [package(), package(name="cc-devel")]
    more = compared(BEFORE, [package()], both, headers=(), recorded=(), consumed=())
    assert more.agreement is Agreement.DIFFERENT
    assert more.files == ("cc-devel: the package is new (x86_64)",)


def test_a_build_root_that_held_something_else_is_a_finding_that_blocks_nothing() -> None:
    other = audit(package(), consumed=("aa", "zz"))
    assert other.root == (
        "its build root held zz, which its record does not name",
        "its build root lacked bb, which its record names",
    )
    assert other.agreement is Agreement.IDENTICAL and other.kind is None


@pytest.mark.parametrize("outcome", Outcome)
def test_whose_fault_a_difference_is(outcome: Outcome) -> None:
    left = outcome is not Outcome.BUILT
    assert fault_of(outcome, repeats=True) is (FaultKind.SKIP if left else FaultKind.UNREPRODUCIBLE)
    assert fault_of(outcome, repeats=False) is FaultKind.UNREPRODUCIBLE


def test_a_report_tells_faults_from_what_is_not_known() -> None:
    packages = (
        replace(BEFORE, package="aa", agreement=Agreement.IDENTICAL),
        replace(BEFORE, package="bb", agreement=Agreement.EQUAL),
        replace(BEFORE, agreement=Agreement.DIFFERENT, kind=FaultKind.SKIP, files=("cc: /usr/bin/cc changed",)),
        replace(BEFORE, package="dd", error="the registry does not answer"),
    )
    report = AuditReport(release=CANDIDATE, commit="a" * 40, finished=NIGHT, packages=packages)
    assert report.faults == (fault(release=CANDIDATE.alias),)
    assert report.night(digest("report")) == night(packages=4, equal=2, identical=1, unknown=("dd",))
