"""Keyless signing: statements become Sigstore bundles, under a certificate of minutes for the identity that we prove.

The work is sigstore-python's. This room adds what an unattended pipeline needs: one certificate for a batch and a new
one in time, limits on every request, threads, and errors that say whether to retry, to edit or to give up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from rfc3161_client import TimeStampResponse
from sigstore._internal.timestamp import TimestampAuthorityClient, TimestampError
from sigstore.dsse import Statement
from sigstore.errors import Error as SigstoreError
from sigstore.errors import VerificationError
from sigstore.models import ClientTrustConfig
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken
from sigstore.sign import Signer, SigningContext

from release.errors import Broken, Error, Misconfigured, Refused
from signing.identities import IdentitySource
from signing.trust import TrustSource

# Fulcio's certificates live ten minutes; a signature must be stamped before its certificate ends.
RENEW_AFTER = timedelta(minutes=8)
REQUEST_SECONDS = 30.0  # a Rekor v2 log answers after integration, within seconds
THREADS = 16
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PASSING = (408, 425, 429)  # answers of the 4xx family that time mends


class KeylessSigner:
    """Signs as one identity with one Sigstore instance. Any thread may call it."""

    def __init__(
        self,
        *,
        trust: TrustSource,
        identity: IdentitySource,
        threads: int = THREADS,
        request_seconds: float = REQUEST_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._trust = trust
        self._identity = identity
        self._threads = threads
        self._seconds = request_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._context: SigningContext | None = None
        self._signer: Signer | None = None
        self._renew_at = datetime.min.replace(tzinfo=UTC)

    def sign_statements(self, statements: Sequence[bytes]) -> tuple[bytes, ...]:
        """A bundle (JSON, v0.3) for each in-toto statement, in order, under one certificate while it lasts.

        The first error ends the batch: `Refused` where an authority or a log says no, `Broken` where it fails or does
        not answer in time, `Misconfigured` where the identity or the trust config is at fault. What was signed before
        stays in the log; signing a batch again is safe.
        """
        if not statements:
            return ()
        parsed = [_parsed(each) for each in statements]
        with ThreadPoolExecutor(max_workers=min(self._threads, len(parsed))) as pool:
            signed = [pool.submit(self._sign, each) for each in parsed]
            wait(signed, return_when=FIRST_EXCEPTION)
            for each in signed:
                each.cancel()
            failed = [each for each in signed if not each.cancelled() and each.exception()]
            return tuple(each.result() for each in failed or signed)

    def _sign(self, statement: Statement) -> bytes:
        try:
            context, signer = self._current()
            # The log's client has a session for each thread, and this may be a new one.
            _limit(context._rekor, self._seconds)
            return signer.sign_dsse(statement).to_json().encode()
        except Error:
            raise
        except Exception as error:  # whatever the libraries raise becomes ours here
            raise _ours(error) from error

    def _current(self) -> tuple[SigningContext, Signer]:
        with self._lock:
            if self._context is None:
                self._context = _open(self._trust.for_signing(), self._seconds)
            now = self._clock()
            if self._signer is None or now >= self._renew_at:
                self._signer = Signer(IdentityToken(self._identity.token()), self._context)
                self._renew_at = now + RENEW_AFTER
            return self._context, self._signer


class _Timestamps(TimestampAuthorityClient):
    """Without a timestamp a bundle cannot be verified, so its lack is an error before the log is written to."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url)
        self._seconds = seconds

    def request_timestamp(self, signature: bytes) -> TimeStampResponse:
        _limit(self, self._seconds)
        try:
            return super().request_timestamp(signature)
        except TimestampError as error:
            raise Broken("no timestamp to be had", where=self.url, got=error) from error


class _Limited(HTTPAdapter):
    """The time limit that the clients of Fulcio and Rekor do not set (sigstore 4.5)."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        return super().send(request, *args, **{**kwargs, "timeout": kwargs.get("timeout") or self._seconds})


def _open(config: ClientTrustConfig, seconds: float) -> SigningContext:
    try:
        services = config.signing_config
        fulcio, rekor = services.get_fulcio(), services.get_tlogs()[0]
        timestamps = [_Timestamps(each.url, seconds) for each in services.get_tsas()]
    except (SigstoreError, ValueError) as error:
        raise Misconfigured("the trust config names no usable services", got=error) from error
    _limit(fulcio, seconds)
    return SigningContext(fulcio=fulcio, rekor=rekor, trusted_root=config.trusted_root, tsa_clients=[*timestamps])


def _limit(client: Any, seconds: float) -> None:
    """Put the time limit into a client's session, and keep loopback out of whatever proxy the environment names."""
    session: Session = client.session if hasattr(client, "session") else client._session
    if isinstance(session.get_adapter(client.url), _Limited):
        return
    session.mount("http://", _Limited(seconds))
    session.mount("https://", _Limited(seconds))
    session.trust_env = urlsplit(client.url).hostname not in _LOOPBACK


def _parsed(statement: bytes) -> Statement:
    try:
        return Statement(statement)
    except SigstoreError as error:
        raise Refused("not an in-toto statement that can be signed", got=error) from error


def _ours(error: Exception) -> Error:
    if isinstance(error, IdentityError | ExpiredIdentity):
        return Misconfigured(
            "the identity token cannot be used", got=f"{error or type(error).__name__}: {error.__cause__}"
        )
    response = _response_behind(error)
    if response is not None:
        no = response.status_code in range(400, 500) and response.status_code not in _PASSING
        return (Refused if no else Broken)(
            "the Sigstore instance did not accept this",
            where=response.url,
            got=f"HTTP {response.status_code}: {_message(response)}",
        )
    if isinstance(error, VerificationError):
        return Refused(
            "the certificate authority's answer does not verify",
            got=error,
            hint="the trust config belongs to another Sigstore instance than the one that answered",
        )
    return Broken("signing failed", got=f"{type(error).__name__}: {error}")


def _response_behind(error: BaseException | None) -> Response | None:
    """The HTTP answer that started it: sigstore-python (4.5) drops the text of every refusal on the way."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, Response):
            return response
        error = error.__cause__ or error.__context__
    return None


def _message(response: Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
