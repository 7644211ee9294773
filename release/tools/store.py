"""The local blobs: a folder of files named by their sha256, shared by every room that makes or reads them.

Layout: `<folder>/sha256/ab/abcdef...` (64 hex digits), files read-only; `<folder>/incoming` holds what is not
verified yet. A name appears by one atomic link after its content was hashed and flushed, so a torn file never
has a digest. Several threads and processes may write at once: they can only ever make the same file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from release.digests import checked, digest_of, hex_of
from release.errors import Broken, Refused

CHUNK_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Store:
    """Content-addressed files below `folder`, which is made when it is missing. Every OSError becomes `Broken`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        with disk_errors(folder):
            self._incoming.mkdir(parents=True, exist_ok=True)

    def path_of(self, digest: str) -> Path:
        """Where the file of a digest is, or would be: a good target for `Registry.pull_blob_to`."""
        name = hex_of(digest)
        return self._folder / "sha256" / name[:2] / name

    def has(self, digest: str) -> bool:
        """Whether the file is here. Names appear only after verification, so its content is not read again."""
        return self.path_of(digest).is_file()

    def put_bytes(self, content: bytes) -> str:
        """Keep bytes; their digest."""
        with self._receiving() as (file, part):
            file.write(content)
            return self._keep(file, part, digest_of(content))

    def put_file(self, path: Path, *, expected: str | None = None) -> str:
        """Keep a copy of a file; its digest. `Refused` when it is not the `expected` one.

        The bytes that were hashed are the bytes that are kept. A hard link would not promise that: whoever holds
        the original can still write into it, as rpmsign does when a signature fits into the reserved space.
        """
        with self._receiving() as (file, part):
            with path.open("rb") as source:
                digest = _copy_hashing(source, file)
            _expect(digest, expected, path)
            return self._keep(file, part, digest)

    def take_file(self, path: Path, *, expected: str | None = None) -> str:
        """Keep a file that its maker gives up, without copying; its digest. The path is gone afterwards.

        `Refused`, with the file left in place, when it is not the `expected` one. Falls back to a copy when the
        file lives on another file system.
        """
        with disk_errors(self._folder), path.open("rb") as file:
            digest = _digest_of_open(file)
            _expect(digest, expected, path)
            try:
                self._keep(file, path, digest)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self.put_file(path, expected=digest)
            path.unlink()
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes of a file that is here and small enough for memory, hashed again before they are used."""
        path = self.existing(digest)
        with disk_errors(path):
            content = path.read_bytes()
        _expect(digest_of(content), digest, path)
        return content

    def link(self, digest: str, target: Path) -> None:
        """Show a file under another name for *reading*: a hard link, or a copy on another file system."""
        link_or_copy(self.existing(digest), target)

    def copy(self, digest: str, target: Path) -> None:
        """A copy that its owner may change, as a signer changes RPM files."""
        with disk_errors(target):
            shutil.copyfile(self.existing(digest), target)

    def existing(self, digest: str) -> Path:
        """The path of a file that is here; `Broken` when it is not."""
        path = self.path_of(digest)
        if not path.is_file():
            raise Broken("a blob is not in the local store", where=str(path), hint="pull it from the registry first")
        return path

    @contextmanager
    def _receiving(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A fresh file that only this call knows; gone afterwards, whatever happened."""
        with disk_errors(self._folder):
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
            part = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file, part
            finally:
                part.unlink(missing_ok=True)

    def _keep(self, file: BinaryIO, part: Path, digest: str) -> str:
        """Flush, then let the name appear: a link fails where a rename would replace, so the first one stays."""
        file.flush()
        os.fsync(file.fileno())
        part.chmod(0o444)
        target = self.path_of(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            target.hardlink_to(part)
        return digest


def digest_of_file(path: Path) -> str:
    """Digest of a file's content, read once."""
    with disk_errors(path), path.open("rb") as file:
        return _digest_of_open(file)


def _digest_of_open(file: BufferedReader) -> str:
    return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def link_or_copy(source: Path, target: Path) -> None:
    """Show a file under another name for reading, replacing what is there: a copy only where a link is impossible."""
    with disk_errors(target):
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(source)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            shutil.copyfile(source, target)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn an OSError of the block into `Broken` that names the path; a full disk is named as such."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise Broken(
            "the disk is full" if full else f"the disk failed: {error.strerror or error}",
            where=str(error.filename or where),
            hint=f"free some space below {where} and run it again" if full else None,
        ) from error


def _copy_hashing(source: BinaryIO, target: BinaryIO) -> str:
    hasher = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        hasher.update(chunk)
        target.write(chunk)
    return f"sha256:{hasher.hexdigest()}"


def _expect(digest: str, expected: str | None, path: Path) -> None:
    if expected is not None and digest != checked(expected):
        raise Refused("a file does not have its digest", where=str(path), got=digest, expected=expected)
