"""Tags follow a pointer: nothing before its packages, nothing unproven, nothing left where git does not say so."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from release.channel.channels import Channel
from release.channel.tags import Drift, Move, alias_moves, channel_moves, drift, refuse_unproven
from release.errors import Refused
from release.product.aliases import ReleaseRef
from release.product.releases import Release
from tests.release.promotion_world import digest, image, move, release

RELEASES = "skiff/releases"


def pointer(to: Release) -> Channel:
    return move(Channel(channel="stable"), ReleaseRef(digest=to.digest, alias="R-20261122.1"))


def test_every_part_of_a_release_gets_the_channels_tag() -> None:
    made = release()
    moves = channel_moves(pointer(made), made, releases_repository=RELEASES)
    assert moves == (
        Move(repository="skiff/rpms", tag="stable", digest=digest("snapshot")),
        Move(repository="skiff/base", tag="stable", digest=digest("base")),
        Move(repository="skiff/distroless", tag="stable", digest=digest("distroless")),
        Move(repository=RELEASES, tag="stable", digest=made.digest),
    )


def test_packages_move_before_images_and_the_release_last() -> None:
    made = release(images=(image("a"), image("z")))
    moved = [each.repository for each in channel_moves(pointer(made), made, releases_repository=RELEASES)]
    assert moved[0] == "skiff/rpms"
    assert moved[-1] == RELEASES
    assert all(one <= other for one, other in pairwise(moved[1:-1]))


def test_the_alias_goes_to_the_same_places() -> None:
    made = release()
    moves = alias_moves(made, alias="R-20261122.1", releases_repository=RELEASES)
    assert {each.tag for each in moves} == {"R-20261122.1"}
    by_channel = channel_moves(pointer(made), made, releases_repository=RELEASES)
    assert [each.digest for each in moves] == [each.digest for each in by_channel]


def test_refuses_a_pointer_to_another_release() -> None:
    with pytest.raises(Refused, match="another release"):
        channel_moves(pointer(release()), release(version="2.0"), releases_repository=RELEASES)


def test_refuses_a_channel_that_points_nowhere() -> None:
    with pytest.raises(Refused, match="another release"):
        channel_moves(Channel(channel="stable"), release(), releases_repository=RELEASES)


@pytest.mark.parametrize("shared", ["skiff/rpms", RELEASES])
def test_refuses_two_things_under_one_tag(shared: str) -> None:
    made = release(images=(replace(image("base"), repository=shared),))
    with pytest.raises(Refused, match="share a tag"):
        alias_moves(made, alias="R-20261122.1", releases_repository=RELEASES)


def test_no_drift_where_the_registry_says_what_git_says() -> None:
    made = release()
    moves = channel_moves(pointer(made), made, releases_repository=RELEASES)
    assert drift(moves, {(each.repository, each.tag): each.digest for each in moves}) == ()


def test_a_moved_and_a_missing_tag_are_put_back_in_order() -> None:
    made = release()
    moves = channel_moves(pointer(made), made, releases_repository=RELEASES)
    facts: dict[tuple[str, str], str | None] = {(each.repository, each.tag): each.digest for each in moves}
    facts["skiff/base", "stable"] = digest("evil")
    facts["skiff/rpms", "stable"] = None
    found = drift(moves, facts)
    assert found == (Drift(move=moves[0], got=None), Drift(move=moves[1], got=digest("evil")))
    assert found[0].message() == f"skiff/rpms:stable is missing, git says {digest('snapshot')}"
    assert digest("evil") in found[1].message()


def test_a_tag_that_nobody_looked_up_is_not_in_order() -> None:
    made = release()
    moves = channel_moves(pointer(made), made, releases_repository=RELEASES)
    with pytest.raises(Refused, match="not looked up") as caught:
        drift(moves, {})
    assert caught.value.where == "skiff/rpms:stable"


def test_no_tag_names_an_unproven_digest() -> None:
    made = release()
    moves = channel_moves(pointer(made), made, releases_repository=RELEASES)
    proven = {each.digest for each in moves}
    refuse_unproven(moves, proven=proven)
    with pytest.raises(Refused, match="unproven") as caught:
        refuse_unproven(moves, proven=proven - {digest("distroless")})
    assert caught.value.where == "skiff/distroless:stable"
    with pytest.raises(Refused, match="unproven"):
        refuse_unproven(moves, proven=())
