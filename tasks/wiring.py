"""The composition root: builds every collaborator once from the settings. Nothing else constructs a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import httpx

from release.errors import Misconfigured
from release.tools.builder import Builder
from release.tools.container_place import InContainer
from release.tools.containers import Containers
from release.tools.git import Identity, Repository
from release.tools.git_process import public
from release.tools.registry import Registry
from release.tools.registry_credentials import DockerCredentials
from release.tools.source_packages import SystemSources
from release.tools.source_urls import UrlOrigin
from release.tools.sources import Lookaside, SourceResolver
from release.tools.specparser import SpecParser
from release.tools.store import Store
from signing.embedded.folder import Folder
from signing.gnupg import Home, find_key
from signing.identities import Ambient, EmbeddedToken, IdentitySource, TokenFile
from signing.keyless import KeylessSigner
from signing.openpgp import RpmSigner
from signing.policy import Role
from signing.trust import TrustFile, TrustRepository, TrustSource
from signing.verifier import Verifier
from tasks.settings import Settings
from tasks.stack import engine_url

HTTP_SECONDS = 60.0
AUTHOR = Identity(name="Slipway", email="slipway@localhost")


class Tools:
    """The collaborators of one process. Each is built when it is first used, so that a command pays for what it does.

    A plain class on purpose: Prefect walks through dataclasses that it gets as parameters.
    """

    def __init__(self, settings: Settings, registry: Registry, http: httpx.AsyncClient) -> None:
        self.settings = settings
        self.registry = registry
        self._http = http
        self._sources: dict[str, SourceResolver] = {}
        self._signers: dict[Role, KeylessSigner] = {}

    @cached_property
    def store(self) -> Store:
        """The local content-addressed cache of blobs."""
        return Store(self.settings.folder / "store")

    @cached_property
    def repository(self) -> Repository:
        """The distribution's git repository."""
        return Repository(url=self.settings.repository, mirrors=self.settings.folder / "mirrors")

    @cached_property
    def containers(self) -> Containers:
        """The container engine."""
        return Containers(engine_url(self.settings))

    def spec_parser(self, image: str) -> SpecParser:
        """Reads specs with the toolchain's own rpm, and remembers what it read: for releases."""
        return SpecParser(place=InContainer(self.containers, image), folder=self.settings.folder / "specs")

    @cached_property
    def builder(self) -> Builder:
        """Builds packages in sealed containers."""
        return Builder(self.containers, scratch=self.scratch("build"))

    def sources(self, repository: str) -> SourceResolver:
        """Upstream sources: the registry's lookaside cache, the spec's URL, the system's source packages."""
        if repository not in self._sources:
            self._sources[repository] = self._resolver(repository)
        return self._sources[repository]

    def _resolver(self, repository: str) -> SourceResolver:
        home = self.settings.folder / "sources"
        origins = (Lookaside(self.registry, repository), UrlOrigin(self._http), SystemSources(home / "apt"))
        return SourceResolver(store=self.store, origins=origins, scratch=home / "incoming")

    @cached_property
    def verifier(self) -> Verifier:
        """What a consumer would believe, and nothing more."""
        return Verifier(self._trust.for_verifying())

    def signer(self, role: Role) -> KeylessSigner:
        """The signer that speaks with one role's identity."""
        if role not in self._signers:
            self._signers[role] = KeylessSigner(trust=self._trust, identity=self._identity(role))
        return self._signers[role]

    async def rpm_signer(self) -> RpmSigner:
        """The signer of RPM headers and of repomd.xml."""
        home = Path(self.settings.openpgp_home)
        if self.settings.openpgp_key:  # the operator's key: on a card, or behind an agent that is not ours to end
            return RpmSigner(home=Home(path=home, owns_agent=False), key=self.settings.openpgp_key)
        return RpmSigner(home=Home(path=home), key=await find_key(home))

    @cached_property
    def issuer(self) -> str:
        """The OIDC issuer of every signer; the embedded one keeps the URL of its first start for ever."""
        if self.settings.issuer or not self.settings.embedded_trust:
            return self.settings.issuer
        return self._sigstore.known_issuer()

    @property
    def repository_uri(self) -> str:
        """What proofs say of the repository: its URL without anybody's password, or the name of a local one."""
        return public(self.repository.url) if "://" in self.repository.url else self.settings.repository_name

    def now(self) -> datetime:
        """The clock, read here and passed on as an argument."""
        return datetime.now(UTC)

    def scratch(self, name: str) -> Path:
        """A folder below the state for work in progress; its content may be deleted when nothing runs."""
        folder = self.settings.folder / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def _trust(self) -> TrustSource:
        if self.settings.embedded_trust:
            return TrustFile(path=self._sigstore.trust_config)
        if self.settings.trust.startswith("tuf+"):
            url, _, root = self.settings.trust.removeprefix("tuf+").partition("#")
            return TrustRepository(url=url, root=Path(root) if root else None)
        return TrustFile(path=Path(self.settings.trust))

    @cached_property
    def _sigstore(self) -> Folder:
        return Folder(path=self.settings.folder / "sigstore")

    def _identity(self, role: Role) -> IdentitySource:
        if self.settings.embedded_trust:
            return EmbeddedToken(url=self.settings.sigstore_url, role=role, secret=self._sigstore.secret(role))
        if self.settings.identity_token == "ambient":  # noqa: S105 - the name of a source, no token
            return Ambient()
        return TokenFile(path=Path(self.settings.identity_token.replace("{role}", role)))


@asynccontextmanager
async def open_tools(settings: Settings) -> AsyncIterator[Tools]:
    """The collaborators for as long as the block lasts; connections are closed after it."""
    credentials = DockerCredentials(Path(settings.registry_config)) if settings.registry_config else None
    async with (
        Registry(url=settings.registry, credentials=credentials) as registry,
        httpx.AsyncClient(timeout=HTTP_SECONDS) as http,
    ):
        tools = Tools(settings, registry, http)
        try:
            yield tools
        finally:
            if "containers" in vars(tools):
                tools.containers.close()


def require_state(settings: Settings) -> None:
    """`Misconfigured` where nothing was set up yet."""
    if "://" not in settings.repository and not Path(settings.repository).exists():
        raise Misconfigured(
            "there is no distribution yet",
            where=settings.repository,
            expected="a git repository in the Azure Linux layout",
            hint="slipway init makes one from a tree; SLIPWAY_REPOSITORY names one that exists",
        )
