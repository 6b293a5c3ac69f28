"""The items of a `result`, laid flat: one row for each region and control, one for each relation.

What the editor calls things is in https://labelstud.io/guide/export and in the tags' pages. Boxes come in percent of
the picture, whose size comes along, so no picture is opened.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec

Texts: TypeAlias = list[str] | None
Number: TypeAlias = float | None
Name: TypeAlias = str | int | None
Size: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1 << 31)] | None


class Offsets(msgspec.Struct, gc=False):
    """Where a span lies in all the text of a page."""

    start: float | None = None
    end: float | None = None


class Value(msgspec.Struct, gc=False):
    """What an item says, whatever its kind; keys that are not here are kept with the text of it alone."""

    start: float | str | None = None
    end: float | str | None = None
    text: str | Texts = None
    labels: Texts = None
    choices: Texts = None
    x: Number = None
    y: Number = None
    width: Number = None
    height: Number = None
    rotation: Number = None
    rectanglelabels: Texts = None
    polygonlabels: Texts = None
    keypointlabels: Texts = None
    brushlabels: Texts = None
    ellipselabels: Texts = None
    bitmasklabels: Texts = None
    vectorlabels: Texts = None
    hypertextlabels: Texts = None
    paragraphlabels: Texts = None
    timeserieslabels: Texts = None
    timelinelabels: Texts = None
    points: list[tuple[float, float]] | None = None
    radius_x: Number = msgspec.field(default=None, name="radiusX")
    radius_y: Number = msgspec.field(default=None, name="radiusY")
    rating: Number = None
    number: Number = None
    datetime: str | None = None
    taxonomy: list[list[str]] | None = None
    selected: str | None = None
    in_page: Offsets | None = msgspec.field(default=None, name="globalOffsets")
    sequence: list[dict[str, Any]] | None = None
    ranges: list[Offsets] | None = None


class Item(msgspec.Struct, gc=False):
    """One item of a result: a region with one control, or a relation between two regions."""

    id: Name = None
    from_name: str | None = None
    to_name: str | None = None
    type: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"")
    original_width: Size = None
    original_height: Size = None
    image_rotation: Number = None
    score: Number = None
    from_id: Name = None
    to_id: Name = None
    direction: str | None = None
    labels: Texts = None


ITEMS: Final = msgspec.json.Decoder(list[Item])
_VALUE: Final = msgspec.json.Decoder(Value)
_NO_VALUE: Final = Value()

_UNDER_THEIR_NAME: Final = frozenset(
    name for name in Value.__struct_fields__ if name.endswith("labels") or name == "choices"
)  # the kinds whose labels lie under the name of the kind


def value_of(text: bytes) -> Value:
    """Return what an item says; raise `msgspec.DecodeError` where it is not what its kind says."""
    return _NO_VALUE if text in {b"", b"null"} else _VALUE.decode(text)


def labels_of(type: str | None, values: list[Value]) -> list[Texts]:
    """Return the labels or choices of items of one kind."""
    if type in _UNDER_THEIR_NAME:
        name = str(type)
        return [value.labels if (found := getattr(value, name)) is None else found for value in values]
    if type == "taxonomy":
        return [None if value.taxonomy is None else [" / ".join(path) for path in value.taxonomy] for value in values]
    if type == "pairwise":
        return [None if value.selected is None else [value.selected] for value in values]
    return [value.labels for value in values]


def text_of(value: Value) -> str | None:
    """Return the text of a span, or what was written."""
    text = value.text
    if text is None:
        return value.datetime
    return text if isinstance(text, str) else "\n".join(text)


def has_span(value: Value) -> bool:
    """Return whether an item has a place in a text or in time."""
    return (
        value.start is not None or value.in_page is not None or value.ranges is not None or value.sequence is not None
    )


def span_of(value: Value) -> tuple[Number, Number]:
    """Return where a span begins and ends: in a text, in seconds or in frames."""
    start, end = value.start, value.end
    if value.in_page is not None:  # of hypertext and paragraphs, whose start and end are places in the page
        return value.in_page.start, value.in_page.end
    if value.ranges:
        return value.ranges[0].start, value.ranges[-1].end
    if value.sequence:
        frames = [frame["frame"] for frame in value.sequence if isinstance(frame.get("frame"), int | float)]
        return (min(frames), max(frames)) if frames else (None, None)
    return (start, end) if isinstance(start, float) and isinstance(end, float) else (None, None)


Box: TypeAlias = tuple[Number, Number, Number, Number, Number, list[float] | None]
_NO_BOX: Final[Box] = (None, None, None, None, None, None)


def box_of(item: Item, value: Value) -> Box:
    """Return x, y, width, height, rotation and points, in pixels; of what has no picture's size, nothing."""
    if item.original_width is None or item.original_height is None:
        return _NO_BOX
    across, down = item.original_width / 100, item.original_height / 100
    if value.points is not None:
        return (None, None, None, None, None, [each for x, y in value.points for each in (x * across, y * down)])
    x, y = value.x, value.y
    if x is None or y is None:
        return _NO_BOX
    if value.radius_x is not None and value.radius_y is not None:
        wide, high = value.radius_x * across, value.radius_y * down
        return (x * across - wide, y * down - high, 2 * wide, 2 * high, value.rotation, None)
    if value.width is None or value.height is None:
        return (None, None, None, None, None, [x * across, y * down])
    return (x * across, y * down, value.width * across, value.height * down, value.rotation, None)


def reason_of(result: bytes) -> str | None:
    """Return why somebody skipped: what a control said whose name has `reason` in it."""
    try:
        items = ITEMS.decode(result)
        values = [value_of(bytes(item.value)) for item in items]
    except msgspec.DecodeError:
        return None
    for item, value in zip(items, values, strict=True):
        if item.from_name is not None and "reason" in item.from_name.lower():
            (labels,) = labels_of(item.type, [value])
            said = text_of(value) or ", ".join(labels or ())
            if said:
                return said
    return None
