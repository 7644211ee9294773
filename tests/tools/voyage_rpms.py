"""A distribution of three signed RPMs, enough for an image: a system, a program that needs nothing, a shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import CREATEREPO

BUILD_TIME = 1_700_000_000
SPEC = r"""
Name: voyage
Version: 1.0
Release: 1
Summary: A system
License: Apache-2.0
Vendor: Shipwrights
%description
A system.
%package tool
Summary: A program that needs no library
Requires: voyage = 1.0-1
%description tool
A program.
%package shell
Summary: A shell with its libraries
Requires: voyage
%description shell
A shell.
%install
cd %{buildroot}
mkdir -p etc/ld.so.conf.d usr/bin usr/sbin usr/lib64 usr/lib/rpm usr/share/doc/tool var/log/tool var/cache/tool tmp
for name in bin sbin lib lib64; do ln -s usr/$name $name; done
printf 'ID=voyage\nVERSION_ID=1.0\nNAME=Voyage\n' > usr/lib/os-release
printf 'root:x:0:0::/root:/bin/sh\npilot:x:7:8::/:/bin/sh\n' > etc/passwd
printf 'root:x:0:\ncrew:x:8:\n' > etc/group
cp /sbin/ldconfig usr/bin/tool
cp /sbin/ldconfig usr/bin/suid
ln usr/bin/tool usr/bin/tool-1.0
echo words > usr/share/doc/tool/README
for language in de fr; do
  mkdir -p usr/share/locale/$language/LC_MESSAGES
  echo $language > usr/share/locale/$language/LC_MESSAGES/tool.mo
done
cp /bin/dash usr/bin/sh
cp /bin/touch usr/bin/touch
for library in $(ldd /bin/dash /bin/touch | grep -o '/lib[^ ]*'); do
  mkdir -p .$(dirname $library); cp -Ln $library .$library
done
%files
/bin
/sbin
/lib
/lib64
/etc/passwd
/etc/group
%dir /etc/ld.so.conf.d
%dir /usr/lib/rpm
%dir %attr(1777, root, root) /tmp
/usr/lib/os-release
%files tool
%caps(cap_net_raw=ep) /usr/bin/tool
%caps(cap_net_raw=ep) /usr/bin/tool-1.0
%attr(4755, root, root) /usr/bin/suid
%doc /usr/share/doc/tool/README
%lang(de) /usr/share/locale/de/LC_MESSAGES/tool.mo
%lang(fr) /usr/share/locale/fr/LC_MESSAGES/tool.mo
%dir %attr(0750, pilot, crew) /var/log/tool
%dir /var/cache/tool
%files shell
/usr/bin/sh
/usr/bin/touch
/usr/lib/x86_64-linux-gnu
/usr/lib64/*
"""
DEFINES = {
    "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "_buildhost": "yard",
    "__os_install_post": "%{nil}",
    "debug_package": "%{nil}",
    "_build_id_links": "none",
    "__find_requires": "/bin/true",
    "_use_internal_dependency_generator": "0",
}
SIGNER = "Shipwright <shipwright@example.org>"


def build_repository(folder: Path) -> Path:
    """Build, sign and index the RPMs; the folder of RPMs and repodata. Beside it: `key.asc`, and `gnupg` that signs."""
    rpms = folder / "rpms"
    (folder / "voyage.spec").write_text(SPEC)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SOURCE_DATE_EPOCH": str(BUILD_TIME)}
    defines = {**DEFINES, "_topdir": str(folder), "_rpmdir": str(rpms)}
    words = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    run(["rpmbuild", "-bb", *words, "voyage.spec"], folder, environment)
    make_key(folder)
    sign(folder, sorted(rpms.glob("*.rpm")))
    index(rpms)
    return rpms


def make_key(folder: Path) -> str:
    """A new signing key in `folder`/gnupg; its armored public half, also written to `folder`/key.asc."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    words = ["--batch", "--passphrase", "", "--quick-gen-key", SIGNER, "ed25519", "sign", "never"]
    run(["gpg", "--homedir", str(home), *words], folder)
    key = run(["gpg", "--homedir", str(home), "--armor", "--export"], folder)
    (folder / "key.asc").write_text(key)
    return key


def sign(folder: Path, rpms: list[Path]) -> None:
    """Sign the headers of RPMs with the key of `folder`."""
    words = ["--define", "__gpg /usr/bin/gpg", "--define", f"_gpg_name {SIGNER}"]
    environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(folder / "gnupg")}
    run(["rpmsign", "--addsign", *words, *map(str, rpms)], folder, environment)
    run(["gpgconf", "--homedir", environment["GNUPGHOME"], "--kill", "gpg-agent"], folder)  # it would outlive us


def index(rpms: Path) -> None:
    """Write the repodata of a folder."""
    run([CREATEREPO, "--quiet", str(rpms)], rpms)


def run(argv: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a tool of the host; what it writes."""
    return subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
