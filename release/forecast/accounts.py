"""The account of a forecast: what was foreseen, and what became of it when the commit was released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from release.forecast.forecasts import Forecast
from release.records import Recorded, to_bytes
from release.source.certificates import Certificate, Certificates, Outcome

ACCOUNT = "application/vnd.slipway.forecast-account.v1+json"
_UNKNOWN: Mapping[str, float] = MappingProxyType({})
_BUILT = (Outcome.BUILT, Outcome.KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally(Recorded):
    """How many packages were foreseen in one way, and what became of them: new RPMs, built and the same as published,
    or not built at all because the published build stood."""

    foreseen: int
    built: int
    kept: int
    stood: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Recorded):
    """A forecast beside the fact. `unforeseen` were built although nobody said so: a mistake of the forecast.

    Seconds are those of builds: foreseen for the certain ones and for all, and what those that ran in the end took;
    None where nobody knew. They are of one run on one machine.
    """

    certain: Tally
    possible: Tally
    unforeseen: tuple[str, ...] = ()
    foreseen_seconds: float | None = None
    foreseen_seconds_at_most: float | None = None
    seconds: float | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return to_bytes(self)

    def text(self) -> str:
        """Two or three short sentences."""
        certain, possible = self.certain, self.possible
        words = (
            f"{certain.foreseen} certain: {certain.built} built, {certain.kept} kept. "
            f"{possible.foreseen} possible: {possible.built} built, {possible.kept} kept, {possible.stood} skipped."
        )
        return f"{words} Not foreseen: {', '.join(self.unforeseen)}." if self.unforeseen else words


def account(forecast: Forecast, certificates: Certificates, *, seconds: Mapping[str, float] = _UNKNOWN) -> Account:
    """What became of a forecast. `seconds` are those of the builds that ran, by package."""
    certain = {each.package for each in forecast.certain}
    possible = {each.package for each in forecast.possible}
    built = {name for name, each in certificates.packages.items() if each.outcome in _BUILT}
    return Account(
        certain=_tally(certificates.packages, certain),
        possible=_tally(certificates.packages, possible),
        unforeseen=tuple(sorted(built - certain - possible)),
        foreseen_seconds=forecast.certain_time.work if forecast.certain_time else None,
        foreseen_seconds_at_most=forecast.possible_time.work if forecast.possible_time else None,
        seconds=round(sum(seconds.values()), 2) if seconds else None,
    )


def _tally(packages: Mapping[str, Certificate], names: set[str]) -> Tally:
    outcomes = [packages[name].outcome for name in names if name in packages]
    built, kept = (outcomes.count(each) for each in _BUILT)
    return Tally(foreseen=len(names), built=built, kept=kept, stood=len(outcomes) - built - kept)
