"""A training set as a page: of what it was made, how its cells came to be, and what its columns hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat.feature_store.status import NAMES
from dataplat.validation import _page as pages
from dataplat.validation._page import Html, cards, contents, meter, section, table, tag, text

if TYPE_CHECKING:
    from dataplat._features._set import TrainingSet

_MEANINGS: Final = {
    "present": "the value of a row that was known",
    "null": "the newest row has no value, or nothing with a value is in the window",
    "defaulted": "the feature's default stands in",
    "missing_key": "nobody had heard of the key yet",
    "not_yet": "only rows of the future were known",
    "expired": "the newest row was older than the ttl",
    "error": "an on-demand expression failed",
}


def page(made: TrainingSet) -> str:
    """Return it as one HTML document that needs no network."""
    from dataplat._profile import profile
    from dataplat.validation.profile._html import columns_of

    parts = [("cells", "How cells came to be", _cells(made)), ("made", "Of what it is made", _made(made))]
    links = contents("Sections", [*((id, name) for id, name, _ in parts), ("overview of all", "What columns hold")])
    found = profile(made.table.select(_shown(made)))
    body = _head(made) + links + "".join(section(name, each, id=id) for id, name, each in parts) + columns_of(found)
    return pages.document(f"Training set of {made.recipe.service.reference}", body)


def fragment(made: TrainingSet) -> str:
    """Return what a notebook shows."""
    return pages.fragment(_head(made) + _cells(made))


def _shown(made: TrainingSet) -> list[str]:
    """Return the columns, without those that say how others came to be."""
    return [name for name in made.table.schema.names if not name.endswith(("__status", "__age"))]


def _head(made: TrainingSet) -> str:
    report = made.report
    cells = report.rows * len(report.statuses)
    present = sum(told.get("present", 0) for told in report.statuses.values())
    figures = [
        ("rows", f"{report.rows:,}", ""),
        ("features", f"{len(report.statuses):,}", ""),
        ("of all cells present", _percent(present / cells) if cells else "-", ""),
    ]
    figures += [("left out: label not known yet", f"{report.immature:,}", "warn")] if report.immature else []
    figures += [("without a label", f"{report.unlabelled:,}", "warn")] if report.unlabelled else []
    return (
        f"<h1>Training set of {text(made.recipe.service.reference)}</h1>"
        f'<p class="soft code">id {text(made.id[:12])} · closure {text(made.closure[:12])}</p>'
        f"{cards(figures)}"
    )


def _cells(made: TrainingSet) -> str:
    statuses, rows = made.report.statuses, made.report.rows
    seen = [word for word in NAMES if any(told.get(word) for told in statuses.values())]
    lines = []
    for name, told in statuses.items():
        share = told.get("present", 0) / rows if rows else 0.0
        said = _percent(share)
        bar = meter(share, f"{said} of {name} present", "" if share > 0.5 else "warn")
        lines.append([name, Html(f"{said}{bar}"), *(f"{told.get(word, 0):,}" for word in seen)])
    counted = table(
        "Cells by status", ["feature", "share present", *seen], lines, numbers=list(range(2, len(seen) + 2)), seen=False
    )
    words = table("What they mean", ["status", "meaning"], [(tag(word), _MEANINGS[word]) for word in seen])
    return counted + words


def _percent(share: float) -> str:
    """Return a share; 100 % is all, and 0 % is none."""
    said = f"{share:.1%}"
    return {"100.0%": "100%" if share == 1 else "> 99.9%", "0.0%": "0%" if share == 0 else "< 0.1%"}.get(said, said)


def _made(made: TrainingSet) -> str:
    recipe, report = made.recipe, made.report
    rows = [("source", name, version[:12]) for name, version in sorted(made.pins.items())]
    rows += [("spine", name, version[:12]) for name, version in recipe.spine.pins]
    if recipe.labels is not None:
        rows.append(("labels", recipe.labels.dataset, recipe.labels.id[:12]))
    found: str = table("Versions", ["what", "dataset", "version"], rows)
    if any(report.ties.values()):
        ties = [(view, f"{count:,}") for view, count in sorted(report.ties.items())]
        found += table("Rows of which the newest one tied with another", ["view", "rows"], ties, numbers=[1])
    return found
