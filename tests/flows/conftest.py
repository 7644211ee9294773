"""Installations that the modules of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.at_sea import AtSea, at_sea


@pytest.fixture(scope="session")
def sea(tmp_path_factory: pytest.TempPathFactory, docker_url: str, prefect_api: str) -> Iterator[AtSea]:
    """Sea Linux with its first release. Each test leaves it able to make the next one."""
    with at_sea(tmp_path_factory.mktemp("sea"), docker_url=docker_url, prefect_api=prefect_api) as made:
        yield made


@pytest.fixture
def at_anchor(sea: AtSea) -> Iterator[AtSea]:
    """Sea Linux for a test that adds packages of its own: its tree is after it what it was before."""
    head = sea.world.head()
    yield sea
    sea.world.back_to(head)
