"""An audit as a page: whether anything was served otherwise than it should have been, why, and what is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dataplat.validation import _page as pages
from dataplat.validation._page import Html, cards, contents, meter, section, table, tag, text

if TYPE_CHECKING:
    from dataplat._features._audit import Audit

_TOLD: Final = 500
"""Differences that are shown."""


def page(found: Audit) -> str:
    """Return it as one HTML document that needs no network."""
    parts = [("served", "As it was served", _served(found)), ("stale", "Stale", _stale(found))]
    links = contents("Sections", [(id, name) for id, name, _ in parts])
    body = _head(found) + links + "".join(section(name, each, id=id) for id, name, each in parts)
    return pages.document(f"Audit of {found.service}", body)


def fragment(found: Audit) -> str:
    """Return what a notebook shows."""
    return pages.fragment(_head(found) + _served(found) + _stale(found))


def _head(found: Audit) -> str:
    differing = sum(found.causes.values())
    verdict = tag("as it should have been", "good") if found.ok else tag("not as it should have been", "bad")
    when = (
        "no request was logged"
        if found.first is None
        else f"{found.first:%Y-%m-%d %H:%M:%S}Z to {found.last:%Y-%m-%d %H:%M:%S}Z"
    )
    figures = [
        ("served rows", f"{found.rows:,}", ""),
        ("cells", f"{found.cells:,}", ""),
        ("snapshots", f"{found.snapshots:,}", ""),
        ("differences", f"{differing:,}", "bad" if differing else "good"),
        ("stale rows", f"{found.stale_rows:,}", "warn" if found.stale_rows else ""),
    ]
    figures += [("cannot be answered again", f"{found.lost:,}", "warn")] if found.lost else []
    return f'<h1>Audit of {text(found.service)} {verdict}</h1><p class="soft">{text(when)}</p>{cards(figures)}'


def _served(found: Audit) -> str:
    from dataplat._features._audit import CAUSES

    if found.ok:
        said = "Each value and status that was logged is what the lake says it should have been, to the last bit."
        return f"<p>{text(said if found.rows else 'Nothing was looked at.')}</p>"
    causes = [(tag(cause, "bad"), f"{count:,}", CAUSES[cause]) for cause, count in found.causes.most_common()]
    told = [
        (
            f"{each.t:%Y-%m-%d %H:%M:%S}Z",
            ", ".join(f"{name}={value}" for name, value in each.entities.items()),
            each.column,
            _cell(each.served, each.served_status),
            _cell(each.replayed, each.replayed_status),
            tag(each.cause, "bad"),
        )
        for each in found.differences[:_TOLD]
    ]
    left = sum(found.causes.values()) - len(told)
    more = f"<p>and {left:,} more</p>" if left else ""
    heads = ["t", "of", "feature", "was served", "should have been", "cause"]
    return (
        table("Causes", ["cause", "cells", "which means that"], causes, numbers=[1])
        + table("Differences", heads, told)
        + more
    )


def _cell(value: Any, status: str) -> str:
    return f"{value}" if status == "present" else f"{'' if value is None else value} ({status})".strip()


def _stale(found: Audit) -> str:
    if not found.stale:
        return "<p>A training set says the same now.</p>" if found.rows else "<p>Nothing was looked at.</p>"
    rows = []
    for name, count in found.stale.most_common():
        share = count / found.rows
        rows.append([name, f"{count:,}", Html(f"{share:.1%}{meter(share, f'{share:.1%} of {name} stale', 'warn')}")])
    return (
        "<p>Served as it should have been, and a training set says otherwise now: of data that came later.</p>"
        + table("By feature", ["feature", "cells", "share"], rows, numbers=[1], seen=False)
    )
