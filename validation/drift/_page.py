"""A comparison as a page: the verdict, what drifts with both histograms, then every column and every figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dataplat.validation import _page as pages
from dataplat.validation._page import Html, cards, contents, section, table, tag, text, twin_bars
from dataplat.validation.drift._measures import METHODS
from dataplat.validation.drift.report import ORDER, ColumnDrift, DriftReport, Verdict

if TYPE_CHECKING:
    from dataplat.validation.drift._shape import Shape
    from dataplat.validation.drift.skew import FeatureSkew, SkewReport

_TONES: Final[dict[Verdict, str]] = {"drift": "bad", "not comparable": "bad", "undecided": "warn", "none": "good"}
_WORDS: Final[dict[Verdict, str]] = {
    "drift": "drift",
    "not comparable": "not comparable",
    "undecided": "undecided",
    "none": "no drift",
}
_MEANINGS: Final[dict[Verdict, str]] = {
    "drift": "the interval of the effect lies above the least effect that counts",
    "not comparable": "the column is gone or of another kind",
    "undecided": "the interval holds the least effect that counts: more rows would tell",
    "none": "the interval of the effect lies below the least effect that counts",
}
_PICTURES: Final = 200  # of columns, those that matter most first


def page(report: DriftReport) -> str:
    """Return the report as one HTML document that needs no network."""
    columns = _ranked(report)
    parts = [("columns", "Columns", _figures(report, columns))]
    parts += [("pictures", "Side by side", _pictures(report, columns))]
    parts += [("reading", "How to read this", _reading(report))]
    links = contents("Sections", [(id, name) for id, name, _ in parts])
    body = _head(report) + links + "".join(section(name, each, id=id) for id, name, each in parts)
    return pages.document(report.summary, body)


def fragment(report: DriftReport) -> str:
    """Return what a notebook shows: the verdict, and every column in a line."""
    return pages.fragment(_head(report) + _figures(report, _ranked(report)))


def skew_page(report: SkewReport) -> str:
    """Return a report of skew as one HTML document: rows first, then distributions."""
    columns = _ranked(report.drift)
    body = (
        _skew_head(report)
        + section("Row by row", _skewed(report))
        + section("Distributions", _figures(report.drift, columns))
        + section("Side by side", _pictures(report.drift, columns))
        + section("How to read this", _reading(report.drift))
    )
    return pages.document(f"Skew is {'within bounds' if report.ok else 'not within bounds'}", body)


def skew_fragment(report: SkewReport) -> str:
    """Return what a notebook shows of skew."""
    figures = _figures(report.drift, _ranked(report.drift))
    return pages.fragment(_skew_head(report) + _skewed(report) + figures)


def side_by_side(report: DriftReport) -> Html:
    """Return figures and pictures of a comparison, for a page of somebody else."""
    columns = _ranked(report)
    return Html(_figures(report, columns) + _pictures(report, columns))


def _ranked(report: DriftReport) -> list[ColumnDrift]:
    def rank(column: ColumnDrift) -> tuple[int, float]:
        effect = column.effect / (column.min_effect or 1)
        return ORDER.index(column.verdict), 0.0 if math.isnan(effect) else -effect

    return sorted(report.columns, key=rank)


def _head(report: DriftReport) -> Html:
    there: list[Verdict] = [verdict for verdict in ORDER if report.counts.get(verdict)]
    worst = there[0] if there else "none"
    title = f"<h1>{text(report.before)} <span class='soft'>→</span> {text(report.after)} {_tag(worst)}</h1>"
    items = [(_WORDS[verdict], f"{count:,}", _TONES[verdict]) for verdict, count in report.counts.items()]
    rows = next((column.rows for column in report.columns if column.slice is None), None)
    if rows:
        items += [("rows before", f"{rows[0]:,}", ""), ("rows after", f"{rows[1]:,}", "")]
    new = (
        f"<p>New columns, with nothing to compare: {text(', '.join(report.new_columns))}</p>"
        if report.new_columns
        else ""
    )
    return Html(title + cards(items) + new)


def _tag(verdict: Verdict) -> Html:
    return tag(_WORDS[verdict], _TONES[verdict])


def _figures(report: DriftReport, columns: Sequence[ColumnDrift]) -> Html:
    heads = [
        "column",
        "verdict",
        "statistic",
        "effect",
        "interval",
        "counts from",
        "p (Holm)",
        "PSI",
        "null before",
        "null after",
    ]
    remarks = any(column.detail for column in columns)
    rows = [
        [
            _name(column),
            _tag(column.verdict),
            f"{column.method} {_figure(column.statistic)}" if column.method else "",
            _figure(column.effect),
            f"{_figure(column.low)} – {_figure(column.high)}" if column.method else "",
            _figure(column.min_effect),
            f"{column.p_adjusted:.2g}" if column.method else "",
            _figure(column.psi),
            *(_share(nulls, rows) for nulls, rows in zip(column.nulls, column.rows, strict=True)),
            *([column.detail] if remarks else []),
        ]
        for column in columns
    ]
    heads += ["remark"] if remarks else []
    return table(
        f"{len(rows):,} columns of {report.before} and {report.after}", heads, rows, numbers=range(3, 10), seen=False
    )


def _name(column: ColumnDrift) -> str:
    return column.column if column.slice is None else f"{column.column} [{column.slice}]"


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _share(count: int, rows: int) -> str:
    return f"{count / rows:.2%}" if rows else ""


def _pictures(report: DriftReport, columns: Sequence[ColumnDrift]) -> Html:
    drawn = [column for column in columns if column.shape is not None]
    key = (
        f"<p><span class='key one'></span>{text(report.before)} <span class='key two'></span>{text(report.after)}; "
        "shares of the rows of each</p>"
    )
    figures = "".join(_picture(column, column.shape) for column in drawn[:_PICTURES] if column.shape is not None)
    rest = len(drawn) - _PICTURES
    more = f"<p class='soft'>{rest:,} more columns are in the table above</p>" if rest > 0 else ""
    return Html(f"{key}<div class='grid'>{figures}</div>{more}")


def _picture(column: ColumnDrift, shape: Shape) -> Html:
    tips = [
        f"{label}: {one:.2%} before, {two:.2%} after"
        for label, one, two in zip(shape.labels, shape.before, shape.after, strict=True)
    ]
    most = max(range(len(tips)), key=lambda at: abs(shape.before[at] - shape.after[at]), default=None)
    said = f"{_name(column)}: {_WORDS[column.verdict]}" + (
        "" if most is None else f"; they differ most in {tips[most]}"
    )
    ends = (shape.labels[0], shape.labels[-1]) if shape.labels else ("", "")
    picture = twin_bars(shape.before, shape.after, said, ends=ends, tips=tips)
    rows = [
        (label, f"{one:.2%}", f"{two:.2%}")
        for label, one, two in zip(shape.labels, shape.before, shape.after, strict=True)
    ]
    values = table(
        f"Shares of the rows of {_name(column)}", ["bin", "before", "after"], rows, numbers=(1, 2), seen=False
    )
    return Html(
        f"<figure><h3>{text(_name(column))} {_tag(column.verdict)}</h3>{picture}"
        f"<figcaption>{text(_caption(column))}</figcaption><details><summary>shares in figures</summary>{values}</details></figure>"
    )


def _caption(column: ColumnDrift) -> str:
    if not column.method:
        return column.detail
    method = METHODS[column.method]
    usual = f"; widened by what {column.history} batches of its history differ" if column.history else ""
    return (
        f"{method.title}: {method.effect} {_figure(column.effect)}, between {_figure(column.low)} and "
        f"{_figure(column.high)}, counts from {_figure(column.min_effect)}{usual}"
    )


def _reading(report: DriftReport) -> Html:
    meanings = [(Html(_tag(verdict)), _MEANINGS[verdict]) for verdict in ORDER]
    used = [METHODS[name] for name in METHODS if any(column.method == name for column in report.columns)]
    methods = "".join(
        f"<p><code>{text(m.name)}</code>: {text(m.title)}; its effect is {text(m.effect)}</p>" for m in used
    )
    return Html(
        table("Verdicts", ["verdict", "meaning"], meanings, seen=False)
        + methods
        + f"<p>Intervals hold for all columns together, but for {report.alpha:.3g} of such reports; p-values are corrected "
        "by Holm. An effect is what the statistic found, less what chance is expected to add.</p>"
    )


# ------------------------------------------------------------------------------------------------------------ skew


def _skew_head(report: SkewReport) -> Html:
    skewed = sum(feature.share > report.max_share for feature in report.features)
    verdict = tag("no skew", "good") if report.ok else tag("skew", "bad")
    items = [(_WORDS[verdict], f"{count:,}", _TONES[verdict]) for verdict, count in report.drift.counts.items()]
    if report.features:
        items = [
            ("features that differ in rows", f"{skewed:,} of {len(report.features):,}", "bad" if skewed else "good"),
            ("served rows", f"{report.served:,}", ""),
            ("with training beside them", f"{report.joined:,}", "" if report.joined else "bad"),
            *items,
        ]
    title = f"<h1>{text(report.drift.before)} <span class='soft'>trained,</span> {text(report.drift.after)} "
    return Html(f"{title}<span class='soft'>served</span> {verdict}</h1>{cards(items)}")


def _skewed(report: SkewReport) -> Html:
    if not report.features:
        return Html("<p class='soft'>Rows were not joined: name the columns of the entity.</p>")
    ranked = sorted(report.features, key=lambda feature: -feature.share)
    rows = [
        [
            each.feature,
            tag("skew", "bad") if each.share > report.max_share else tag("no skew", "good"),
            f"{each.differing:,}",
            f"{each.share:.2%}",
            "" if each.error is None else f"{each.error:.4g}",
        ]
        for each in ranked
    ]
    heads = ["feature", "verdict", "rows that differ", "share", "mean difference"]
    figures = table(f"Features in {report.joined:,} rows of both sides", heads, rows, numbers=(2, 3, 4))
    return Html(figures + "".join(_worst(each) for each in ranked if each.worst))


def _worst(feature: FeatureSkew) -> Html:
    heads = list(feature.worst[0])
    rows = [["null" if value is None else value for value in row.values()] for row in feature.worst]
    found = table(f"Rows in which {feature.feature} differs most", heads, rows, seen=False)
    return Html(f"<details><summary>rows in which {text(feature.feature)} differs most</summary>{found}</details>")
