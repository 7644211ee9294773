"""The picture of the graph: well formed whatever the names are, every package in it, lines only where they tell."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from release.forecast.drawing import Edge, Mark, Node, draw
from release.forecast.pictures import picture
from release.graph.graph import Graph
from tests.release.test_graph import TOOLCHAIN, package, synthetic

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def groups(root: ElementTree.Element) -> dict[str, str]:
    """Name -> mark of every package that is drawn."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        assert title is not None and title.text
        found[title.text.split("\n")[0]] = group.attrib["class"].split()[1]
    return found


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    rects = [group.find(f"{SVG}rect") for group in root.iter(f"{SVG}g")]
    return [
        (float(r.attrib["x"]), float(r.attrib["y"]), float(r.attrib["width"]), float(r.attrib["height"]))
        for r in rects
        if r is not None
    ]


def small() -> Graph:
    tree = [package("base"), package("lib", "base-devel"), package("tool", "lib-devel"), package("other")]
    return Graph.of(tree, TOOLCHAIN)


def test_marks_the_package_the_way_and_who_else_follows() -> None:
    graph = small()
    root = parsed(picture(graph, "base", graph.followers(["base"]), backwards=True))
    assert groups(root) == {"base": "changed", "lib": "way", "tool": "way", "other": "none"}
    words = [title.text for path in root.iter(f"{SVG}path") for title in path.iter(f"{SVG}title")]
    assert words == ["tool needs lib: BuildRequires lib-devel", "lib needs base: BuildRequires base-devel"]
    text = "".join(root.itertext())
    assert "base and who needs it" in text and "base → lib → tool" in text


def test_draws_what_a_package_needs_and_no_further_than_asked() -> None:
    graph = small()
    root = parsed(picture(graph, "tool", graph.needs("tool"), backwards=False, depth=1))
    assert groups(root) == {"tool": "changed", "lib": "way"}
    assert "tool ← lib" in "".join(root.itertext())


def test_a_package_that_nobody_needs_is_drawn_alone_among_the_others() -> None:
    graph = small()
    root = parsed(picture(graph, "other", graph.followers(["other"]), backwards=True))
    assert groups(root) == {"other": "changed", "base": "none", "lib": "none", "tool": "none"}
    assert not list(root.iter(f"{SVG}path"))


def test_fifteen_hundred_packages_are_all_there_and_none_covers_another() -> None:
    graph = Graph.of(synthetic(1540), TOOLCHAIN)
    text = picture(graph, "package0", graph.followers(["package0"]), backwards=True)
    assert len(text) < 600_000, "light enough for a page"
    root = parsed(text)
    assert len(groups(root)) == 1540
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert 0.5 < width / height < 3
    found = sorted(boxes(root), key=lambda box: (box[1], box[0]))
    for one, two in itertools.pairwise(found):
        if one[1] == two[1]:
            assert one[0] + one[2] <= two[0] + 1, "two names run into each other"
    assert all(x >= 0 and x + w <= width and y >= 0 and y + h <= height for x, y, w, h in found)
    assert len({(box[0], box[1]) for box in found}) == 1540
    lines = [path for path in root.iter(f"{SVG}path") if path.attrib["class"] == "e"]
    assert 0 < len(list(root.iter(f"{SVG}path"))) == len(lines) < 60, "of many, only the way"


def test_nothing_in_a_name_becomes_markup() -> None:
    bad = "<script>alert(1)</script>&\x01"
    root = parsed(draw(bad, [bad], [Node(name=bad, level=0, mark=Mark.CHANGED, words=bad)], [Edge(start=bad, end=bad)]))
    assert not [each for each in root.iter() if each.tag.endswith("script")]


def test_a_line_to_what_is_not_drawn_is_left_out() -> None:
    root = parsed(draw("t", ["s"], [Node(name="a", level=0)], [Edge(start="a", end="b")]))
    assert not list(root.iter(f"{SVG}path"))


def test_an_empty_picture_is_a_picture() -> None:
    assert parsed(draw("t", ["s"], [])).tag == f"{SVG}svg"
