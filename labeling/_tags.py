"""The tags of Label Studio that data or answers depend on; every other tag only shapes the page.

Read from its documentation (labelstud.io/tags) and from what its open edition 1.23 accepts: `TAKES` is what the server
checks of each task when it is imported. The editor reads names of tags without case, the server does not, so configs are
held to the spelling of the documentation.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "number", "list", "object", "null"]

# What a task's field may be for the tag that shows it; "text" is what every tag takes.
TAKES: Final[dict[str, frozenset[Kind]]] = {
    "Audio": frozenset({"text"}),
    "AudioPlus": frozenset({"text"}),
    "Chat": frozenset({"text", "list"}),
    "HyperText": frozenset({"text"}),
    "Image": frozenset({"text", "list"}),
    "List": frozenset({"text", "list"}),
    "Paragraphs": frozenset({"text", "list"}),
    "Pdf": frozenset({"text"}),
    "Ranker": frozenset({"text", "list"}),
    "Table": frozenset({"text", "list", "object"}),
    "Text": frozenset({"text", "number", "list"}),
    "TimeSeries": frozenset({"text", "list", "object"}),
    "Video": frozenset({"text"}),
}
OBJECTS: Final = frozenset(TAKES) - {"Ranker"}

# What each control writes as the `type` of a result, where that is not the tag in lower case, is nothing: they are equal.
LABELS: Final = frozenset(
    {
        "BitmaskLabels", "BrushLabels", "EllipseLabels", "HyperTextLabels", "KeyPointLabels", "Labels", "OcrLabels",
        "ParagraphLabels", "PolygonLabels", "RectangleLabels", "TimelineLabels", "TimeSeriesLabels", "VectorLabels",
        "VideoVectorLabels",
    }
)  # fmt: skip
CHOICES: Final = frozenset({"Choices", "Taxonomy"})
SHAPES: Final = frozenset(
    {
        "Bitmask", "Brush", "Ellipse", "KeyPoint", "MagicWand", "Polygon", "Rectangle", "Vector", "VideoRectangle",
        "VideoVector",
    }
)  # fmt: skip
VALUES: Final = frozenset({"DateTime", "Number", "Pairwise", "Ranker", "Rating", "TextArea"})
CONTROLS: Final = LABELS | CHOICES | SHAPES | VALUES | {"ChatMessage", "ReactCode"}
MEDIA: Final = frozenset({"Audio", "AudioPlus", "Image", "Pdf", "Video"})  # what they show is always fetched from a URL
BY_URL: Final = frozenset(
    {"TimeSeries"}
)  # so are these, unless `valueType` says otherwise; the rest only if it says so
PAGE: Final = frozenset(
    {
        "Bucket", "Channel", "Choice", "Collapse", "Filter", "Header", "Label", "Markdown", "MultiChannel", "PagedView",
        "Panel", "Relation", "Relations", "Repeater", "Shortcut", "Style", "View",
    }
)  # fmt: skip
KNOWN: Final = OBJECTS | CONTROLS | PAGE
