"""A report as a page: the verdict first, then what failed with its rows, then every check and how it was settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dataplat.validation import _page as page_of
from dataplat.validation._page import Html, cards, contents, meter, section, table, tag, text
from dataplat.validation.report import HOW, CheckOutcome, Example, Report, short_part

_TONES: Final = {"passed": "good", "failed": "bad", "warned": "warn", "could not check": "bad", "not asked": ""}
_WORDS: Final = {
    "passed": "passed",
    "failed": "failed",
    "warned": "warning",
    "could not check": "not checked",
    "not asked": "not asked",
}
_ORDER: Final = ("could not check", "failed", "warned", "not asked", "passed")
_MEANINGS: Final = {
    "proven": "exact statistics, or the way the rows are kept, say it: no row was read",
    "remembered": "the same parts were judged before",
    "scanned": "the values were read that statistics leave open",
    "sampled": "some of the values were read",
    "skipped": "no value was read",
}
_SHOWN: Final = 20
_WHOLE: Final = "the whole"


def page(report: Report) -> str:
    """Return the report as one HTML document that needs no network."""
    title = f"{report.data or 'data'}: contract {report.contract}"
    return page_of.document(f"{title} is {'met' if report.ok else 'not met'}", _body(report))


def fragment(report: Report) -> str:
    """Return what a notebook shows: the verdict and the checks."""
    return page_of.fragment(_head(report) + _cards(report) + _checks(report))


def _body(report: Report) -> str:
    failing = [check for check in _sorted(report.checks) if check.status != "passed"]
    parts = [("all checks", "Checks", _checks(report))]
    if failing:
        parts.insert(0, ("what failed", "What did not pass", Html("".join(_failure(check) for check in failing))))
    parts += [
        ("each column", "Column by column", _columns(report)),
        ("how settled", "How checks were settled", _settled(report)),
    ]
    parts += [(f"beside {at}", title, Html(body)) for at, (title, body) in enumerate(report.pictures())]
    links = contents("Sections", [(id, name) for id, name, _ in parts])
    sections = "".join(section(name, body, id=id) for id, name, body in parts)
    return _head(report) + _cards(report) + links + sections


def _head(report: Report) -> Html:
    version = f" · version <code>{text(report.version[:12])}</code>" if report.version else ""
    strict = " · strict" if report.strict else ""
    verdict = tag("met", "good") if report.ok else tag("not met", "bad")
    return Html(
        f"<h1>{text(report.data or 'Data')} <span class='soft'>held to</span> {text(report.contract)} {verdict}</h1>"
        f"<p class='soft'>contract <code>{text(report.contract_id[:12])}</code>{version}{strict}</p>"
    )


def _cards(report: Report) -> Html:
    passed = sum(check.status == "passed" for check in report.checks)
    items: list[tuple[str, object, str]] = [
        ("rows", f"{report.rows:,}", ""),
        ("checks passed", f"{passed:,} of {len(report.checks):,}", "good" if report.ok else "bad"),
        ("settled for certain", f"{report.coverage:.0%}", "good" if report.coverage == 1 else "warn"),
    ]
    items += [(way, f"{count:,}", "") for way, count in report.how.items()]
    if report.seconds is not None:
        items.append(
            ("took", f"{report.seconds:.2f} s" if report.seconds >= 0.1 else f"{report.seconds * 1000:.1f} ms", "")
        )
    return cards(items)


def _failure(check: CheckOutcome) -> Html:
    count = "" if check.failing is None else f"<p>{check.failing:,} of {check.rows:,} rows</p>"
    detail = f"<p>{text(check.detail)}</p>" if check.detail else ""
    title = Html(f"{text(check.title)} {tag(_WORDS[check.status], _TONES[check.status])}")
    return section(title, count + detail + _examples(check), id=f"check-{check.title}-{check.number}", level=3)


def _examples(check: CheckOutcome) -> Html:
    if not check.examples:
        return Html("")
    keys = [name for name, _ in check.examples[0].key]
    shown = check.examples[:_SHOWN]
    in_parts = any(example.part for example in shown)
    heads = [*keys, "value", *(["part"] if in_parts else []), "row"]
    rows = [_row(example, in_parts=in_parts) for example in shown]
    more = (check.failing or 0) - len(rows)
    caption = f"Rows that fail {check.title}" + (f": the first {len(rows):,}, and {more:,} more" if more > 0 else "")
    return table(caption, heads, rows, numbers=[len(heads) - 1])


def _row(example: Example, *, in_parts: bool) -> list[object]:
    keys = [_value(value) for _, value in example.key]
    place = "" if example.position is None else f"{example.position:,}"
    part = [Html(f"<code>{text(short_part(example.part or ''))}</code>")] if in_parts else []
    return [*keys, _value(example.value), *part, place]


def _value(value: str | None) -> object:
    return Html("<span class='soft'>null</span>") if value is None else value


def _checks(report: Report) -> Html:
    rows = [
        [
            check.column or _WHOLE,
            Html(f"<code>{text(check.name, 120)}</code>"),
            tag(_WORDS[check.status], _TONES[check.status]),
            _counted(check),
            check.how,
            check.severity,
        ]
        for check in _sorted(report.checks)
    ]
    heads = ["column", "check", "verdict", "failing rows", "settled", "severity"]
    return table(f"All {len(rows):,} checks", heads, rows, numbers=[3], seen=False)


def _counted(check: CheckOutcome) -> str:
    return "" if check.failing is None or check.status == "not asked" else f"{check.failing:,}"


def _sorted(checks: Sequence[CheckOutcome]) -> list[CheckOutcome]:
    return sorted(checks, key=lambda check: _ORDER.index(check.status))


def _columns(report: Report) -> Html:
    """Return a line per column: how many checks it has, and which share of its rows fails the worst of them."""
    names = list(dict.fromkeys(check.column or _WHOLE for check in report.checks))
    rows = []
    for name in names:
        checks = [check for check in report.checks if (check.column or _WHOLE) == name]
        bad = [check for check in checks if not check.ok or check.status == "warned"]
        worst = max((check.failing or 0 for check in checks), default=0)
        share = worst / report.rows if report.rows else 0.0
        verdict = tag(f"{len(bad)} did not pass", "bad") if bad else tag("passed", "good")
        label = f"{share:.2%} of the rows of {name} fail its worst check"
        rows.append([name, len(checks), verdict, f"{share:.2%}", meter(share, label, "bad" if share else "")])
    heads = ["column", "checks", "verdict", "rows that fail", "share"]
    return table("Columns, and the share of rows that fail their worst check", heads, rows, numbers=[1, 3])


def _settled(report: Report) -> Html:
    rows = []
    for way in HOW:
        checks = report.how.get(way, 0)
        settled = sum(count for check in report.checks for each, count in check.settled if each == way)
        if checks or settled:
            rows.append([way, _MEANINGS[way], f"{checks:,}", f"{settled:,}"])
    heads = ["way", "meaning", "checks (their dearest way)", "rows × checks"]
    return table("How checks were settled, the cheapest way first", heads, rows, numbers=[2, 3])
