"""Where trust comes from: a trust config file, or a TUF repository that keeps it fresh.

sigstore-python is imported when a source is loaded: it takes a quarter of a second, and most commands never need it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from release.errors import Broken, Misconfigured

if TYPE_CHECKING:
    from sigstore.models import ClientTrustConfig, TrustedRoot

_HINT = "the embedded Sigstore writes trust_config.json into its state folder; others publish one, or a TUF repository"


class TrustSource(Protocol):
    """What a signer and a verifier start from."""

    def for_signing(self) -> ClientTrustConfig:
        """The services to sign with, and what to check their answers against."""

    def for_verifying(self) -> TrustedRoot:
        """The authorities and logs to believe. No network is needed after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFile:
    """A ClientTrustConfig JSON file (signing and verifying) or a bare trusted root (verifying only)."""

    path: Path

    def for_signing(self) -> ClientTrustConfig:
        """The whole config; `Misconfigured` when the file is missing, malformed or only a trusted root."""
        from sigstore.models import ClientTrustConfig

        text = self._text()
        try:
            return ClientTrustConfig.from_json(text)
        except Exception as error:  # pydantic's errors and sigstore's own
            raise self._malformed("a ClientTrustConfig", error) from error

    def for_verifying(self) -> TrustedRoot:
        """The trusted root; `Misconfigured` when the file is missing or malformed."""
        from sigstore.models import ClientTrustConfig, TrustedRoot

        text = self._text()
        try:
            if "trustedRoot" in json.loads(text):
                return ClientTrustConfig.from_json(text).trusted_root
            return TrustedRoot.from_file(str(self.path))
        except Exception as error:
            raise self._malformed("a ClientTrustConfig or a TrustedRoot", error) from error

    def _text(self) -> str:
        try:
            return self.path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured("no trust to be had", where=str(self.path), got=error, hint=_HINT) from error

    def _malformed(self, expected: str, error: Exception) -> Misconfigured:
        got = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Misconfigured("not a trust config", where=str(self.path), got=got, expected=expected, hint=_HINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRepository:
    """A TUF repository of trusted_root.json and signing_config.v0.2.json; `root` is its first root.json.

    Metadata and targets are cached in the user's data folders; each load looks for newer ones.
    """

    url: str
    root: Path | None = None

    def for_signing(self) -> ClientTrustConfig:
        """The current config; `Broken` when the repository cannot be reached or its metadata does not verify."""
        from sigstore.models import ClientTrustConfig

        try:
            return ClientTrustConfig.from_tuf(self.url, bootstrap_root=self.root)
        except Exception as error:
            raise Broken(
                "the TUF repository gives no trust",
                where=self.url,
                got=f"{error}: {error.__cause__}" if error.__cause__ else str(error),
                hint=f"its first root.json is {self.root or 'not configured'}; is it the one you were given?",
            ) from error

    def for_verifying(self) -> TrustedRoot:
        """The current trusted root; errors as above."""
        return self.for_signing().trusted_root
