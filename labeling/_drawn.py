"""Answers as people gave them, for a page: boxes over the picture, spans in the text; labels in words, never by colour alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from dataplat.labeling.export._labelled import Answer, Mark
from dataplat.validation._page import Html, text

STYLE: Final = """
.dp .label{--c:hsl(var(--h) 75% 38%)}@media (prefers-color-scheme:dark){.dp .label{--c:hsl(var(--h) 80% 70%)}}
.dp mark{color:inherit;background:color-mix(in srgb,var(--c) 18%,transparent);border-bottom:2px solid var(--c);border-radius:2px}
.dp .name{color:var(--c)}.dp .text .name{font-size:.78em;margin:0 .25em 0 .15em}
.dp .text{white-space:pre-wrap;border-left:3px solid var(--line);padding:.2em .8em;margin:.4em 0;max-height:22em;overflow:auto}
.dp .picture{position:relative;display:inline-block;max-width:100%;line-height:0;background:var(--panel);border:1px solid var(--line)}
.dp .picture img{display:block;width:100%;height:auto}
.dp .picture svg{position:absolute;inset:0;width:100%;height:100%;max-width:none}
.dp .picture.empty svg{position:static}
.dp .picture .shape{fill:var(--c);fill-opacity:.12;stroke:var(--c);stroke-width:2.5;vector-effect:non-scaling-stroke}
.dp .picture text{fill:#fff;stroke:#000;stroke-opacity:.75;stroke-width:.22em;paint-order:stroke;font-family:system-ui,sans-serif;font-weight:600}
.dp .asked{border:1px solid var(--line);border-radius:8px;padding:.4em 1em .8em;margin:.8em 0;break-inside:avoid}
.dp .asked h3{margin:.4em 0}.dp .asked figure{margin:.6em 0}.dp .said{margin:.2em 0}
"""
_LONGEST: Final = 480  # pixels of a picture's longer side on the page
_TEXT: Final = 4000  # characters of a text that are shown


def hue(label: str) -> int:
    """Return a colour for a label, the same on every page."""
    return sum((at + 1) * 47 * ord(sign) for at, sign in enumerate(label)) % 360


def name_of(label: str) -> Html:
    """Return a label in its colour."""
    return Html(f'<span class="label" style="--h:{hue(label)}"><b class="name">{text(label, 60)}</b></span>')


def picture(source: str | None, marks: Sequence[Mark], what: str) -> Html:
    """Return a picture with what was drawn on it; without its address, a sheet of its size.

    Args:
        source: an address that holds the picture (`data:`).
        marks: what was drawn.
        what: what the picture is, in words.
    """
    sizes = [mark.row for mark in marks if mark.row["image_width"] and mark.row["image_height"]]
    if not sizes and source is None:
        return Html(f'<p class="soft">{text(what, 120)}</p>')
    image = "" if source is None else f'<img src="{text(source)}" alt="{text(what, 120)}">'
    if not sizes:
        return Html(f'<div class="picture" style="width:{_LONGEST}px">{image}</div>')
    wide, high = sizes[0]["image_width"], sizes[0]["image_height"]
    label = f"{len(marks)} marks: {', '.join(label for mark in marks for label in mark.labels)}"
    shapes = "".join(_shape(mark, high) for mark in marks)
    width = round(min(_LONGEST, _LONGEST * wide / high))
    return Html(
        f'<div class="picture{"" if image else " empty"}" style="width:{width}px">{image}'
        f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="{text(label, 200)}">{shapes}</svg></div>'
    )


def _shape(mark: Mark, high: int) -> str:
    row, label = mark.row, ", ".join(mark.labels) or "no label"
    tip = f"<title>{text(label, 60)}</title>"
    if row["points"] is not None:
        pairs = list(zip(row["points"][::2], row["points"][1::2], strict=True))
        (x, y), size = pairs[0], high / 80
        corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in pairs)
        one = len(pairs) == 1
        drawn = (
            f'<circle class="shape" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"'
            if one
            else f'<polygon class="shape" points="{corners}"'
        )
    else:
        x, y, w, h = row["x"], row["y"], row["width"], row["height"]
        round_ = (row["type"] or "").startswith("ellipse")
        middle = f'cx="{x + w / 2:.1f}" cy="{y + h / 2:.1f}" rx="{w / 2:.1f}" ry="{h / 2:.1f}"'
        upright = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        drawn = f'<ellipse class="shape" {middle}' if round_ else f'<rect class="shape" {upright}'
        pivot = f"{x + w / 2:.1f} {y + h / 2:.1f}" if round_ else f"{x:.1f} {y:.1f}"
        if row["rotation"]:
            drawn += f' transform="rotate({row["rotation"]:.1f} {pivot})"'
    size = high / 22
    words = (
        f'<text x="{max(x, 2):.1f}" y="{max(y - size / 4, size):.1f}" font-size="{size:.1f}">{text(label, 40)}</text>'
    )
    return f'<g class="label" style="--h:{hue(label)}">{drawn}>{tip}</{_tag(drawn)}>{words}</g>'


def _tag(drawn: str) -> str:
    return drawn[1:].split(" ", 1)[0]


def spans(shown: str, marks: Sequence[Mark]) -> Html:
    """Return a text with its spans marked, each followed by its labels; spans may lie over each other."""
    found = [
        (int(mark.row["start"]), int(mark.row["end"]), ", ".join(mark.labels) or "no label")
        for mark in marks
        if mark.row["start"] is not None and mark.row["end"] is not None and math.isfinite(mark.row["end"])
    ]
    cuts = sorted({0, min(len(shown), _TEXT), *(cut for span in found for cut in span[:2] if 0 <= cut <= _TEXT)})
    out = []
    for begin, stop in pairwise(cuts):
        over = [label for start, end, label in found if start <= begin and stop <= end]
        piece = text(shown[begin:stop])
        style = f'class="label" style="--h:{hue(over[-1])}"' if over else ""
        ends = [label for start, end, label in found if end == stop and start < end]
        names = "".join(f'<b class="label name" style="--h:{hue(label)}">{text(label, 40)}</b>' for label in ends)
        out.append((f"<mark {style}>{piece}</mark>" if over else piece) + names)
    more = "…" if len(shown) > _TEXT else ""
    return Html(f'<div class="text">{"".join(out)}{more}</div>')


def said(answer: Answer) -> Html:
    """Return what was said of the whole task, by control."""
    parts = []
    for control, value in answer.said.items():
        if value is not None:
            words = "".join(map(name_of, value)) if isinstance(value, list) else f"<b>{text(value, 300)}</b>"
            parts.append(f'<p class="said"><span class="soft">{text(control)}</span> {words}</p>')
    return Html("".join(parts))
