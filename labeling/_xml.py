"""Reads XML into elements that know their line: no document types, no entities of its own, nothing fetched.

`xml.etree` would expand entities that a document declares (a few lines can grow to gigabytes). Here a document type is
refused before anything of it is read, so that only the five entities of XML itself and references by number remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from dataplat.errors import LabelConfigError

_DEPTH: Final = 100  # of elements within elements; real configs have ten


@dataclass(frozen=True, slots=True)
class Element:
    """One element. `text` is what stands in it beside elements and comments, white space folded; `line` is from 1."""

    tag: str
    attributes: Mapping[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text of the element itself."""
        return " ".join("".join(self.pieces).split())

    def get(self, attribute: str) -> str | None:
        """Return an attribute, whatever its case."""
        wanted = attribute.lower()
        return next((text for name, text in self.attributes.items() if name.lower() == wanted), None)

    def walk(self) -> Iterator[Element]:
        """Yield the element and all below it, as they stand in the document."""
        waiting: list[Element] = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))

    def canonical(self) -> str:
        """Return a text that is equal for two elements that differ in order of attributes, white space or comments."""
        attributes = "".join(f" {name}={value!r}" for name, value in sorted(self.attributes.items()))
        inner = "".join(child.canonical() for child in self.children)
        return f"<{self.tag}{attributes}>{self.text!r}{inner}</>"


class _Builder:
    """What expat calls."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.parser = parser
        self.root: Element | None = None
        self.open: list[Element] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, self.parser.CurrentLineNumber)
        if not self.open:
            self.root = element
        elif len(self.open) < _DEPTH:
            self.open[-1].children.append(element)
        else:
            raise LabelConfigError(f"line {element.line}: more than {_DEPTH} elements within each other")
        self.open.append(element)

    def end(self, _: str) -> None:
        self.open.pop()

    def text(self, data: str) -> None:
        if self.open:
            self.open[-1].pieces.append(data)

    def refuse(self, name: str, *_: object) -> None:
        raise LabelConfigError(
            f"line {self.parser.CurrentLineNumber}: <!DOCTYPE {name}> is not read, since entities of a document can "
            "grow without bound or fetch files: take it away, and write each entity out"
        )


def parse_xml(text: str) -> Element:
    """Return the root of a document.

    Raises:
        LabelConfigError: It is not well-formed, or has a document type; says the line and column.
    """
    parser = expat.ParserCreate()
    builder = _Builder(parser)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        parser.Parse(text, True)  # a text is read as UTF-8, whatever its declaration says
    except expat.ExpatError as error:
        shown = _line(text, error.lineno)
        raise LabelConfigError(
            f"line {error.lineno}, column {error.offset + 1}: {expat.ErrorString(error.code)}{shown}"
        ) from error
    except UnicodeEncodeError as error:
        raise LabelConfigError(f"character {error.start} is half of a surrogate pair, which no XML can hold") from error
    assert builder.root is not None  # else expat had complained of a document without an element
    return builder.root


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return f" ({line if len(line) <= 80 else line[:77] + '…'})" if line else ""
