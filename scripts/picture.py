"""Draw docs/assets/lake.svg: how data lands, and that versions share what did not change."""

from __future__ import annotations

from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docs" / "assets" / "lake.svg"

INK, FAINT, PAPER = "#1f2933", "#7b8794", "#ffffff"
OLD, NEW, GONE, GOLD, LINE = "#0f766e", "#f59e0b", "#dc2626", "#fef3c7", "#9aa5b1"


def text(
    x: float, y: float, words: str, size: int = 15, colour: str = INK, weight: int = 400, anchor: str = "start"
) -> str:
    """Return words at (x, y)."""
    style = f'font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" {style}>{words}</text>'


def mono(x: float, y: float, words: str, size: int = 13, colour: str = INK, anchor: str = "start") -> str:
    """Return words in a fixed width."""
    return f'<text x="{x}" y="{y}" class="m" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def box(
    x: float, y: float, w: float, h: float, fill: str = PAPER, line: str = LINE, radius: int = 8, extra: str = ""
) -> str:
    """Return a rounded rectangle."""
    shape = f'x="{x}" y="{y}" width="{w}" height="{h}" rx="{radius}"'
    return f'<rect {shape} fill="{fill}" stroke="{line}" stroke-width="1.5" {extra}/>'


def arrow(path: str, colour: str = LINE, *, dashed: bool = False) -> str:
    """Return a line with a head at its end."""
    dash = 'stroke-dasharray="5 4"' if dashed else ""
    head = {LINE: "grey", OLD: "old", NEW: "new", GONE: "gone"}[colour]
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" {dash} marker-end="url(#{head})"/>'


def part(x: float, y: float, label: str, colour: str) -> str:
    """Return one Parquet part."""
    return box(x, y, 92, 46, colour, colour, 6) + mono(x + 46, y + 28, label, 13, PAPER, "middle")


def sources() -> list[str]:
    """Return the left side: what comes in."""
    pieces = [text(40, 56, "sources", 14, FAINT)]
    for i, words in enumerate(("flights.csv.zip", "days/*.parquet", "Arrow, Polars, …")):
        pieces += [box(40, 72 + 54 * i, 150, 40), mono(115, 97 + 54 * i, words, 13, INK, "middle")]
        pieces.append(arrow(f"M192 {92 + 54 * i} L 248 {146}"))
    return pieces


def gate() -> list[str]:
    """Return the middle: parse, contract, and where what is refused goes."""
    return [
        text(256, 56, "ingest", 14, FAINT),
        box(256, 88, 168, 116, GOLD, NEW, 10),
        text(340, 118, "types, keys", 15, INK, 600, "middle"),
        text(340, 142, "contract", 15, INK, 600, "middle"),
        text(340, 170, "checked before", 13, FAINT, 400, "middle"),
        text(340, 188, "the branch moves", 13, FAINT, 400, "middle"),
        arrow("M340 206 L340 262", GONE, dashed=True),
        box(256, 268, 168, 58, "#fef2f2", GONE, 10),
        text(340, 293, "rejects, quarantine", 14, GONE, 600, "middle"),
        text(340, 313, "raw bytes, line, reason", 12, FAINT, 400, "middle"),
        arrow("M426 146 L 488 146", OLD),
    ]


def lake() -> list[str]:
    """Return the right side: two versions over shared parts, and the refs that name them."""
    pieces = [text(496, 56, "lake: files that never change", 14, FAINT), box(496, 72, 464, 270, "#f0fdfa", OLD, 14)]
    versions = (("version 3f9a2c…", 520, "flights@v1", OLD), ("version 81d0be…", 748, "flights@main", NEW))
    for label, x, ref, colour in versions:
        pieces += [
            box(x + 24, 92, 140, 30, PAPER, colour, 15),
            mono(x + 94, 112, ref, 13, colour, "middle"),
            arrow(f"M{x + 94} 123 L{x + 94} 148", colour),
            box(x, 152, 188, 40, PAPER, colour),
            mono(x + 94, 177, label, 14, INK, "middle"),
        ]
    for x, y in ((520, 236), (626, 236), (732, 236)):
        pieces.append(part(x, y, f"part {'abc'[(x - 520) // 106]}", OLD))
    pieces += [
        arrow("M570 194 L566 232", OLD),
        arrow("M614 194 L666 232", OLD),
        arrow("M660 194 L764 232", OLD),
        arrow("M776 194 L590 232", NEW),
        arrow("M810 194 L690 232", NEW),
        arrow("M838 194 L790 232", NEW),
        arrow("M890 194 L892 232", NEW),
        part(848, 236, "part d", NEW),
        '<circle cx="820" cy="240" r="9" fill="#dc2626"/><path d="M816 236 L824 244 M824 236 L816 244" stroke="#fff" stroke-width="2"/>',
        text(728, 308, "deletes of part c, and one small new part:", 13, FAINT, 400, "middle"),
        text(728, 327, "a version costs what it changed", 13, INK, 600, "middle"),
    ]
    return pieces


def drawing() -> str:
    """Return the whole picture."""
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
        for name, colour in (("grey", LINE), ("old", OLD), ("new", NEW), ("gone", GONE))
    )
    body = "\n".join([*sources(), *gate(), *lake()])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 372" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">\n'
        "<title>Sources land through a contract into a lake; two versions share the parts that did not change</title>\n"
        "<style>.m { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }</style>\n"
        f"<defs>{heads}</defs>\n"
        f'<rect width="1000" height="372" rx="16" fill="{PAPER}"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    TARGET.write_text(drawing(), "utf-8")
