"""A diff as one page of HTML that needs nothing beside itself: counts, schema, cells changed per column, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dataplat.versioning._html import html_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dataplat.versioning.diff._columns import ColumnDiff
    from dataplat.versioning.diff._diff import Diff

_LONGEST: Final = 120  # characters of a cell that are shown
_STYLE: Final = """
.dp-diff{--ink:#1c2128;--soft:#59636e;--line:#d1d9e0;--back:#fff;--panel:#f6f8fa;--add:#1a7f37;--addback:#dafbe1;
--del:#b42318;--delback:#ffebe9;--mod:#8a5a00;--modback:#fff5cc;
color:var(--ink);background:var(--back);font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
@media (prefers-color-scheme:dark){.dp-diff{--ink:#e6edf3;--soft:#9aa5b1;--line:#353c45;--back:#0f1419;--panel:#181e25;
--add:#5fd479;--addback:#12301b;--del:#ff8e84;--delback:#3c1618;--mod:#f0c24b;--modback:#3a2f0c}}
.dp-diff h1{font-size:1.4em;margin:0 0 .2em;overflow-wrap:anywhere}.dp-diff h2{font-size:1.05em;margin:1.8em 0 .5em}
.dp-diff .ids{color:var(--soft);font:12px/1.6 ui-monospace,Consolas,monospace;margin:0 0 1.2em;overflow-wrap:anywhere}
.dp-diff .cards{display:flex;gap:.8em;flex-wrap:wrap}
.dp-diff .card{border:1px solid var(--line);border-radius:8px;background:var(--panel);padding:.5em 1.1em;min-width:7em}
.dp-diff .card b{display:block;font-size:1.5em;font-variant-numeric:tabular-nums;line-height:1.3}
.dp-diff .card span{color:var(--soft)}.dp-diff .added b{color:var(--add)}.dp-diff .removed b{color:var(--del)}
.dp-diff .changed b{color:var(--mod)}.dp-diff ul{margin:.2em 0;padding-left:1.3em}
.dp-diff .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
.dp-diff table{border-collapse:collapse;font-size:13px;width:100%;margin:0;color:inherit}
.dp-diff th,.dp-diff td{padding:.3em .8em;text-align:left;border-bottom:1px solid var(--line);vertical-align:top;
white-space:nowrap;background:none;color:inherit}
.dp-diff tbody tr:last-child td{border-bottom:0}.dp-diff th{background:var(--panel);font-weight:600}
.dp-diff th small,.dp-diff td small{color:var(--soft);font-weight:400}
.dp-diff td.n{text-align:right;font-variant-numeric:tabular-nums}
.dp-diff td.cell{background:var(--modback)}.dp-diff td.cell del{color:var(--del);background:var(--delback);padding:0 .25em}
.dp-diff td.cell ins{color:var(--add);background:var(--addback);padding:0 .25em;text-decoration:none}
.dp-diff td.key{font-weight:600}.dp-diff .null{color:var(--soft);font-style:italic}
.dp-diff .bar{height:10px;border-radius:5px;background:var(--panel);border:1px solid var(--line);min-width:10em;
overflow:hidden}.dp-diff .bar i{display:block;height:100%;background:var(--mod)}
.dp-diff .tag{border:1px solid var(--line);border-radius:1em;padding:0 .6em;font-size:12px;margin-left:.4em}
.dp-diff .rest{color:var(--soft);margin:.4em 0 0}.dp-diff tr.add td{background:var(--addback)}
.dp-diff tr.del td{background:var(--delback)}
"""


def page(diff: Diff, limit: int, title: str) -> str:
    """Return a whole document; it is light or dark as the reader's system is."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{html_text(title, None)}</title>"
        "<style>html{background:#fff}@media (prefers-color-scheme:dark){html{background:#0f1419}}"
        "body{margin:0}body>.dp-diff{max-width:1200px;margin:0 auto;padding:2em 1.5em 4em}</style></head>"
        f"<body>{fragment(diff, limit, title)}</body></html>\n"
    )


def fragment(diff: Diff, limit: int, title: str) -> str:
    """Return what a notebook shows: the page without its frame."""
    summary, told = diff.summary, diff.to_dict()
    counts = (("added", summary.added), ("removed", summary.removed), ("changed", summary.changed))
    cards = "".join(f'<div class="card {kind}"><b>{count:,}</b><span>{kind}</span></div>' for kind, count in counts)
    body = [
        f"<style>{_STYLE}</style>",
        f"<h1>{html_text(title, None)}</h1>",
        f'<p class="ids">{told["before"][:12]} → {told["after"][:12]}</p>',
        f'<div class="cards">{cards}</div>',
        _schema(diff),
    ]
    if summary.is_empty:
        body.append('<p class="rest">No row differs.</p>')
    else:
        body += [_columns(diff.columns), _changed(diff, limit)]
        body += [_rows(diff, kind, limit, count) for kind, count in counts[:2]]
    return f'<div class="dp-diff">{"".join(body)}</div>'


def _schema(diff: Diff) -> str:
    if not diff.schema_changes:
        return ""
    items = "".join(f"<li>{html_text(change, None)}</li>" for change in diff.schema_changes)
    return f"<h2>Schema</h2><ul>{items}</ul>"


def _columns(columns: Sequence[ColumnDiff]) -> str:
    shown = [column for column in columns if column.cells or column.changes]
    if not shown:
        return ""
    lines = "".join(
        f"<tr><td>{html_text(column.name, None)}{''.join(f'<span class=tag>{kind}</span>' for kind in column.changes)}</td>"
        f'<td class="n">{column.cells:,}</td><td class="n">{column.share:.1%}</td>'
        f'<td style="width:60%"><div class="bar"><i style="width:{column.share:.2%}"></i></div></td></tr>'
        for column in sorted(shown, key=lambda column: -column.cells)
    )
    head = "<tr><th>column</th><th>cells</th><th>of changed rows</th><th></th></tr>"
    return f'<h2>Columns</h2><div class="scroll"><table><thead>{head}</thead><tbody>{lines}</tbody></table></div>'


def _changed(diff: Diff, limit: int) -> str:
    count = diff.summary.changed
    if not count or not limit:
        return ""
    table = diff.head("changed", limit)
    key = table.column_names[:-3]
    names = [column.name for column in diff.columns if column.cells]
    lines = []
    for row in table.to_pylist():
        differing, before, after = list(row.values())[-3:]
        cells = [f'<td class="key">{_cell(row[name])}</td>' for name in key]
        cells += [
            _pair(before.get(name), after.get(name)) if name in differing else f"<td>{_cell(after.get(name))}</td>"
            for name in names
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return _table("Changed rows", [*key, *names], lines, count - limit)


def _pair(before: Any, after: Any) -> str:
    return f'<td class="cell"><del>{_cell(before)}</del> <ins>{_cell(after)}</ins></td>'


def _rows(diff: Diff, kind: str, limit: int, count: int) -> str:
    if not count or not limit:
        return ""
    table = diff.head(kind, limit)
    mark = "add" if kind == "added" else "del"
    lines = [f'<tr class="{mark}">{_cells(row)}</tr>' for row in table.to_pylist()]
    return _table(f"{kind.capitalize()} rows", table.column_names, lines, count - limit)


def _cells(row: Mapping[str, Any]) -> str:
    return "".join(f"<td>{_cell(value)}</td>" for value in row.values())


def _table(title: str, names: Iterable[str], lines: Iterable[str], rest: int) -> str:
    head = "".join(f"<th>{html_text(name, None)}</th>" for name in names)
    more = f'<p class="rest">{rest:,} more are not shown.</p>' if rest > 0 else ""
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<h2>{title}</h2><div class="scroll">{body}</div>{more}'


def _cell(value: Any) -> str:
    if value is None:
        return '<span class="null">null</span>'
    return html_text(value, _LONGEST)
