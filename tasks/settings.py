"""Every setting of Slipway, read from the environment here and nowhere else.

The defaults are the embedded stack on loopback with all state in one folder. Each part is replaced by one
variable: another registry, another git repository, a public or private Sigstore, a Prefect server elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from pathlib import Path
from urllib.parse import urlsplit

from release.errors import Misconfigured

_SCP = re.compile(r"[\w.-]+@[\w.-]+:(.+)\Z")
STATE_FOLDER = ".slipway"


def _setting(variable: str, help_text: str) -> str:
    # dataclasses.field is typed as returning the field's own type; every setting below is a str or an int
    value: str = dataclass_field(metadata={"variable": variable, "help": help_text})
    return value


def _port(variable: str, help_text: str) -> int:
    value: int = dataclass_field(metadata={"variable": variable, "help": help_text})
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. `slipway settings` prints them with the variable that sets each."""

    state: str = _setting("SLIPWAY_STATE", "folder of all state (default: the nearest .slipway/ above, or here)")
    repository: str = _setting("SLIPWAY_REPOSITORY", "git URL or path of the distribution (default: embedded)")
    registry: str = _setting("SLIPWAY_REGISTRY", "URL of the OCI registry (default: embedded, on loopback)")
    registry_public: str = _setting("SLIPWAY_REGISTRY_PUBLIC", "the registry's URL as consumers reach it")
    registry_config: str = _setting("SLIPWAY_REGISTRY_CONFIG", "a Docker config.json with the registry's credentials")
    web_public: str = _setting("SLIPWAY_WEB_PUBLIC", "URL of the web door as consumers reach it")
    prefect_api: str = _setting("SLIPWAY_PREFECT_API", "URL of a Prefect API (default: embedded server)")
    docker: str = _setting("DOCKER_HOST", "URL of the container engine (default: the system's, else embedded)")
    trust: str = _setting("SLIPWAY_TRUST", "'embedded', a ClientTrustConfig file, or tuf+URL[#first root.json]")
    branch: str = _setting("SLIPWAY_BRANCH", "the branch whose commits are released, as in distro.yaml")
    identity: str = _setting("SLIPWAY_IDENTITY", "base of the embedded signers' identities, as in distro.yaml")
    issuer: str = _setting("SLIPWAY_ISSUER", "OIDC issuer of the signers (default: the embedded Sigstore)")
    identity_token: str = _setting(
        "SLIPWAY_IDENTITY_TOKEN", "'ambient', or a token file; {role} in its path is build, sign or promote"
    )
    openpgp_home: str = _setting("SLIPWAY_OPENPGP_HOME", "GNUPGHOME that holds the RPM signing key")
    openpgp_key: str = _setting("SLIPWAY_OPENPGP_KEY", "fingerprint of your own key, whose agent is left running")
    webhook_secret_file: str = _setting("SLIPWAY_WEBHOOK_SECRET_FILE", "file with the webhook secret")
    registry_port: int = _port("SLIPWAY_REGISTRY_PORT", "loopback port of the embedded registry")
    web_port: int = _port("SLIPWAY_WEB_PORT", "loopback port of the receiver, the gateway and the page")
    prefect_port: int = _port("SLIPWAY_PREFECT_PORT", "loopback port of the embedded Prefect server")
    sigstore_port: int = _port("SLIPWAY_SIGSTORE_PORT", "loopback port of the embedded Sigstore")
    jobs: int = _port("SLIPWAY_JOBS", "packages built at the same time")
    poll_seconds: int = _port("SLIPWAY_POLL_SECONDS", "how often lost events are looked for, in seconds")

    @property
    def folder(self) -> Path:
        """The state folder as a path."""
        return Path(self.state)

    @property
    def embedded_registry(self) -> bool:
        """Whether the registry is the one that `slipway up` starts."""
        return self.registry == f"http://127.0.0.1:{self.registry_port}"

    @property
    def embedded_prefect(self) -> bool:
        """Whether the Prefect server is the one that `slipway up` starts."""
        return self.prefect_api == f"http://127.0.0.1:{self.prefect_port}/api"

    @property
    def embedded_trust(self) -> bool:
        """Whether signatures come from the embedded Sigstore, which production channels refuse."""
        return self.trust == "embedded"

    @property
    def sigstore_url(self) -> str:
        """Where the embedded Sigstore answers."""
        return f"http://127.0.0.1:{self.sigstore_port}"

    @property
    def repository_name(self) -> str:
        """How events name the repository: `owner/name` of a forge's URL, the folder's name of a path."""
        remote = _SCP.match(self.repository)  # git@host:owner/name.git
        path = remote[1] if remote else Path(self.repository).name
        path = urlsplit(self.repository).path if "://" in self.repository else path
        return path.strip("/").removesuffix(".git")

    def to_environment(self) -> dict[str, str]:
        """The same settings as environment variables, for the processes that `slipway up` starts."""
        return {variable: str(value) for variable, value, _ in self.rows()}

    def rows(self) -> Iterator[tuple[str, str | int, str]]:
        """(variable, value, what it means) of every setting, in order."""
        for each in fields(self):
            yield each.metadata["variable"], getattr(self, each.name), each.metadata["help"]


def read_settings(environment: Mapping[str, str] | None = None, *, start: Path | None = None) -> Settings:
    """Settings from the environment. `Misconfigured` names the variable that is wrong.

    `start` is where the search for an existing state folder begins (default: the working directory).
    """
    env = os.environ if environment is None else environment
    unknown = [name for name in env if name.startswith("SLIPWAY_") and name not in _known()]
    if unknown:
        raise Misconfigured(
            f"unknown setting {unknown[0]}", expected=", ".join(sorted(_known())), hint="slipway settings lists them"
        )
    state = Path(env.get("SLIPWAY_STATE") or _find_state(start or Path.cwd())).absolute()
    registry_port = _number(env, "SLIPWAY_REGISTRY_PORT", 5801)
    web_port = _number(env, "SLIPWAY_WEB_PORT", 5802)
    prefect_port = _number(env, "SLIPWAY_PREFECT_PORT", 5803)
    sigstore_port = _number(env, "SLIPWAY_SIGSTORE_PORT", 5804)
    registry = env.get("SLIPWAY_REGISTRY", f"http://127.0.0.1:{registry_port}").rstrip("/")
    return Settings(
        state=str(state),
        repository=env.get("SLIPWAY_REPOSITORY") or str(state / "git" / "distribution.git"),
        registry=registry,
        registry_public=env.get("SLIPWAY_REGISTRY_PUBLIC", registry).rstrip("/"),
        registry_config=env.get("SLIPWAY_REGISTRY_CONFIG", ""),
        web_public=env.get("SLIPWAY_WEB_PUBLIC", f"http://127.0.0.1:{web_port}").rstrip("/"),
        prefect_api=env.get("SLIPWAY_PREFECT_API", f"http://127.0.0.1:{prefect_port}/api").rstrip("/"),
        docker=env.get("DOCKER_HOST", ""),
        trust=env.get("SLIPWAY_TRUST", "embedded"),
        identity=env.get("SLIPWAY_IDENTITY", "https://slipway.example/skiff").rstrip("/"),
        issuer=env.get("SLIPWAY_ISSUER", ""),
        branch=env.get("SLIPWAY_BRANCH", "stable"),
        identity_token=env.get("SLIPWAY_IDENTITY_TOKEN", "ambient"),
        openpgp_home=env.get("SLIPWAY_OPENPGP_HOME") or str(state / "keys" / "openpgp"),
        openpgp_key=env.get("SLIPWAY_OPENPGP_KEY", ""),
        webhook_secret_file=env.get("SLIPWAY_WEBHOOK_SECRET_FILE") or str(state / "keys" / "webhook-secret"),
        registry_port=registry_port,
        web_port=web_port,
        prefect_port=prefect_port,
        sigstore_port=sigstore_port,
        jobs=_number(env, "SLIPWAY_JOBS", max(1, os.cpu_count() or 1)),
        poll_seconds=_number(env, "SLIPWAY_POLL_SECONDS", 60),
    )


def place_of_forecasts(environment: Mapping[str, str] | None = None, *, start: Path | None = None) -> tuple[Path, str]:
    """Where a forecast keeps what it read of specs, and which repository it is about when nobody names one: those of
    the installation where there is one, else the user's cache (XDG Base Directory) and the git repository around
    `start` (default: the working directory). `Misconfigured` where there is neither."""
    env = os.environ if environment is None else environment
    around = start or Path.cwd()
    settings = read_settings(env, start=around)
    if settings.folder.is_dir() and ("://" in settings.repository or Path(settings.repository).exists()):
        return settings.folder, settings.repository
    home = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or "/nonexistent") / ".cache")
    folder = next((each for each in (around, *around.parents) if _is_repository(each)), None)
    return home / "slipway", env.get("SLIPWAY_REPOSITORY") or (str(folder.absolute()) if folder else "")


def _is_repository(folder: Path) -> bool:
    """A work tree, or a bare repository (gitrepository-layout(5))."""
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def prefect_environment(settings: Settings) -> dict[str, str]:
    """What every process that speaks to Prefect needs: the API, no telemetry, no ephemeral server that loses runs."""
    home = settings.folder / "prefect"
    return {
        "PREFECT_API_URL": settings.prefect_api,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # a commit that waits for the one before it would otherwise sleep up to 30 s after that one has ended
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_CLI_COLORS": "false",
    }


def person_environment() -> dict[str, str]:
    """The environment of the person at the terminal, for programs that act as that person (the demo's consumer)."""
    return dict(os.environ)


def use_prefect(settings: Settings) -> None:
    """Put Prefect's settings into this process's environment; before prefect is imported, which reads them once."""
    (settings.folder / "prefect").mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.update(prefect_environment(settings))


def _known() -> frozenset[str]:
    return frozenset(each.metadata["variable"] for each in fields(Settings))


def _number(env: Mapping[str, str], variable: str, default: int) -> int:
    text = env.get(variable) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise Misconfigured(f"{variable} is not a positive whole number", got=text, expected=f"for example {default}")
    return int(text)


def _find_state(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / STATE_FOLDER).is_dir():
            return folder / STATE_FOLDER / "state"
    return start / STATE_FOLDER / "state"
