"""A profile as a page: an overview, then each column with its picture, quantiles, frequent values and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataplat.validation._page import (
    Html,
    bars,
    cards,
    contents,
    document,
    fragment,
    meter,
    section,
    slug,
    table,
    tag,
    text,
)
from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._dict import QUANTILES
from dataplat.validation.profile._format import figure, share, shown, span
from dataplat.validation.profile._shape import Shape, shape_of
from dataplat.validation.profile._text import distinct_text, headline

if TYPE_CHECKING:
    from dataplat.validation.profile._profile import Profile

_TONES = ((0.5, "bad"), (0.05, "warn"), (0.0, ""))
_VALUES, _PATTERNS = 10, 8


def page_of(profile: Profile) -> str:
    """Return a document of its own."""
    return document(headline(profile), _body(profile))


def fragment_of(profile: Profile) -> str:
    """Return what a notebook shows."""
    return fragment(_body(profile))


def _body(profile: Profile) -> str:
    columns = list(profile.columns.values())
    missing = sum(column.nulls + column.nans for column in columns)
    cells = sum(column.rows for column in columns)
    head = [
        f"<h1>Profile of {text(profile.title)}</h1>",
        f'<p class="soft code">{text(_source(profile))}</p>',
        cards(
            [
                ("rows", f"{profile.rows:,}", ""),
                ("columns", f"{len(columns):,}", ""),
                ("of all cells missing", share(missing, cells), ""),
                *([("records that cannot be read", f"{profile.unread:,}", "bad")] if profile.unread else []),
            ]
        ),
        contents("Columns", [(column.name, column.name) for column in columns]) if len(columns) > 1 else "",
        _overview(columns),
    ]
    return "".join([*head, *map(_column, columns)])


def columns_of(profile: Profile) -> str:
    """Return the overview of all columns, and each of them, for a page of somebody else."""
    columns = list(profile.columns.values())
    return "".join([_overview(columns), *map(_column, columns)])


def _source(profile: Profile) -> str:
    pieces = [f"version {profile.version[:12]}"] if profile.version else []
    pieces += [f"where {profile.where}"] if profile.where else []
    if profile.version:
        pieces.append(
            f"{profile.parts:,} part{'s' if profile.parts != 1 else ''}, {profile.remembered:,} of them remembered"
        )
    return " · ".join(pieces)


def _overview(columns: list[ColumnProfile]) -> Html:
    rows = []
    for column in columns:
        gone = column.nulls + column.nans
        absent = share(gone, column.rows)
        bar = meter(column.missing, f"{absent} missing", _tone(column.missing)) if gone else ""
        ends = [text(shown(column, end), 32) for end in (column.low, column.high)]
        link = Html(f'<a href="#{slug(column.name)}">{text(column.name, 60)}</a>')
        small = Html(f'<span class="small">{_bars(column, small=True)}</span>')
        rows.append([link, column.family, small, Html(f"{absent}{bar}"), distinct_text(column), *ends])
    heads = ["column", "values", "shape", "missing", "distinct", "least", "greatest"]
    return section("Overview", table("All columns", heads, rows, numbers=[4], seen=False), id="overview of all")


def _column(column: ColumnProfile) -> Html:
    missing = column.nulls + column.nans
    tags = tag(column.family) + (
        " " + tag(f"{share(missing, column.rows)} missing", _tone(column.missing)) if missing else ""
    )
    body = [_picture(column), '<div class="grid">', _facts(column)]
    if column.numeric and column.there:
        body.append(_quantiles(column))
    if column.values is not None and column.frequent():
        body.append(_frequent(column))
    if column.patterns is not None and column.patterns.frequent:
        found = column.patterns.frequent[:_PATTERNS]
        rows = [(Html(f"<code>{text(shape)}</code>"), share(count, column.there)) for shape, count in found]
        body.append(table("Patterns (A, a letters, 9 digits)", ["pattern", "rows"], rows, numbers=[1]))
    if column.times is not None and column.times.gaps():
        body.append(_gaps(column))
    return section(Html(f"{text(column.name)} {tags}"), "".join([*body, "</div>"]), id=column.name)


def _bars(column: ColumnProfile, *, small: bool = False) -> Html:
    shape = shape_of(column)
    if len(shape.counts) < 2:
        return Html("")
    tips = [f"{label}: {count:,} rows" for label, count in zip(shape.labels, shape.counts, strict=True)]
    most = max(range(len(tips)), key=lambda at: shape.counts[at])
    label = f"{_kind(shape)} of {column.name}: {len(tips)} bars from {shape.ends[0]} to {shape.ends[1]}, the highest {tips[most]}"
    return bars(shape.counts, label) if small else bars(shape.counts, label, ends=shape.ends, tips=tips)


def _picture(column: ColumnProfile) -> str:
    shape = shape_of(column)
    if len(shape.counts) < 2:
        return ""
    what = _kind(shape)
    rows = zip(shape.labels, (f"{count:,}" for count in shape.counts), strict=True)
    words = table(f"{what} of {column.name}", ["values", "rows"], rows, numbers=[1], seen=False)
    return (
        f"<figure>{_bars(column)}<figcaption>{what}</figcaption></figure>"
        f"<details><summary>As a table</summary>{words}</details>"
    )


def _kind(shape: Shape) -> str:
    return "Histogram" if shape.ordered else "Most frequent values"


def _facts(column: ColumnProfile) -> Html:
    rows: list[tuple[str, Any]] = [("rows", f"{column.rows:,}"), ("null", f"{column.nulls:,}")]
    if column.family == "float":
        rows += [("NaN", f"{column.nans:,}"), ("−inf, +inf", ", ".join(f"{each:,}" for each in column.infinite))]
    if column.distinct is not None:
        rows.append(("distinct", distinct_text(column)))
        if column.values is not None and not column.values.exact:
            low, high = column.values.distinct_bounds
            rows.append(("distinct, in 19 of 20 cases", f"{low:,} to {high:,}"))
    if column.numeric and column.unit is None:
        rows += [("zero", f"{column.zeros:,}"), ("negative", f"{column.negative:,}")]
        rows += [("mean", figure(column.mean)), ("standard deviation", figure(column.deviation))]
    if column.lengths is not None and len(column.lengths.bins):
        lengths = column.lengths
        many = f"{lengths.low:,} to {lengths.high:,}, {lengths.mean:,.4g} in the mean"
        rows.append(("length", many if lengths.low < lengths.high else f"{lengths.low:,}"))
    return table("Counts", ["what", "figure"], rows, numbers=[1])


def _quantiles(column: ColumnProfile) -> Html:
    found = column.quantile(QUANTILES).tolist()
    rows = [(f"{100 * at:g} %", shown(column, value)) for at, value in zip(QUANTILES, found, strict=True)]
    error = column.likely_rank_error
    how = "exact" if not column.rank_error else f"ranks within {100 * error:.2g} %"
    return table(f"Quantiles, {how}", ["share", "up to"], rows, numbers=[1])


def _frequent(column: ColumnProfile) -> Html:
    rows = [(text(shown(column, value), 80), share(count, column.there)) for value, count in column.frequent(_VALUES)]
    error = column.frequent_error
    how = "" if not error else f", each at most {share(error, column.there)} more"
    return table(f"Frequent values{how}", ["value", "rows"], rows, numbers=[1])


def _gaps(column: ColumnProfile) -> Html:
    assert column.times is not None
    factor = 1 if column.unit == "us" else 86_400_000_000
    rows = [
        (shown(column, start), shown(column, stop), span((stop - start) * factor))
        for start, stop in column.times.gaps(5)
    ]
    width = span(column.times.width * factor)
    return table(f"Longest times without rows, to within 2 × {width}", ["from", "to", "for"], rows, numbers=[2])


def _tone(missing: float) -> str:
    return next((tone for least, tone in _TONES if missing > least), "")
