"""Reads a page as a browser's parser and a screen reader would, as far as the tests need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "hr", "rect"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A start tag with its attributes, and the tags around it."""

    tag: str
    attributes: Mapping[str, str]
    inside: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name, "")


class PageReader(HTMLParser):
    """`elements` in order and `text` of a page; a tag that is not closed in order is an error."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"an attribute given twice in {tag}"
        self.elements.append(Element(tag=tag, attributes=attributes, inside=tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        opened = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[Element]:
        """Every element of a tag."""
        return [element for element in self.elements if element.tag == tag]

    @property
    def words(self) -> str:
        """The text with white space as a reader sees it."""
        return " ".join(self.text.split())
