"""Examines the machine and the stack, and names each missing thing with its mend."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from release.tools.docker_daemon import engine_answers
from release.tools.registry_daemon import answers
from release.tools.system import PROGRAMS, install_commands, missing_programs
from tasks.settings import Settings
from tasks.stack import engine_url, running

# A first release takes 6 GB here: toolchain RPMs, its root, Docker's copy of it, and the registry.
NEEDED_BYTES = 8 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: whether it is well, what was found, and the mend where it is not."""

    subject: str
    well: bool
    found: str
    mend: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Everything `slipway doctor` prints, in the order a person would mend it."""
    return (
        _python(),
        *_programs(),
        _disk(settings.folder),
        _engine(settings),
        *_parts(settings),
        _answer("registry answers", f"{settings.registry}/v2/", "slipway up, or correct SLIPWAY_REGISTRY"),
        _answer("Prefect answers", f"{settings.prefect_api}/health", "slipway up, or correct SLIPWAY_PREFECT_API"),
        _exists("the distribution's repository", settings.repository, "slipway init makes it from a tree"),
        _exists("the RPM signing key", settings.openpgp_home, "slipway init creates it"),
        _exists("the webhook secret", settings.webhook_secret_file, "slipway init creates it"),
    )


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Finding(subject="Python", well=sys.version_info >= (3, 11), found=found, mend="install Python 3.11 or newer")


def _programs() -> tuple[Finding, ...]:
    missing = missing_programs()
    return tuple(
        Finding(
            subject=program,
            well=program not in missing,
            found="missing" if program in missing else "installed",
            mend=" && ".join(f"sudo {shlex.join(command)}" for command in install_commands((program,)))
            + f"  ({purpose})",
        )
        for program, (_, purpose) in PROGRAMS.items()
    )


def _disk(folder: Path) -> Finding:
    place = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(place).free
    return Finding(
        subject="free disk space",
        well=free >= NEEDED_BYTES,
        found=f"{free / 1e9:.1f} GB at {place}",
        mend=f"free {NEEDED_BYTES / 1e9:.0f} GB there, or point SLIPWAY_STATE at a larger disk",
    )


def _engine(settings: Settings) -> Finding:
    url = engine_url(settings)
    well = engine_answers(url)
    return Finding(
        subject="container engine",
        well=well,
        found=f"{url} {'answers' if well else 'does not answer'}",
        mend="slipway up starts one; or set DOCKER_HOST",
    )


def _parts(settings: Settings) -> tuple[Finding, ...]:
    # The engine may be the system's own, which _engine has already looked at.
    parts = {name: pid for name, pid in running(settings).items() if name != "dockerd"}
    return tuple(
        Finding(subject=f"{name} runs", well=pid is not None, found=f"pid {pid}" if pid else "no", mend="slipway up")
        for name, pid in parts.items()
    )


def _answer(subject: str, url: str, mend: str) -> Finding:
    well = answers(url)
    return Finding(subject=subject, well=well, found=url if well else f"{url} does not answer", mend=mend)


def _exists(subject: str, place: str, mend: str) -> Finding:
    well = "://" in place or Path(place).exists()
    return Finding(subject=subject, well=well, found=place if well else f"{place} is missing", mend=mend)
