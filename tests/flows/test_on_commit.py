"""A commit becomes a release."""

from __future__ import annotations

import pytest

from tests.world import World

pytestmark = pytest.mark.integration


async def test_the_first(world: World) -> None:
    print(world.note(world.first))
    print(world.checker.tags())
    print(world.builds)
    assert world.checker.unproven() == []
