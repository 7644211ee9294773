"""Settings: one file reads the environment, every variable is known, and what is set reaches every process."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from release.errors import Misconfigured
from tasks.settings import Settings, prefect_environment, read_settings


def test_the_defaults_are_one_folder_on_loopback(tmp_path: Path) -> None:
    settings = read_settings({}, start=tmp_path)
    assert settings.state == str(tmp_path / ".slipway" / "state")
    assert settings.registry == settings.registry_public == "http://127.0.0.1:5801"
    assert settings.embedded_registry and settings.embedded_prefect and settings.embedded_trust
    assert settings.repository == f"{settings.state}/git/distribution.git"
    assert settings.repository_name == "distribution"


def test_a_state_folder_above_is_found(tmp_path: Path) -> None:
    (tmp_path / ".slipway").mkdir()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert read_settings({}, start=below).state == str(tmp_path / ".slipway" / "state")


def test_what_is_set_comes_back_in_another_process() -> None:
    given = {
        "SLIPWAY_STATE": "/srv/state", "SLIPWAY_REGISTRY": "https://registry.example/", "SLIPWAY_JOBS": "7",
        "SLIPWAY_TRUST": "/etc/trust.json", "DOCKER_HOST": "unix:///x.sock",
    }  # fmt: skip
    settings = read_settings(given)
    assert read_settings(settings.to_environment()) == settings
    assert settings.registry == settings.registry_public == "https://registry.example"
    assert not (settings.embedded_registry or settings.embedded_trust)


def test_every_setting_names_its_variable_and_what_it_means() -> None:
    rows = list(read_settings({"SLIPWAY_STATE": "/x"}).rows())
    assert len({variable for variable, _, _ in rows}) == len(fields(Settings))
    assert all(len(text) > 15 for _, _, text in rows)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "²"])
def test_a_number_that_is_none_is_refused_by_name(value: str) -> None:
    with pytest.raises(Misconfigured, match="SLIPWAY_JOBS is not a positive whole number") as caught:
        read_settings({"SLIPWAY_STATE": "/x", "SLIPWAY_JOBS": value})
    assert caught.value.got == value


def test_an_unknown_setting_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(Misconfigured, match="unknown setting SLIPWAY_REGISTRI"):
        read_settings({"SLIPWAY_REGISTRI": "x"})
    assert read_settings({"SLIPWAY_STATE": "/x", "SLIPWAYS": "not ours"}).state == "/x"


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("/srv/git/distribution.git", "distribution"),
        ("https://forge.example/skiff/distribution.git", "skiff/distribution"),
        ("ssh://git@forge.example/skiff/distribution", "skiff/distribution"),
        ("git@forge.example:skiff/distribution.git", "skiff/distribution"),
    ],
)
def test_events_name_a_repository_as_its_forge_does(repository: str, name: str) -> None:
    assert read_settings({"SLIPWAY_STATE": "/x", "SLIPWAY_REPOSITORY": repository}).repository_name == name


def test_prefect_tells_nobody_and_starts_no_server_of_its_own() -> None:
    environment = prefect_environment(read_settings({"SLIPWAY_STATE": "/x"}))
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:5803/api"
