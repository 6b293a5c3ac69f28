"""Label configs for what is asked most: a class, spans, boxes, the better of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from dataplat.errors import LabelConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPLATES: Final = ("text-classification", "ner", "image-boxes", "image-classification", "pairwise")
Media = Literal["Text", "Image"]


def template(name: str, show: Sequence[str], values: Sequence[str], schema: pa.Schema) -> str:
    """Return the XML of a template.

    Args:
        name: one of `TEMPLATES`.
        show: the columns shown; the first fits the template (an image for `image-boxes`), the others are shown beside.
        values: the choices or labels.
        schema: the types of the columns.

    Raises:
        LabelConfigError: There is no such template, or it cannot be made of these columns.
    """
    if name == "text-classification":
        return choices_config(show, values, schema)
    if name == "ner":
        return _view([_labels("Labels", show[0], values), *_shown(show, "Text")])
    if name == "image-boxes":
        return _view(
            [_labels("RectangleLabels", show[0], values), _object(show[0], "Image"), *_shown(show[1:], "Text")]
        )
    if name == "image-classification":
        return _view([_object(show[0], "Image"), *_shown(show[1:], "Text"), _choices(show[0], values)])
    if name == "pairwise":
        pair = f'  <Pairwise name="better" toName={quoteattr(",".join(show[:2]))}/>'
        return _view([pair, *_shown(show, "Text")])
    raise LabelConfigError(f"there is no template {name!r}; there are: {', '.join(TEMPLATES)}")


def choices_config(show: Sequence[str], choices: Sequence[str], schema: pa.Schema) -> str:
    """Return the XML that shows columns and asks for one of `choices`."""
    return _view([*_shown(show, "Text"), _choices(show[0], choices)])


def _view(lines: Iterable[str]) -> str:
    return "<View>\n" + "\n".join(lines) + "\n</View>\n"


def _object(column: str, tag: str) -> str:
    return f"  <{tag} name={quoteattr(column)} value={quoteattr('$' + column)}/>"


def _shown(columns: Sequence[str], tag: str) -> list[str]:
    return [_object(column, tag) for column in columns]


def _choices(of: str, values: Sequence[str]) -> str:
    inner = "\n".join(f"    <Choice value={quoteattr(value)}/>" for value in values)
    return f'  <Choices name="label" toName={quoteattr(of)} choice="single" required="true">\n{inner}\n  </Choices>'


def _labels(tag: str, of: str, values: Sequence[str]) -> str:
    inner = "\n".join(f"    <Label value={quoteattr(value)}/>" for value in values)
    return f'  <{tag} name="label" toName={quoteattr(of)}>\n{inner}\n  </{tag}>'
