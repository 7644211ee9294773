"""Evidence is a set of facts: no order, no opinion, and the worst of two answers is the answer."""

from __future__ import annotations

import pytest

from release.channel.evidence import Approval, Evidence, Finding, Passed
from release.channel.policies import GateKind
from release.errors import Refused
from release.product.releases import Verdict
from release.records import from_bytes, to_bytes
from tests.release.promotion_world import BETA_AT, SOAKED, digest, evidence, findings, smoke


def finding(verdict: Verdict) -> Finding:
    return Finding(kind=GateKind.SIGNATURE, verdict=verdict, got="", expected="")


def test_comes_back_equal() -> None:
    assert from_bytes(Evidence, to_bytes(evidence()), what="evidence") == evidence()


def test_equal_facts_are_equal_in_any_order() -> None:
    people = (Approval(by="bob", at=BETA_AT), Approval(by="alice", at=SOAKED))
    one = evidence(findings=findings(), approvals=people, artifacts=(digest(1), digest(2)))
    other = evidence(findings=findings()[::-1], approvals=people[::-1], artifacts=(digest(2), digest(1)))
    assert one == other
    assert to_bytes(one) == to_bytes(other)


@pytest.mark.parametrize("worst", [Verdict.FAIL, Verdict.UNKNOWN, Verdict.PENDING])
def test_a_pass_never_hides_something_worse(worst: Verdict) -> None:
    found = evidence(findings=(finding(Verdict.PASS), finding(worst), finding(Verdict.PASS)))
    answer = found.finding(GateKind.SIGNATURE)
    assert answer
    assert answer.verdict is worst


def test_a_test_that_failed_once_failed() -> None:
    found = evidence(tests=(smoke(Verdict.PASS), smoke(Verdict.FAIL, "boots")))
    answer = found.test("smoke")
    assert answer
    assert answer.failures == ("boots",)


def test_what_nobody_looked_at_is_absent() -> None:
    bare = evidence(findings=(), tests=(), passed=())
    assert bare.finding(GateKind.SBOM) is None
    assert bare.test("smoke") is None
    assert bare.passed_at("beta") is None


def test_age_counts_from_the_first_time() -> None:
    passed = (Passed(channel="beta", at=SOAKED), Passed(channel="beta", at=BETA_AT), Passed(channel="edge", at=SOAKED))
    assert evidence(passed=passed).passed_at("beta") == BETA_AT


def test_knows_the_failures_of_the_current_release_only() -> None:
    found = evidence(baseline=(smoke(Verdict.FAIL, "boots", "updates"), smoke(Verdict.PASS, "odd")))
    assert found.known_failures("smoke") == {"boots", "updates"}
    assert found.known_failures("other") == frozenset()


def test_an_unknown_fact_is_refused() -> None:
    with pytest.raises(Refused):
        from_bytes(Evidence, to_bytes(evidence())[:-1] + b',"signature":"fine"}', what="evidence")
