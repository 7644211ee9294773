"""The state folder of the embedded Sigstore: what is in it, who may read it, and that one process owns it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from release.errors import Misconfigured, Refused
from signing.policy import Role

_OTHERS = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Paths below `path`. The folder is 0700 and its files are 0600: keys and secrets are among them."""

    path: Path

    @property
    def trust_config(self) -> Path:
        """ClientTrustConfig JSON for signers (sigstore-python). Written last, so it says that all the rest exists."""
        return self.path / "trust_config.json"

    @property
    def trusted_root(self) -> Path:
        """TrustedRoot JSON for verifiers: `cosign verify --trusted-root`."""
        return self.path / "trusted_root.json"

    @property
    def signing_config(self) -> Path:
        """SigningConfig JSON for `cosign sign --signing-config`."""
        return self.path / "signing_config.json"

    @property
    def issuer(self) -> Path:
        """The OIDC issuer URL, kept from the first start: signatures name it for ever."""
        return self.path / "issuer"

    @property
    def log(self) -> Path:
        """The entries of the transparency log, append-only."""
        return self.path / "log"

    def secret(self, role: Role) -> Path:
        """What a process must show to speak as `role`; give each process the files of its roles only."""
        return self.path / f"{role}.secret"

    def known_issuer(self) -> str:
        """The issuer that policies must name; `Misconfigured` before the first start."""
        try:
            return self.issuer.read_text()
        except OSError as error:
            raise Misconfigured(
                "the embedded Sigstore has never run", where=str(self.path), got=error, hint="slipway up starts it"
            ) from error

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Make the folder and hold it; `Refused` while another process does, `Misconfigured` if others may read it."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _private(self.path)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Refused(
                "another process serves this state folder",
                where=str(self.path),
                hint="two writers would fork the transparency log; stop the other one first",
            ) from error
        finally:
            os.close(lock)

    def once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The content of the file `name`, made the first time. A process killed here leaves all of it or none."""
        path = self.path / name
        if path.exists():
            _private(path)
            return path.read_bytes()
        content = make()
        self.replace(path, content)
        return content

    def replace(self, path: Path, content: bytes) -> None:
        """Write a file of the folder whole, durably and readable by its owner only."""
        handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{path.name}-")  # mkstemp gives 0600
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)


def _private(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        raise Misconfigured(
            "other users may read the keys of the embedded Sigstore",
            where=str(path),
            got=f"{mode:04o}",
            expected=f"{mode & ~_OTHERS:04o}",
            hint=f"chmod go= {path}; if the machine has other users, remove the whole folder and start anew",
        )
