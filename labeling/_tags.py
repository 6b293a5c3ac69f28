"""The tags of Label Studio: which show data, which take answers, and what each takes.

Read from its documentation (labelstud.io/tags) and from what its open edition 1.23 accepts. Its editor knows tags in any
case, its server some of them only as they are documented (`EXACT`): of these no other spelling is taken here.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "number", "list", "object", "bytes"]

# What a task's field may be for the object that shows it, beside text: the server refuses an import with anything else.
TAKES: Final[dict[str, frozenset[Kind]]] = {
    "Audio": frozenset(),
    "AudioPlus": frozenset(),
    "Chat": frozenset({"list"}),
    "HyperText": frozenset(),
    "Image": frozenset({"list"}),
    "List": frozenset({"list"}),
    "Paragraphs": frozenset({"list"}),
    "Pdf": frozenset(),
    "Ranker": frozenset({"list"}),
    "Table": frozenset({"list", "object"}),
    "Text": frozenset({"number", "list"}),
    "TimeSeries": frozenset({"list", "object"}),
    "Video": frozenset(),
}
MEDIA: Final = frozenset({"Audio", "AudioPlus", "Image", "Pdf", "Video"})  # what they show is fetched from a URL
BY_URL: Final = frozenset({"TimeSeries"})  # so is this, unless `valueType` says otherwise; others only if it says so

OBJECTS: Final = frozenset(TAKES) - {"Ranker"}
LABELS: Final = frozenset(
    {
        "BitmaskLabels", "BrushLabels", "EllipseLabels", "HyperTextLabels", "KeyPointLabels", "Labels", "OcrLabels",
        "ParagraphLabels", "PolygonLabels", "RectangleLabels", "TimelineLabels", "TimeSeriesLabels", "VectorLabels",
        "VideoVectorLabels",
    }
)  # fmt: skip
SHAPES: Final = frozenset(
    {
        "Bitmask", "Brush", "Ellipse", "KeyPoint", "MagicWand", "Polygon", "Rectangle", "Vector", "VideoRectangle",
        "VideoVector",
    }
)  # fmt: skip
CHOICES: Final = frozenset({"Choices", "Taxonomy"})
VALUES: Final = frozenset(
    {"ChatMessage", "DateTime", "Number", "Pairwise", "Ranker", "Rating", "ReactCode", "TextArea"}
)
CONTROLS: Final = LABELS | SHAPES | CHOICES | VALUES  # the `type` of their results is the tag in lower case
PAGE: Final = frozenset(
    {
        "Bucket", "Channel", "Choice", "Collapse", "CustomInterface", "Dialog", "Filter", "Header", "Label", "Markdown",
        "MultiChannel", "PagedView", "Panel", "Relation", "Relations", "Repeater", "Shortcut", "Style",
        "TimeSeriesOverview", "View",
    }
)  # fmt: skip
KNOWN: Final = OBJECTS | CONTROLS | PAGE

EXACT: Final = frozenset(tag for tag, kinds in TAKES.items() if kinds) | {
    "Choice",
    "Choices",
    "Label",
    "Labels",
    "View",
}
BY_LOWER: Final = {tag.lower(): tag for tag in KNOWN}
