"""The items of a `result`, laid flat: one row for each region and control, one for each relation.

What the editor calls things is in https://labelstud.io/guide/export and in the tags' pages. Boxes come in percent of
the picture, whose size comes along, so no picture is opened.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from dataplat.labeling._offsets import Shown

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
_NOTHING: Final = (b"", b"null")


def flat(result: bytes, shown: Shown) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the regions and the relations of a result, as rows that begin with their place in it.

    The columns are those of `regions` and `relations` (`dataplat.labeling.tables`) but for whose they are.

    Raises:
        msgspec.DecodeError: It is no list of items, or one of them is not what its kind says.
    """
    regions, relations = [], []
    for at, item in enumerate(ITEMS.decode(result)):
        if item.from_id is not None or item.type == "relation":
            relations.append((at, _text(item.from_id), _text(item.to_id), item.direction, item.labels))
        else:
            regions.append(_region(at, item, shown))
    return regions, relations


def _region(at: int, item: Item, shown: Shown) -> tuple[Any, ...]:
    raw = bytes(item.value)
    value = Value() if raw in _NOTHING else _VALUE.decode(raw)
    start, end = _span(item, value, shown)
    text = value.text if value.text is not None else value.datetime
    number = value.rating if value.rating is not None else value.number
    return (
        at, _text(item.id), item.from_name, item.to_name, item.type, _labels(item.type, value),
        "\n".join(text) if isinstance(text, list) else text, number, start, end,
        *_box(item, value),
        _whole(item.original_width), _whole(item.original_height),
        item.score, raw.decode() or None,
    )  # fmt: skip


def _labels(type: str | None, value: Value) -> Texts:
    if type is None or type in _NO_LABELS:
        return value.labels
    if type == "taxonomy":
        return None if value.taxonomy is None else [" / ".join(path) for path in value.taxonomy]
    if type == "pairwise":
        return None if value.selected is None else [value.selected]
    if type in _LABELS:
        found: Texts = getattr(value, type)
        return found if found is not None else value.labels
    return value.labels


_LABELS: Final = frozenset(
    name for name in Value.__struct_fields__ if name.endswith("labels") or name == "choices"
)  # the kinds whose labels lie under their own name
_NO_LABELS: Final = frozenset({"textarea", "rating", "number", "datetime"})


def _span(item: Item, value: Value, shown: Shown) -> tuple[Number, Number]:
    if value.in_page is not None:  # of hypertext and paragraphs, whose start and end are places in the page
        return value.in_page.start, value.in_page.end
    if value.ranges:
        return value.ranges[0].start, value.ranges[-1].end
    if value.sequence:
        frames = [frame["frame"] for frame in value.sequence if isinstance(frame.get("frame"), int | float)]
        return (min(frames), max(frames)) if frames else (None, None)
    start, end = value.start, value.end
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return None, None
    return shown.span(item.to_name, start, end, value.text) if isinstance(value.text, str) else (start, end)


_NO_BOX: Final = (None, None, None, None, None, None)


def _box(item: Item, value: Value) -> tuple[Number, Number, Number, Number, Number, list[float] | None]:
    """Return x, y, width, height, rotation and points, in pixels; of what has no picture's size, nothing."""
    if value.x is None and value.points is None:
        return _NO_BOX
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
    if value.width is None or value.height is None or (item.type or "").startswith("keypoint"):
        return (None, None, None, None, None, [x * across, y * down])
    return (x * across, y * down, value.width * across, value.height * down, value.rotation, None)


def _text(name: Name) -> str | None:
    return str(name) if isinstance(name, int) else name


def _whole(number: Number) -> int | None:
    return None if number is None else round(number)
