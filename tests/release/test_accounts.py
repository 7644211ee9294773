"""Users and groups without useradd: lines that every libc reads, and no account that collides with another."""

from __future__ import annotations

import pytest

from release.errors import Refused
from release.product.accounts import ROOT_GROUP, ROOT_PASSWD, Accounts, Group, Home, User

EMPTY = Accounts(passwd=ROOT_PASSWD, group=ROOT_GROUP)
FULL = Accounts(
    passwd="root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/:/sbin/nologin\n",
    group="root:x:0:\ndaemon:x:1:\nwheel:x:10:daemon\n",
)


def test_a_user_brings_a_group_of_its_own() -> None:
    after = EMPTY.with_users([User(name="nonroot", uid=65532)])
    assert after == Accounts(
        passwd=ROOT_PASSWD + "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
        group=ROOT_GROUP + "nonroot:x:65532:\n",
        homes=(Home(path="/home/nonroot", uid=65532, gid=65532),),
    )


def test_a_user_can_belong_to_groups_of_the_image() -> None:
    user = User(
        name="app", uid=1000, primary_group="daemon", secondary_groups=("wheel",),
        home_directory="/srv/app", startup_command="/bin/bash",
    )  # fmt: skip
    after = FULL.with_users([user])
    assert after.passwd.splitlines()[-1] == "app:x:1000:1:app:/srv/app:/bin/bash"
    assert after.group == "root:x:0:\ndaemon:x:1:\nwheel:x:10:daemon,app\n"


def test_a_user_can_belong_to_a_group_of_the_definition() -> None:
    after = EMPTY.with_groups([Group(name="app", gid=500)]).with_users([User(name="a", uid=1, primary_group="app")])
    assert after.passwd.splitlines()[-1].startswith("a:x:1:500:")


def test_what_is_there_already_is_left_alone() -> None:
    again = FULL.with_groups([Group(name="wheel", gid=10)]).with_users([User(name="daemon", uid=1)])
    assert (again.passwd, again.group) == (FULL.passwd, FULL.group)


def test_a_user_that_is_there_still_gets_the_home_that_a_definition_names() -> None:
    again = FULL.with_users([User(name="daemon", uid=1, home_directory="/srv/daemon")])
    assert again.homes == (Home(path="/srv/daemon", uid=1, gid=1),)


@pytest.mark.parametrize(
    "user", [User(name="daemon", uid=2), User(name="other", uid=1), User(name="root", uid=5), User(name="zero", uid=0)]
)
def test_refuses_a_name_or_a_number_that_is_taken(user: User) -> None:
    with pytest.raises(Refused, match="there already"):
        FULL.with_users([user])


@pytest.mark.parametrize("group", [Group(name="wheel", gid=11), Group(name="sudo", gid=10), Group(name="null", gid=0)])
def test_refuses_a_group_that_is_taken(group: Group) -> None:
    with pytest.raises(Refused, match="a group is there already"):
        FULL.with_groups([group])


@pytest.mark.parametrize(
    "user", [User(name="a", uid=5, primary_group="nope"), User(name="a", uid=5, secondary_groups=("nope",))]
)
def test_refuses_a_group_that_nobody_made(user: User) -> None:
    with pytest.raises(Refused, match="unknown group") as caught:
        FULL.with_users([user])
    assert caught.value.got == "nope"
