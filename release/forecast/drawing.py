"""The graph as a picture: an SVG of clusters by level, in which a change and its way are seen at once at any size.

One self-contained file: no script, no font, colours for light and dark. Edges are drawn only where they tell
something; all others are words that appear under the pointer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.sax.saxutils import escape

_ROWS = 34  # packages one below the other, before a level takes another column
_FEW = 20
_LINE, _FONT, _LETTER = 15, 11, 6.7
_LONGEST = 22
_LEVEL = 17  # letters of "level 12: 3 of 45"
_PAD, _GAP, _TOP, _HEAD = 14, 22, 54, 18
_SHAPE = 2.6  # how much wider than high, of the packages alone: levels leave room, so that the whole is about 16:10
_LEAST = 640.0
_STYLE = """
svg{background:#fff;color-scheme:light dark;font:11px ui-monospace,Menlo,Consolas,monospace}
text{fill:#6e7781}.h{fill:#1f2328;font-size:16px;font-weight:600}.s,.l{fill:#59636e}.l{font-weight:600}
.b{fill:#f6f8fa;stroke:#d8dee4}.r{fill:none}.changed .r{fill:#cf222e}.way .r{fill:#fff1e5;stroke:#bc4c00}
.near text{fill:#bc4c00}.far text{fill:#7d5a14}.way text{fill:#8a3800;font-weight:700}
.changed text{fill:#fff;font-weight:700}
.n:hover .r{stroke:#0969da;stroke-width:1.5}.e{fill:none;stroke:#bc4c00;stroke-width:1.6;opacity:.8}
.thin{stroke:#afb8c1;stroke-width:1}.e:hover{stroke:#0969da;opacity:1}
@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#6e7681}.h{fill:#f0f6fc}.s,.l{fill:#9198a1}
.b{fill:#151b23;stroke:#2b323b}.changed .r{fill:#da3633}.way .r{fill:#3d1f0a;stroke:#db6d28}.near text{fill:#f0883e}
.far text{fill:#c69026}.way text{fill:#ffa657}.changed text{fill:#fff}.e{stroke:#f0883e}.thin{stroke:#3d444d}}
"""


class Mark(StrEnum):
    """How a package is drawn: the changed one, on the way that is drawn, next to a changed one, further, or not
    affected at all."""

    CHANGED = "changed"
    WAY = "way"
    NEAR = "near"
    FAR = "far"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One package. `level` is its column; `words` appear under the pointer."""

    name: str
    level: int
    mark: Mark = Mark.NONE
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A line from a package to one that needs it; a `thin` one is not on the way. `words` appear under the pointer."""

    start: str
    end: str
    words: str = ""
    thin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def draw(title: str, subtitles: Sequence[str], nodes: Sequence[Node], edges: Iterable[Edge] = ()) -> str:
    """The picture. Packages stand in clusters by level, those that are marked first, then by name; edges go between
    packages that are drawn."""
    levels = _levels(nodes)
    width = max([_LEVEL, *(len(_short(node.name)) for node in nodes)]) * _LETTER + _PAD
    rows = _FEW if len(nodes) <= 4 * _FEW else _ROWS
    limit = max(_LEAST, (_SHAPE * len(nodes) * width * _LINE) ** 0.5)
    boxes: dict[str, _Box] = {}
    parts: list[str] = []
    top = float(_TOP + _LINE * (len(subtitles) - 1))
    right, bottom = 0.0, top
    for (number, column), frame in zip(levels, _frames(levels, top, width, rows, limit), strict=True):
        parts += _level(number, column, frame)
        for index, node in enumerate(column):
            x, y = frame.x + index // rows * width, frame.y + _HEAD + index % rows * _LINE
            boxes[node.name] = _Box(x=x, y=y, width=width, height=_LINE)
        right, bottom = max(right, frame.x + frame.width), max(bottom, frame.y + frame.height)
    wide = max([right, len(title) * _LETTER * 1.6, *(len(each) * _LETTER + _PAD for each in subtitles)]) + _PAD
    lines = [_edge(each, boxes) for each in edges if each.start in boxes and each.end in boxes]
    return "\n".join(
        [*_head(title, subtitles, wide, bottom + _PAD), *parts, *lines, *_nodes(levels, boxes), "</svg>", ""]
    )


def _frames(
    levels: Sequence[tuple[int, list[Node]]], top: float, width: float, rows: int, limit: float
) -> Iterator[_Box]:
    """Where the levels stand: from left to right on shelves; in a large picture small ones one below the other."""
    x, shelf, y = float(_PAD), top, top
    tall = rows * _LINE + _HEAD
    before = 0.0
    for _, column in levels:
        wide = -(-len(column) // rows) * width
        high = min(rows, len(column)) * _LINE + _HEAD
        if rows == _ROWS and before == wide == width and y + high <= shelf + tall:
            yield _Box(x=x, y=y, width=wide, height=high)
        else:
            x += before + _GAP if before else 0
            if before and x + wide > limit:
                x, shelf = float(_PAD), shelf + tall + _GAP
            y, before = shelf, wide
            yield _Box(x=x, y=y, width=wide, height=high)
        y += high + _GAP


def _levels(nodes: Iterable[Node]) -> list[tuple[int, list[Node]]]:
    found: dict[int, list[Node]] = {}
    order = list(Mark)
    for node in sorted(nodes, key=lambda each: (order.index(each.mark), each.name)):
        found.setdefault(node.level, []).append(node)
    return sorted(found.items())


def _head(title: str, subtitles: Iterable[str], width: float, height: float) -> Iterator[str]:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>{_text(title)}</title><style>{_STYLE}</style>"
    yield f'<text class="h" x="{_PAD}" y="24">{_text(title)}</text>'
    for number, subtitle in enumerate(subtitles):
        yield f'<text class="s" x="{_PAD}" y="{42 + number * _LINE}">{_text(subtitle)}</text>'


def _level(number: int, column: Collection[Node], frame: _Box) -> Iterator[str]:
    marked = sum(node.mark is not Mark.NONE for node in column)
    count = f"{marked} of {len(column)}" if marked not in (0, len(column)) else f"{len(column)}"
    size = f'width="{frame.width + 2:.0f}" height="{frame.height + 4:.0f}"'
    yield f'<rect class="b" x="{frame.x - 4:.0f}" y="{frame.y - 2:.0f}" {size} rx="6"/>'
    yield f'<text class="l" x="{frame.x:.0f}" y="{frame.y + 11:.0f}">level {number + 1}: {count}</text>'


def _nodes(levels: Iterable[tuple[int, list[Node]]], boxes: Mapping[str, _Box]) -> Iterator[str]:
    for node in (node for _, column in levels for node in column):
        box = boxes[node.name]
        words = f"{node.name}\n{node.words}" if node.words else node.name
        width = len(_short(node.name)) * _LETTER + 8
        yield (
            f'<g class="n {node.mark}"><title>{_text(words)}</title>'
            f'<rect class="r" x="{box.x:.0f}" y="{box.y:.0f}" width="{width:.0f}" height="{_LINE - 1}" rx="3"/>'
            f'<text x="{box.x + 4:.0f}" y="{box.y + _FONT:.0f}">{_text(_short(node.name))}</text></g>'
        )


def _edge(edge: Edge, boxes: Mapping[str, _Box]) -> str:
    """From the right end of the one that is needed to the left end of the one that needs it, also back or within a
    column, which happens in a knot."""
    one, two = boxes[edge.start], boxes[edge.end]
    x1, y1 = one.x + len(_short(edge.start)) * _LETTER + 8, one.y + _LINE / 2
    x2, y2 = two.x, two.y + _LINE / 2
    bend = max(24.0, abs(x2 - x1) / 2)
    path = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    words = f"<title>{_text(edge.words)}</title>" if edge.words else ""
    return f'<path class="e{" thin" if edge.thin else ""}" d="{path}">{words}</path>'


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _text(words: str) -> str:
    """As XML text; signs that XML does not have are left out."""
    return escape("".join(each for each in words if each >= " " or each == "\n"))
