"""The Merkle tree of RFC 6962 (section 2.1): roots and inclusion proofs over leaf hashes that are only appended."""

from __future__ import annotations

import hashlib


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: the prefix keeps a leaf from being taken for a node."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree. `_levels[k]` holds the roots of the complete subtrees of 2^k leaves: nothing is hashed twice."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash and complete the subtrees that it completes."""
        self._levels[0].append(leaf)
        level = 0
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            left, right = self._levels[level][-2:]
            self._levels[level + 1].append(node_hash(left, right))
            level += 1

    def root(self) -> bytes:
        """Root of the whole tree; of an empty one the hash of nothing."""
        return self._root(0, len(self)) if len(self) else hashlib.sha256(b"").digest()

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """The sibling hashes from the leaf `index` up to the root of the whole tree."""
        return tuple(self._path(index, 0, len(self)))

    def _root(self, first: int, end: int) -> bytes:
        size = end - first
        if size & (size - 1) == 0:
            level = size.bit_length() - 1
            return self._levels[level][first >> level]
        split = first + _split(size)
        return node_hash(self._root(first, split), self._root(split, end))

    def _path(self, index: int, first: int, end: int) -> list[bytes]:
        if end - first == 1:
            return []
        split = first + _split(end - first)
        if index < split:
            return [*self._path(index, first, split), self._root(split, end)]
        return [*self._path(index, split, end), self._root(first, split)]


def _split(size: int) -> int:
    """The largest power of two below `size` (RFC 6962, section 2.1)."""
    return 1 << ((size - 1).bit_length() - 1)
