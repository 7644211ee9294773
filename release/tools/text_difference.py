"""Two texts, line by line, and two heaps of bytes by the words in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import islice

_CONTEXT = 2
_COMPARED_LINES = 2000  # difflib is quadratic in what differs
_STRING = re.compile(rb"[\x20-\x7e\t]{6,}")
_STRINGS_BYTES = 32 << 20
_STRINGS = 8


def text_difference(before: str, after: str) -> Iterator[str]:
    """The lines that differ with a little around them, as `diff -u` writes them, without its first two lines."""
    one, two = before.splitlines(), after.splitlines()
    start = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    start = max(0, start - _CONTEXT)
    old, new = (side[start : start + _COMPARED_LINES] for side in (one, two))
    found = difflib.unified_diff(old, new, lineterm="", n=_CONTEXT)
    yield from (_moved(line, start) for line in islice(found, 2, None))


def _moved(line: str, by: int) -> str:
    """The numbers in a heading count from the start of the file."""
    if not line.startswith("@@ "):
        return line
    return re.sub(r"(?<=[-+])\d+", lambda found: str(int(found[0]) + by), line)


def strings_difference(before: memoryview, after: memoryview) -> Iterator[str]:
    """Printable strings that only one side has, as `strings` would find them."""
    one, two = _strings(before), _strings(after)
    for sign, have, lack in (("-", one, two), ("+", two, one)):
        yield from islice((f'{sign}"{text}"' for text in have if text not in lack), _STRINGS)


def _strings(content: memoryview) -> dict[str, None]:
    return dict.fromkeys(found[0].decode() for found in _STRING.finditer(content[:_STRINGS_BYTES]))
