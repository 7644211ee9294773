"""The graph as a picture: an SVG of columns by level, in which a change and its way are seen at once at any size.

One self-contained file: no script, no font, colours for light and dark. Edges are drawn only where they tell
something; all others are words that appear under the pointer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.sax.saxutils import escape

_ROWS = 60  # packages one below the other, before a level takes another column
_FEW = 24
_LINE, _FONT, _LETTER = 15, 11, 6.3
_LONGEST = 24
_PAD, _GAP, _TOP = 14, 40, 74
_STYLE = """
svg{background:#fff;color-scheme:light dark;font:11px ui-monospace,Menlo,Consolas,monospace}
text{fill:#8a8f98}.h{fill:#1f2328;font-size:16px;font-weight:600}.s,.l{fill:#59636e}.l{font-weight:600}
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


def draw(title: str, subtitle: str, nodes: Sequence[Node], edges: Iterable[Edge] = ()) -> str:
    """The picture. Packages stand in columns by level, those that are marked first, then by name; edges go between
    packages that are drawn."""
    levels = _levels(nodes)
    widest = max((len(_short(node.name)) for node in nodes), default=1)
    width = widest * _LETTER + 2 * _PAD
    rows = _FEW if len(nodes) <= 4 * _FEW else _ROWS
    boxes: dict[str, _Box] = {}
    parts: list[str] = []
    x = float(_PAD)
    for number, column in levels:
        columns = -(-len(column) // rows)
        parts += _level(number, column, x, columns * width, min(rows, len(column)))
        for index, node in enumerate(column):
            boxes[node.name] = _Box(x=x + index // rows * width, y=_TOP + index % rows * _LINE, width=width)
        x += columns * width + _GAP
    height = _TOP + max((min(rows, len(column)) for _, column in levels), default=0) * _LINE + 2 * _PAD
    total = max(x - _GAP + _PAD, (max(len(title) * 1.6, len(subtitle)) * _LETTER) + 2 * _PAD)
    lines = [_edge(each, boxes) for each in edges if each.start in boxes and each.end in boxes]
    return "\n".join([*_head(title, subtitle, total, height), *parts, *lines, *_nodes(levels, boxes), "</svg>", ""])


def _levels(nodes: Iterable[Node]) -> list[tuple[int, list[Node]]]:
    found: dict[int, list[Node]] = {}
    order = list(Mark)
    for node in sorted(nodes, key=lambda each: (order.index(each.mark), each.name)):
        found.setdefault(node.level, []).append(node)
    return sorted(found.items())


def _head(title: str, subtitle: str, width: float, height: float) -> Iterator[str]:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>{_text(title)}</title><style>{_STYLE}</style>"
    yield f'<text class="h" x="{_PAD}" y="24">{_text(title)}</text>'
    yield f'<text class="s" x="{_PAD}" y="42">{_text(subtitle)}</text>'


def _level(number: int, column: Collection[Node], x: float, width: float, rows: int) -> Iterator[str]:
    marked = sum(node.mark is not Mark.NONE for node in column)
    count = f"{marked}/{len(column)}" if marked else f"{len(column)}"
    size = f'width="{width + 4:.0f}" height="{rows * _LINE + 10}"'
    yield f'<rect class="b" x="{x - 4:.0f}" y="{_TOP - 4}" {size} rx="6"/>'
    yield f'<text class="l" x="{x:.0f}" y="{_TOP - 10}">{number + 1}: {count}</text>'


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
