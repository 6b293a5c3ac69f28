"""The pages of drift and skew: whole in one file, true, and for phones, keyboards and screen readers."""

import itertools
import re

import numpy as np
import pyarrow as pa
import pytest

from dataplat.validation.drift import Question, TableColumns, drift_between
from dataplat.validation.drift.skew import Pairing, SkewReport, row_skew


def report():
    """Return a report with every verdict."""
    draw = np.random.default_rng(1)
    before = {
        "moved <b>": draw.normal(size=30_000),
        "same": draw.normal(size=30_000),
        "few": ["a", "b", "c"] * 10_000,
        "kind": range(30_000),
        "count": draw.poisson(3, 30_000),
    }
    after = {
        "moved <b>": draw.normal(0.5, size=30_000),
        "same": draw.normal(size=30_000),
        "few": (["a"] * 5 + ["c"] * 4 + ["b"] * 3) * 2500,
        "kind": ["x"] * 30_000,
        "count": pa.array(draw.poisson(3, 30_000), mask=np.arange(30_000) % 40 == 0),
    }
    sides = TableColumns.of(pa.table(before)), TableColumns.of(pa.table(after))
    return drift_between(*sides, Question(min_effect=0.03), titles=("v1 <i>", "v2"))


def skewed():
    """Return a report of skew."""
    one = pa.table({"id": range(500), "x": np.linspace(0, 1, 500), "word": ["w"] * 500})
    two = pa.table({"id": range(500), "x": np.linspace(0, 1.1, 500), "word": ["<w>", *["w"] * 499]})
    features, joined = row_skew(one, two, Pairing(["id"]))
    found = drift_between(TableColumns.of(one), TableColumns.of(two), titles=("training", "serving"))
    return SkewReport(found, features, 500, joined)


@pytest.fixture(params=[report, skewed], ids=["drift", "skew"])
def page(request, browser, tmp_path):
    """Open the page without a network; an error or a request fails the test."""
    path = tmp_path / "page.html"
    path.write_text(request.param().to_html(), encoding="utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    wrong = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith("file:") else None)
    opened.goto(path.as_uri())
    yield opened
    context.close()
    assert not wrong


@pytest.mark.parametrize("made", [report, skewed])
def test_a_page_needs_nothing_beside_itself(made):
    """No script, file or address is asked for, and values and names are text."""
    html = made().to_html()
    assert not re.search(r"<script|<link|https?://|src=|@import|url\(", html)
    assert "<b>" not in re.sub(r"<b class=\"\w*\">", "", html)
    assert "<w>" not in html


def test_every_verdict_is_in_the_report():
    """The page that is looked at has them all."""
    assert set(report().counts) == {"drift", "not comparable", "undecided", "none"}


def test_the_page_says_what_the_report_says(browser, tmp_path):
    """A line per column, what drifts first, a picture of both sides with its shares in figures and in words."""
    found = report()
    path = tmp_path / "page.html"
    path.write_text(found.to_html(), encoding="utf-8")
    opened = browser.new_page()
    opened.goto(path.as_uri())
    rows = opened.locator("#s-columns tbody tr")
    assert rows.count() == len(found.columns)
    assert rows.first.locator("th").inner_text() == "moved <b>"
    words = {"none": "no drift"}
    verdicts = opened.locator("#s-columns tbody td .tag").all_inner_texts()
    assert sorted(verdicts) == sorted(words.get(column.verdict, column.verdict) for column in found.columns)
    drawn = [column for column in found.columns if column.shape is not None]
    pictures = opened.locator("#s-pictures svg")
    assert pictures.count() == len(drawn)
    assert all("they differ most in" in str(each.get_attribute("aria-label")) for each in pictures.all())
    (moved,) = [column for column in drawn if column.column == "moved <b>"]
    opened.locator("#s-pictures summary").first.click()
    cells = opened.locator("#s-pictures figure").first.locator("tbody tr").first.locator("th,td").all_inner_texts()
    assert cells == [moved.shape.labels[0], f"{moved.shape.before[0]:.2%}", f"{moved.shape.after[0]:.2%}"]
    opened.close()


def test_the_page_is_read_by_keyboard_and_screen_reader(page):
    """One main, headings in order, tables with heads, what scrolls can be reached, pictures have words."""
    assert page.locator("main").count() == page.locator("h1").count() == 1
    levels = [int(name[1]) for name in page.locator("h1,h2,h3").evaluate_all("all => all.map(e => e.tagName)")]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.locator("table").count() == page.locator("[role=region][tabindex='0'][aria-label] > table").count()
    assert page.locator("table:not(:has(th[scope=col]))").count() == 0
    assert page.locator("[role=img]:not([aria-label])").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_fits(page, scheme, width):
    """On a phone nothing but tables scrolls sideways, with all details open, in light and dark."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_notebook_shows_a_fragment():
    """In a notebook a report is its verdict and its columns, in a page of somebody else."""
    for made in (report, skewed):
        shown = made()._repr_html_()
        assert shown.startswith('<div class="dp">')
        assert "<html" not in shown
