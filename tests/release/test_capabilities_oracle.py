"""Whether one range of versions satisfies another, for every pair of senses, judged by rpm's own library."""

from __future__ import annotations

import itertools
import json
import subprocess

from release.graph.capabilities import Capability, satisfies

SENSES = ("", "<", "<=", "=", ">=", ">")
EVRS = ("1", "1-1", "1-2", "1.5-1", "2", "1:1-1", "0:1-1", "1~rc1-1")
# The system's own Python has rpm's bindings (dnf needs them); ours has not.
JUDGE = """
import json, rpm, sys
less, equal, greater = rpm.RPMSENSE_LESS, rpm.RPMSENSE_EQUAL, rpm.RPMSENSE_GREATER
senses = {"": 0, "<": less, "<=": less | equal, "=": equal, ">=": greater | equal, ">": greater}
def made(name, sense, evr, tag):
    found = rpm.ds((name, senses[sense], evr), tag)
    next(iter(found))
    return found
for provided, wanted in json.load(sys.stdin):
    one, two = made(*provided, rpm.RPMTAG_PROVIDENAME), made(*wanted, rpm.RPMTAG_REQUIRENAME)
    print(int(one.Compare(two)))
"""


def judged_by_rpm(pairs: list[tuple[tuple[str, str, str], tuple[str, str, str]]]) -> list[bool]:
    """What rpmdsCompare() says about each pair of (name, sense, evr)."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", JUDGE], input=json.dumps(pairs), capture_output=True, text=True, check=True
    )
    return [line == "1" for line in done.stdout.split()]


def test_ranges_overlap_exactly_where_rpm_says_so() -> None:
    ranges = [("a", sense, evr if sense else "") for sense, evr in itertools.product(SENSES, EVRS)]
    distinct = list(dict.fromkeys(ranges))
    pairs = [*((one, two) for one in distinct for two in distinct), (("a", "", ""), ("b", "", ""))]
    judgement = judged_by_rpm(pairs)
    assert set(judgement) == {True, False}
    ours = [satisfies(*(Capability(name=name, sense=sense, evr=evr) for name, sense, evr in pair)) for pair in pairs]
    different = [pair for pair, one, two in zip(pairs, ours, judgement, strict=True) if one is not two]
    assert different == []
