"""How one member of a tar archive is spelled: a plain ustar header, and PAX records only where ustar cannot say it.

Source: POSIX.1-2017, pax(1), "ustar Interchange Format" and "pax Extended Header". Extended attributes go under
the SCHILY.xattr. prefix, which GNU tar, Go's archive/tar and so every container engine read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

BLOCK = 512
END_OF_ARCHIVE = bytes(2 * BLOCK)
_NAME, _PREFIX, _LINK = 100, 155, 100  # bytes in the header's fields
_ID_LIMIT = 1 << 21  # seven octal digits
_SIZE_LIMIT = 1 << 33  # eleven octal digits


class Kind(Enum):
    """The typeflags of POSIX, and `x` for the PAX records of the member that follows."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    FOLDER = b"5"
    FIFO = b"6"
    PAX = b"x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What the archive says of one file. Names are bytes, relative, and a folder's ends in a slash.

    `size` is in bytes and zero but for files; `mtime` in whole seconds since 1970; `device` is (major, minor);
    `xattrs` maps full attribute names to values.
    """

    name: bytes
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)


def encode(member: Member) -> bytes:
    """The header blocks of a member: one ustar block, preceded by PAX blocks where it does not suffice."""
    split = _split(member.name)
    records = _records(member, name_fits=split is not None)
    prefix, name = split or (b"", member.name[:_NAME])
    return (_pax(records) if records else b"") + _ustar(member, prefix=prefix, name=name)


def padding(size: int) -> bytes:
    """The zeros that fill a file's last block."""
    return bytes(-size % BLOCK)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """A name as the header's (prefix, name), cut at a slash; None when no cut makes both fit."""
    if len(name) <= _NAME:
        return b"", name
    cut = name.rfind(b"/", 0, min(_PREFIX + 1, len(name) - 1))
    if cut <= 0 or len(name) - cut - 1 > _NAME:
        return None
    return name[:cut], name[cut + 1 :]


def _records(member: Member, *, name_fits: bool) -> dict[bytes, bytes]:
    records = {b"SCHILY.xattr." + key: value for key, value in sorted(member.xattrs.items())}
    if not name_fits:
        records[b"path"] = member.name
    if len(member.link) > _LINK:
        records[b"linkpath"] = member.link
    for key, value, limit in (
        (b"uid", member.uid, _ID_LIMIT),
        (b"gid", member.gid, _ID_LIMIT),
        (b"size", member.size, _SIZE_LIMIT),
        (b"mtime", member.mtime, _SIZE_LIMIT),
    ):
        if not 0 <= value < limit:
            records[key] = b"%d" % value
    return records


def _pax(records: Mapping[bytes, bytes]) -> bytes:
    content = b"".join(_record(key, records[key]) for key in sorted(records))
    header = Member(name=b"pax", kind=Kind.PAX, mode=0o644, size=len(content))
    return _ustar(header, prefix=b"", name=header.name) + content + padding(len(content))


def _record(key: bytes, value: bytes) -> bytes:
    """`<length> <key>=<value>\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(member: Member, *, prefix: bytes, name: bytes) -> bytes:
    """One header block. Numbers that a PAX record carries are zero here; owners have no names, only numbers."""
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:108] = b"%07o\0" % member.mode
    block[108:116] = b"%07o\0" % _fitting(member.uid, _ID_LIMIT)
    block[116:124] = b"%07o\0" % _fitting(member.gid, _ID_LIMIT)
    block[124:136] = b"%011o\0" % _fitting(member.size, _SIZE_LIMIT)
    block[136:148] = b"%011o\0" % _fitting(member.mtime, _SIZE_LIMIT)
    block[148:156] = b" " * 8  # the checksum counts itself as spaces
    block[156:157] = member.kind.value
    link = member.link[:_LINK]
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[329:345] = b"%07o\0%07o\0" % member.device
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _fitting(value: int, limit: int) -> int:
    return value if 0 <= value < limit else 0
