"""What was foreseen is set beside what happened, and what nobody foresaw is named."""

from __future__ import annotations

import dataclasses

from release.forecast.accounts import Account, Tally, account
from release.forecast.estimates import Estimate
from release.forecast.forecasts import Certain, Forecast, Possible
from release.records import from_bytes
from release.source.certificates import Certificates, Outcome
from tests.release.test_certificates import CERTIFICATE

FORECAST = Forecast(
    before="a", after="b",
    certain=tuple(Certain(package=name, level=0, reasons=("changed",)) for name in ("lib", "gone")),
    possible=tuple(Possible(package=name, level=1, path=()) for name in ("one", "two", "three")),
    certain_time=Estimate(jobs=1, work=5.0, elapsed=5.0, unknown=0),
    possible_time=Estimate(jobs=1, work=20.0, elapsed=12.0, unknown=0),
)  # fmt: skip


def certificates(**outcomes: Outcome) -> Certificates:
    return Certificates(
        packages={name: dataclasses.replace(CERTIFICATE, outcome=each) for name, each in outcomes.items()}
    )


FACT = certificates(
    lib=Outcome.BUILT, one=Outcome.KEPT, two=Outcome.SKIPPED, three=Outcome.UNCHANGED, far=Outcome.UNCHANGED
)  # fmt: skip


def test_counts_what_became_of_what_was_foreseen() -> None:
    found = account(FORECAST, FACT, seconds={"lib": 3.0, "one": 1.5})
    assert found.certain == Tally(foreseen=2, built=1, kept=0, stood=0), "gone is no package any more"
    assert found.possible == Tally(foreseen=3, built=0, kept=1, stood=2)
    assert (found.foreseen_seconds, found.foreseen_seconds_at_most, found.seconds) == (5.0, 20.0, 4.5)
    assert found.text() == "2 certain: 1 built, 0 kept. 3 possible: 0 built, 1 kept, 2 skipped."


def test_names_what_was_built_although_nobody_said_so() -> None:
    found = account(FORECAST, certificates(lib=Outcome.BUILT, far=Outcome.BUILT), seconds={})
    assert found.unforeseen == ("far",)
    assert found.text().endswith("Not foreseen: far.")


def test_says_nothing_of_seconds_where_nobody_knew() -> None:
    found = account(dataclasses.replace(FORECAST, certain_time=None, possible_time=None), FACT, seconds={})
    assert found.foreseen_seconds is found.foreseen_seconds_at_most is found.seconds is None


def test_survives_the_round_trip() -> None:
    made = account(FORECAST, FACT, seconds={"lib": 3.0})
    assert from_bytes(Account, made.to_bytes(), what="an account") == made
