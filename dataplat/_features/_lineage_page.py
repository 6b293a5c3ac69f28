"""A lineage as a page: a picture from sources to training sets, left to right, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dataplat.validation import _page as pages
from dataplat.validation._page import Html, cards, section, table, tag, text

if TYPE_CHECKING:
    from dataplat._features._lineage import Node

_COLUMNS: Final = {"dataset": 0, "query": 0, "view": 1, "service": 2, "snapshot": 3, "training_set": 3}
_HEADS: Final = ("sources", "views", "services", "made of them")
_WORDS: Final = {"training_set": "training set", "on_demand": "on demand"}
_WIDTH, _HEIGHT, _ASIDE, _BETWEEN, _TOP = 216, 46, 64, 14, 26
_LETTERS: Final = 29
_STYLE: Final = """<style>
.dp svg.graph{max-width:none;width:auto;margin:.6em}
.dp .graph rect{fill:var(--panel);stroke:var(--line)}.dp .graph .service rect{stroke:var(--one);stroke-width:2}
.dp .graph .missing rect{stroke:var(--bad);stroke-dasharray:4 3}
.dp .graph path{fill:none;stroke:var(--soft);stroke-opacity:.55;stroke-width:1.5}
.dp .graph text{fill:var(--ink);font:600 12px ui-monospace,SFMono-Regular,Consolas,monospace}
.dp .graph text.soft{fill:var(--soft);font:11px system-ui,-apple-system,"Segoe UI",sans-serif}
</style>"""


@dataclass(slots=True)
class _Box:
    """What is drawn of a node."""

    node: Node
    column: int
    above: str
    below: str
    y: float = 0.0
    to: list[_Box] = field(default_factory=list)


def page(name: str, roots: Sequence[Node]) -> str:
    """Return a lineage as one HTML document that needs no network.

    Args:
        name: of what it is the lineage.
        roots: sources, each with what is made of it.
    """
    boxes = _boxes(roots)
    counts = [(head, sum(box.column == at for box in boxes)) for at, head in enumerate(_HEADS)]
    body = (
        f"{_STYLE}<h1>Lineage of {text(name)}</h1>"
        + cards([(head, f"{count:,}", "") for head, count in counts])
        + section("Picture", _scrolled(picture(boxes), f"The lineage of {name}"))
        + section("As a table", _table(boxes))
    )
    return pages.document(f"Lineage of {name}", body)


def _boxes(roots: Sequence[Node]) -> list[_Box]:
    """Return each node once, with what it leads to; on-demand features are part of their service."""
    found: dict[tuple[str, str], _Box] = {}

    def box(node: Node) -> _Box:
        key = (node.kind, node.name)
        if key not in found:
            found[key] = made = _Box(node, _COLUMNS[node.kind], *_told(node))
            made.to = [box(each) for each in node.to if each.kind != "on_demand"]
        return found[key]

    for root in roots:
        box(root)
    return _placed(list(found.values()))


def _told(node: Node) -> tuple[str, str]:
    """Return the two lines of a box."""
    about = node.about
    if "missing" in about:
        return node.name, "is not there any more"
    if node.kind == "query":
        return " ".join(node.name.split()), f"query of {about.get('now', '')}"
    if node.kind == "dataset":
        return node.name, str(about.get("now", ""))
    if node.kind == "view":
        return node.name, ", ".join(about.get("features", ()))
    if node.kind == "service":
        own = [each.name for each in node.to if each.kind == "on_demand"]
        return node.name, f"computes {', '.join(own)}" if own else f"closure {about.get('closure', '')}"
    kind = _WORDS.get(node.kind, node.kind)
    return (
        node.name,
        f"{kind}, {', '.join(f'{value} {name}' if name == 'keys' else f'{name} {value}' for name, value in about.items())}",
    )


def _placed(boxes: list[_Box]) -> list[_Box]:
    """Give each box its place: columns in the order of what leads to them, each in the middle of the tallest."""
    step = _HEIGHT + _BETWEEN
    columns = [[box for box in boxes if box.column == at] for at in range(len(_HEADS))]
    tallest = max(map(len, columns), default=0)
    for own in columns:
        own.sort(key=lambda box: _middle([one.y for one in boxes if any(each is box for each in one.to)]))
        for at, box in enumerate(own):
            box.y = (at + (tallest - len(own)) / 2) * step
    return boxes


def _middle(places: Sequence[float]) -> float:
    return sum(places) / max(len(places), 1)


def picture(boxes: Sequence[_Box]) -> Html:
    """Return boxes and what leads where as SVG."""
    tall = max((box.y for box in boxes), default=0.0) + _HEIGHT + _TOP + 2
    wide = len(_HEADS) * _WIDTH + (len(_HEADS) - 1) * _ASIDE + 2
    heads = "".join(f'<text class="soft" x="{_x(at) + 1}" y="14">{text(head)}</text>' for at, head in enumerate(_HEADS))
    label = "; ".join(
        f"{box.node.kind.replace('_', ' ')} {box.above} leads to {', '.join(each.above for each in box.to)}"
        for box in boxes
        if box.to
    )
    drawn = "".join([*(_line(box, each) for box in boxes for each in box.to), *map(_drawn, boxes)])
    return Html(
        f'<svg class="graph" width="{wide}" height="{tall:.0f}" viewBox="0 0 {wide} {tall:.0f}" role="img" '
        f'aria-label="{text(label)}">{heads}{drawn}</svg>'
    )


def _x(column: int) -> int:
    return column * (_WIDTH + _ASIDE) + 1


def _line(box: _Box, other: _Box) -> str:
    x, end = _x(box.column) + _WIDTH, _x(other.column)
    y, to = box.y + _TOP + _HEIGHT / 2, other.y + _TOP + _HEIGHT / 2
    middle = (x + end) / 2
    return f'<path d="M{x} {y:.1f}C{middle:.0f} {y:.1f} {middle:.0f} {to:.1f} {end} {to:.1f}"/>'


def _drawn(box: _Box) -> str:
    x, y = _x(box.column), box.y + _TOP
    kind = "missing" if "missing" in box.node.about else box.node.kind
    return (
        f'<g class="{kind}"><title>{text(f"{box.above}: {box.below}")}</title>'
        f'<rect x="{x}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>'
        f'<text x="{x + 10}" y="{y + 19:.1f}">{text(box.above, _LETTERS - 3)}</text>'
        f'<text class="soft" x="{x + 10}" y="{y + 36:.1f}">{text(box.below, _LETTERS + 4)}</text></g>'
    )


def _scrolled(drawn: Html, label: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{text(label)}">{drawn}</div>'


def _table(boxes: Sequence[_Box]) -> Html:
    rows = [
        (
            box.above,
            tag(_WORDS.get(box.node.kind, box.node.kind)),
            _about(box),
            ", ".join(each.above for each in box.to),
        )
        for box in sorted(boxes, key=lambda each: (each.column, each.y))
    ]
    return table("All of it", ["name", "what", "what is known of it", "leads to"], rows, seen=False)


def _about(box: _Box) -> str:
    told: Iterator[str] = (
        f"{'' if name in ('now', 'features') else f'{name} '}{_value(value)}"
        for name, value in box.node.about.items()
        if value not in (None, "", [], {})
    )
    own = [each.name for each in box.node.to if each.kind == "on_demand"]
    return "; ".join([*told, *([f"computes {', '.join(own)}"] if own else [])])


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
