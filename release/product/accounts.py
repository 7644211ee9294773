"""Users and groups of an image: the lines of passwd(5) and group(5), added without a tool inside the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from release.errors import Refused

ROOT_PASSWD = "root:x:0:0:root:/root:/sbin/nologin\n"  # noqa: S105 - a line of /etc/passwd that holds no password
ROOT_GROUP = "root:x:0:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group by name and number."""

    name: str
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user that cannot log in: no password is ever set. Without `primary_group`, a group of its own name and number.

    `startup_command` is the login shell; `home_directory` is `/home/<name>` when nobody says otherwise.
    """

    name: str
    uid: int
    primary_group: str | None = None
    secondary_groups: tuple[str, ...] = ()
    home_directory: str | None = None
    startup_command: str = "/sbin/nologin"

    @property
    def home(self) -> str:
        """The home folder's path in the image."""
        return self.home_directory or f"/home/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A folder to make for a user: path and the numbers of its owner."""

    path: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The complete texts of /etc/passwd and /etc/group, and the homes of the users that were added."""

    passwd: str
    group: str
    homes: tuple[Home, ...] = ()

    def with_groups(self, groups: Iterable[Group]) -> Accounts:
        """Add groups. `Refused` when a name or number is taken by another; an equal group is not added twice."""
        text = self.group
        for group in groups:
            taken = {line[0]: int(line[2]) for line in _lines(text)}
            if taken.get(group.name) == group.gid:
                continue
            _refuse_taken(group.name, group.gid, taken, what="group")
            text += f"{group.name}:x:{group.gid}:\n"
        return Accounts(passwd=self.passwd, group=text, homes=self.homes)

    def with_users(self, users: Iterable[User]) -> Accounts:
        """Add users with their groups. `Refused` for a name or number that is taken and for an unknown group; a user
        that is there with the same number keeps its package's lines, and gets the home that the definition wants."""
        accounts = self
        for user in users:
            accounts = accounts._with_user(user)
        return accounts

    def _with_user(self, user: User) -> Accounts:
        taken = {line[0]: int(line[2]) for line in _lines(self.passwd)}
        if taken.get(user.name) == user.uid:
            return self._with_home(user)
        _refuse_taken(user.name, user.uid, taken, what="user")
        own = () if user.primary_group else (Group(name=user.name, gid=user.uid),)
        group = self.with_groups(own).group
        gid = _gid(group, user.primary_group or user.name)
        line = f"{user.name}:x:{user.uid}:{gid}:{user.name}:{user.home}:{user.startup_command}\n"
        grown = Accounts(passwd=self.passwd + line, group=_with_member(group, user), homes=self.homes)
        return grown._with_home(user)

    def _with_home(self, user: User) -> Accounts:
        gid = next(int(line[3]) for line in _lines(self.passwd) if line[0] == user.name)
        home = Home(path=user.home, uid=user.uid, gid=gid)
        return Accounts(passwd=self.passwd, group=self.group, homes=(*self.homes, home))


def _lines(text: str) -> list[list[str]]:
    return [line.split(":") for line in text.splitlines() if line]


def _gid(text: str, name: str) -> int:
    for line in _lines(text):
        if line[0] == name:
            return int(line[2])
    raise Refused("unknown group", got=name, expected="a group of the image, or one of the definition's Groups")


def _with_member(text: str, user: User) -> str:
    for name in user.secondary_groups:
        _gid(text, name)
    lines = _lines(text)
    for line in lines:
        if line[0] in user.secondary_groups:
            line[3] = ",".join([*filter(None, line[3].split(",")), user.name])
    return "".join(f"{':'.join(line)}\n" for line in lines)


def _refuse_taken(name: str, number: int, taken: dict[str, int], *, what: str) -> None:
    owner = next((other for other, used in taken.items() if used == number), None)
    if name in taken or owner:
        raise Refused(
            f"a {what} is there already",
            got=f"{name} with number {number}; the image has {name if name in taken else owner}",
            expected=f"a name and a number that no {what} of the image has",
        )
