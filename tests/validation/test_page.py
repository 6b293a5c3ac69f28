"""The page of a report: whole in one file, readable by machine, keyboard and eye, and true."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pandera.polars as pdr
import pyarrow as pa
import pytest

from dataplat.validation import Contract, Report

SCHEMA = pdr.DataFrameSchema(
    {
        "id": pdr.Column(int, unique=True),
        "name": pdr.Column(str, pdr.Check.str_matches("^[a-z]+$")),
        "amount": pdr.Column(float, [pdr.Check.ge(0), pdr.Check.le(100, raise_warning=True)], nullable=True),
        "broken": pdr.Column(int, pdr.Check(lambda _: "no boolean"), required=False),
    },
    name="Payments <script>",
)
TABLE = pa.table(
    {
        "id": [1, 2, 2, 4],
        "name": ["ok", "<b>bold</b>", "fine", "good"],
        "amount": [1.0, -5.0, None, 500.0],
        "broken": [1, 2, 3, 4],
    }
)


def judged() -> Report:
    """Return a report with every kind of outcome."""
    return Contract(SCHEMA).validate(TABLE, key=["id"])


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    """Open the page, with no network; errors of the console fail the test."""
    path = tmp_path / "report.html"
    path.write_text(judged().to_html(), encoding="utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None)
    opened.goto(path.as_uri())
    yield opened
    context.close()
    assert not wrong


def test_a_page_needs_nothing_beside_itself() -> None:
    """No script, no link to a file, no address: what a page shows is in it, and values are text."""
    html = judged().to_html()
    assert not re.search(r"<script|<link|https?://|src=|@import|url\(", html.replace("http://www.w3.org", ""))
    assert "<b>bold</b>" not in html
    assert "&lt;b&gt;bold" in html


def test_the_page_says_what_the_report_says(page: Any) -> None:
    """Verdict, counts, failing rows with their keys, and of each check how it was settled."""
    assert "not met" in page.locator("h1").inner_text()
    checks = page.locator("#s-all_20_checks tbody tr")
    report = judged()
    assert checks.count() == len(report.checks)
    text = page.locator("#s-what_20_failed").inner_text()
    assert "<b>bold</b>" in text
    assert "1 of 4 rows" in text
    assert "TypeError" in text
    assert {"passed", "failed", "warning", "not checked"} <= set(checks.locator("td .tag").all_inner_texts())
    for way in report.how:
        assert page.locator("#s-how_20_settled").get_by_text(way, exact=True).count()


def test_the_page_is_read_by_keyboard_and_screen_reader(page: Any) -> None:
    """One main, one first heading, headings in order, tables with heads and captions, all that scrolls can be reached."""
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
    assert all(
        link[1:] in ids for link in page.locator("a").evaluate_all("all => all.map(e => e.getAttribute('href'))")
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits(page: Any, scheme: str, width: int) -> None:
    """On a phone nothing is cut or scrolls sideways but tables; text stands out from its ground in light and dark."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_CONTRAST) >= 4.5


_CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b) };
  const ground = e => { while (e) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; e = e.parentElement } return [255, 255, 255] };
  let least = 21;
  for (const e of document.querySelectorAll('.dp *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest('style,svg')) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    least = Math.min(least, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return least }"""


def test_junit_is_read_by_machines() -> None:
    """A case per check: failures, errors and examples are where build servers look for them."""
    report = judged()
    (suite,) = ET.fromstring(report.to_junit())  # noqa: S314 (we wrote it)
    assert int(suite.get("tests", 0)) == len(report.checks) == len(suite.findall("testcase"))
    assert int(suite.get("failures", 0)) == len(suite.findall("testcase/failure")) == 3
    assert int(suite.get("errors", 0)) == len(suite.findall("testcase/error")) == 1
    assert "-5.0 (id=2)" in "".join(each.text or "" for each in suite.findall("testcase/failure"))


def test_a_notebook_shows_a_fragment() -> None:
    """In a notebook a report is its verdict and its checks, in a page of somebody else."""
    shown = judged()._repr_html_()
    assert shown.startswith('<div class="dp">')
    assert "<html" not in shown
