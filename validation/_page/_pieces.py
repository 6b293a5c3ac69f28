"""Documents, sections, tables: what is given as plain text is escaped, what is `Html` is taken as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from dataplat.validation._page._style import FRAME, STYLE
from dataplat.versioning._html import html_text


class Html(str):
    """Text that is HTML already; all else is escaped where it meets a page."""

    __slots__ = ()


def text(value: Any, longest: int | None = None) -> Html:
    """Return a value as HTML: escaped, unless it is HTML; cut at `longest` characters."""
    return value if isinstance(value, Html) else Html(html_text(value, longest))


def document(title: str, body: str) -> str:
    """Return a whole page that needs no network; `body` is HTML with one `main`."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(title)}</title><style>{FRAME}</style></head>"
        f'<body><div class="dp"><style>{STYLE}</style><a class="skip" href="#main">Skip to the content</a>'
        f'<main id="main">{body}</main></div></body></html>\n'
    )


def fragment(body: str) -> str:
    """Return what a notebook shows: the page without its frame."""
    return f'<div class="dp"><style>{STYLE}</style>{body}</div>'


def cards(items: Iterable[tuple[str, Any, str]]) -> Html:
    """Return figures in a row: (what, figure, tone) with a tone of `good`, `bad`, `warn` or nothing."""
    made = (f'<li><b class="{tone}">{text(figure)}</b><span>{text(what)}</span></li>' for what, figure, tone in items)
    return Html(f'<ul class="cards">{"".join(made)}</ul>')


def section(title: str | Html, body: str, *, id: str = "", level: int = 2) -> Html:
    """Return a section under a heading, which a link can lead to by `id`."""
    name = slug(id or title)
    return Html(
        f'<section id="{name}" aria-labelledby="{name}-title"><h{level} id="{name}-title">{text(title)}</h{level}>'
        f"{body}</section>"
    )


def contents(label: str, names: Sequence[tuple[str, str]]) -> Html:
    """Return links to sections, given as (id, text)."""
    links = "".join(f'<li><a href="#{slug(id)}">{text(name, 60)}</a></li>' for id, name in names)
    return Html(f'<nav class="contents" aria-label="{text(label)}"><ul>{links}</ul></nav>')


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = (), seen: bool = True
) -> Html:
    """Return a table; the first cell of a row heads it. Where it is wider than the page it scrolls, by keyboard too.

    Args:
        caption: what the table tells; read aloud, and shown where it is to be `seen`.
        heads: the heads of the columns.
        rows: cells, plain or `Html`.
        numbers: the columns that hold figures, by place.
        seen: whether the caption is shown.
    """
    right = [' class="n"' if at in numbers else "" for at in range(len(heads))]
    head = "".join(f'<th scope="col"{mark}>{text(name)}</th>' for name, mark in zip(heads, right, strict=True))
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td{mark}>{text(cell, 200)}</td>" for cell, mark in zip(rest, right[1:], strict=True))
        lines.append(f'<tr><th scope="row"{right[0]}>{text(first, 200)}</th>{cells}</tr>')
    shown = f"<caption>{text(caption)}</caption>" if seen else ""
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table>{shown}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def tag(words: str, tone: str = "") -> Html:
    """Return a small label, `good`, `bad`, `warn` or neither."""
    return Html(f'<span class="tag {tone}">{text(words)}</span>')


def slug(name: str) -> str:
    """Return a name that may be an id; of different names it is different."""
    return "s-" + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found.group()):x}_", name)
