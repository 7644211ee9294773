"""Real RPMs, built by rpmbuild in a second: a library, a tool that needs it, a newer library, a source package."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from release.digests import digest_of
from release.product.builds import Build, Rpm
from release.tools.store import Store, digest_of_file

SPEC = """
Name: {name}
Version: {version}
Release: 1
Epoch: {epoch}
Summary: Part of a small fleet
License: Apache-2.0
BuildArch: noarch
{more}
%description
Part of a small fleet.
%install
mkdir -p %{{buildroot}}/usr/share/fleet
echo {name} {version} > %{{buildroot}}/usr/share/fleet/{name}
%files
/usr/share/fleet/{name}
%changelog
* Thu Jan 01 2026 Shipwright <shipwright@example.org> - {version}-1
- Launch.
"""
FLEET = (
    ("libkeel", "1.0", 0, "Provides: keel(deep) = 3"),
    ("libkeel", "1.1", 0, "Provides: keel(deep) = 3"),
    ("hull", "1.0", 2, "Requires: libkeel >= 1.0\nRequires: (keel(deep) or keel(flat))"),
)


@cache
def fleet() -> dict[str, Path]:
    """The RPMs by `name-version`, and `hull.src`; built once a process."""
    folder = Path(mkdtemp(prefix="slipway-tiny-rpms-"))
    for number, (name, version, epoch, more) in enumerate(FLEET):
        spec = folder / f"{number}.spec"
        spec.write_text(SPEC.format(name=name, version=version, epoch=epoch, more=more))
        defines = {"_topdir": folder, "_tmppath": folder / "tmp", "use_source_date_epoch_as_buildtime": 1}
        words = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
        subprocess.run(
            ["rpmbuild", "-ba", *words, str(spec)],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1767225600", "HOME": str(folder)},
        )
    built = folder / "RPMS" / "noarch"
    rpms = {f"{name}-{version}": built / f"{name}-{version}-1.noarch.rpm" for name, version, *_ in FLEET}
    return {**rpms, "hull.src": folder / "SRPMS" / "hull-1.0-1.src.rpm"}


def rpm_of(path: Path, store: Store) -> Rpm:
    """An RPM put into a store."""
    digest = store.put_file(path)
    return Rpm(file=path.name, digest=digest, size=path.stat().st_size, header_digest=digest_of_file(path)[7:])


def build_of(key: str, store: Store, *, arch: str = "x86_64") -> Build:
    """A build of one package of the fleet (`hull-1.0`), its RPMs in the store."""
    name, version = key.rsplit("-", 1)
    paths = [fleet()[key]] + ([fleet()["hull.src"]] if name == "hull" else [])
    return Build(
        package=name,
        evr=f"{version}-1",
        arch=arch,
        key=digest_of(key.encode()),
        rpms=tuple(rpm_of(path, store) for path in paths),
    )
