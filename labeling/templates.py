"""Label configs for what is asked most: a class, spans, boxes, the better of two.

What a template makes has been read and held against the columns, so that it works as it is; it is meant to be printed,
changed, and given back as a config of one's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import quoteattr

from dataplat.errors import LabelConfigError
from dataplat.labeling._config_fit import check_column_name, kind_of
from dataplat.labeling._config_reading import REFERENCE
from dataplat.labeling.config import LabelConfig
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

_PICTURE: Final = re.compile(r"image|img|pic|photo|scan|thumb|url|uri|path|file", re.IGNORECASE)
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def template(name: str, show: Sequence[str], values: Sequence[str], schema: pa.Schema) -> str:
    """Return the XML of a template.

    `text-classification` shows the columns and asks for one of the values; so does `image-classification`, with the
    picture first. `ner` asks for spans in the first column of text, `image-boxes` for boxes on the picture. `pairwise`
    asks which of the first two columns is better, and takes no values. The picture is the first column of bytes, else
    the first of text that is called like one (`image`, `photo`, `url`, …), else the first of text.

    Args:
        name: one of `TEMPLATES`.
        show: the columns shown, in order.
        values: the choices or labels.
        schema: the types of the columns.

    Raises:
        LabelConfigError: There is no such template, or it cannot be made of these columns and values.
    """
    if name not in TEMPLATES:
        raise LabelConfigError(f"there is no template {name!r}{did_you_mean(name, TEMPLATES)}")
    page = _Page(tuple(show), tuple(values), schema, name)
    page.check()
    text = "<View>\n" + "\n".join(f"  {line}" for line in TEMPLATES[name](page)) + "\n</View>\n"
    LabelConfig.from_xml(text).check(schema, show)
    return text


def choices_config(show: Sequence[str], choices: Sequence[str], schema: pa.Schema) -> str:
    """Return the XML that shows columns and asks for one of `choices`; raises as `template`."""
    return template("text-classification", show, choices, schema)


@dataclass(frozen=True, slots=True)
class _Page:
    """What a template is made of."""

    show: tuple[str, ...]
    values: tuple[str, ...]
    schema: pa.Schema
    name: str

    def check(self) -> None:
        """Raise `LabelConfigError` for columns that cannot be shown, and values that cannot be chosen."""
        if not self.show:
            raise LabelConfigError(f"the template {self.name} shows nothing: say which columns to show")
        for column in self.show:
            check_column_name(column, self.schema)
        if self.name == "pairwise":
            if self.values:
                raise LabelConfigError("pairwise asks which of two columns is better: it takes no choices")
            return
        if not self.values:
            raise LabelConfigError(f"the template {self.name} asks nothing: say which choices there are")
        for value in self.values:
            _check_value(value)

    def kind(self, column: str) -> str:
        """Return what a column holds: text, number, list, object or bytes."""
        return kind_of(self.schema.field(column).type)

    def picture(self) -> str:
        """Return the column that is a picture."""
        texts = [column for column in self.show if self.kind(column) == "text"]
        named = [column for column in texts if _PICTURE.search(column)]
        found = [column for column in self.show if self.kind(column) == "bytes"] + named + texts
        if not found:
            raise LabelConfigError(f"{self.name} wants a picture: show a column of bytes, or of addresses as text")
        return found[0]

    def text(self) -> str:
        """Return the column that is a text."""
        texts = [column for column in self.show if self.kind(column) == "text"]
        if not texts:
            raise LabelConfigError(f"{self.name} wants a text: none of {', '.join(self.show)} is one")
        return texts[0]

    def free(self, name: str) -> str:
        """Return a name that no column shown has."""
        while name in self.show:
            name += "_"
        return name

    def object(self, column: str, tag: str | None = None) -> Iterator[str]:
        """Yield the lines that show a column, under its name where there are several."""
        tag = tag or {"bytes": "Image", "object": "Table"}.get(self.kind(column), "Text")
        if len(self.show) > 1:
            yield f'<Header value={quoteattr(column)} size="5"/>'
        yield f"<{tag} name={quoteattr(column)} value={quoteattr('$' + column)}/>"

    def objects(self, *but: str) -> Iterator[str]:
        """Yield the lines that show the columns, but for those that are shown already."""
        for column in self.show:
            if column not in but:
                yield from self.object(column)

    def choices(self, of: str) -> Iterator[str]:
        """Yield the lines that ask for one of the values."""
        name = self.free("label")
        yield f'<Choices name="{name}" toName={quoteattr(of)} choice="single" required="true">'
        yield from (f"  <Choice value={quoteattr(value)}/>" for value in self.values)
        yield "</Choices>"

    def labels(self, tag: str, of: str) -> Iterator[str]:
        """Yield the lines that ask for regions with one of the values each."""
        yield f'<{tag} name="{self.free("label")}" toName={quoteattr(of)}>'
        yield from (f"  <Label value={quoteattr(value)}/>" for value in self.values)
        yield f"</{tag}>"


def _text_classification(page: _Page) -> Iterator[str]:
    yield from page.objects()
    yield from page.choices(page.show[0])


def _image_classification(page: _Page) -> Iterator[str]:
    picture = page.picture()
    yield from page.object(picture, "Image")
    yield from page.objects(picture)
    yield from page.choices(picture)


def _ner(page: _Page) -> Iterator[str]:
    text = page.text()
    yield from page.labels("Labels", text)
    yield from page.object(text)
    yield from page.objects(text)


def _image_boxes(page: _Page) -> Iterator[str]:
    picture = page.picture()
    yield from page.labels("RectangleLabels", picture)
    yield from page.object(picture, "Image")
    yield from page.objects(picture)


def _pairwise(page: _Page) -> Iterator[str]:
    if len(page.show) < 2:
        raise LabelConfigError("pairwise compares two columns: show them first, and what helps to decide after them")
    left, right = page.show[:2]
    yield f'<Pairwise name="{page.free("better")}" toName={quoteattr(f"{left},{right}")}/>'
    yield from page.objects(left, right)
    yield from page.object(left)
    yield from page.object(right)


TEMPLATES: Final[dict[str, Callable[[_Page], Iterable[str]]]] = {
    "text-classification": _text_classification,
    "ner": _ner,
    "image-boxes": _image_boxes,
    "image-classification": _image_classification,
    "pairwise": _pairwise,
}


def _check_value(value: str) -> None:
    if not value.strip():
        raise LabelConfigError("a choice has no text")
    if REFERENCE.search(value):
        raise LabelConfigError(f"the choice {value!r} holds a $ before a word, where Label Studio puts data: reword it")
    unfit = _NO_XML.search(value)
    if unfit:
        raise LabelConfigError(f"the choice {value!r} holds {unfit[0]!r}, which no XML can hold")
