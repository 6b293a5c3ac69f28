"""The page and the text of a profile: true, whole in one file, and for phones, keyboards and screen readers."""

import datetime as dt
import itertools
import json
import re

import numpy as np
import pyarrow as pa
import pytest

from dataplat._profile import profile
from dataplat.cli._output import json_text
from dataplat.validation.profile._format import figure, share, span
from dataplat.validation.profile._shape import shape_of
from dataplat.validation.profile._text import sparkline


def found():
    """Return a profile with a column of every family, and names and values that would break out of a page."""
    draw = np.random.default_rng(1)
    size = 3_000
    minutes = np.where(draw.random(size) < 0.5, draw.integers(0, 9_000, size), draw.integers(20_000, 30_000, size))
    return profile(
        pa.table(
            {
                "number <b>": pa.array(draw.normal(size=size), mask=draw.random(size) < 0.2),
                "wild": 10.0 ** draw.uniform(-300, 300, size),
                "ends": draw.choice([np.inf, -np.inf, np.nan, 1.0], size),
                "count": draw.poisson(40, size),
                "id": np.arange(size),
                "text": draw.choice(["<script>", "Ab-12", "\x00\u202e"], size),
                "key": [f"K{number}" for number in range(size)],
                "flag": draw.random(size) < 0.1,
                "when": pa.array(np.sort(minutes) * 60_000_000).view(pa.timestamp("us", "UTC")),
                "day": pa.array(draw.integers(0, 400, size).astype(np.int32)).view(pa.date32()),
                "clock": pa.array(draw.integers(0, 86_399, size).astype(np.int32)).view(pa.time32("s")),
                "long": pa.array(draw.integers(0, 10**9, size)).view(pa.duration("us")),
                "money": pa.array(draw.integers(0, 10**4, size)).cast(pa.decimal128(20, 0)),
                "list": [["x"] * int(number) for number in draw.poisson(2, size)],
                "bytes": [b"\xff", b""] * (size // 2),
                "gone": pa.nulls(size, pa.float64()),
                "nothing": pa.nulls(size),
            }
        )
    )


@pytest.fixture(scope="module")
def seen():
    """Return one such profile, for all tests."""
    return found()


@pytest.fixture
def page(seen, browser, tmp_path):
    """Open the page without a network; an error or a request fails the test."""
    path = tmp_path / "page.html"
    path.write_text(seen.to_html(), encoding="utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    wrong = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith("file:") else None)
    opened.goto(path.as_uri())
    yield opened
    context.close()
    assert not wrong


def test_a_page_needs_nothing_beside_itself(seen):
    """No script, file or address is asked for, and values and names are text."""
    html = seen.to_html()
    assert not re.search(r"<script|<link|https?://|src=|@import|url\(", html)
    assert "number <b>" not in html
    assert "\x00" not in html


def test_the_page_says_what_the_profile_says(page, seen):
    """A line for each column in the overview, and a section with its counts, quantiles and a picture told in words."""
    rows = page.locator("#s-overview_20_of_20_all tbody tr")
    assert rows.count() == len(seen.columns)
    assert rows.first.locator("th").inner_text() == "number <b>"
    section = page.locator("main > section").nth(1)
    column = seen["number <b>"]
    cells = section.locator("table").filter(has_text="figure").locator("tbody tr").all_inner_texts()
    assert f"null\t{column.nulls:,}" in cells
    assert f"mean\t{figure(column.mean)}" in cells
    assert f"50 %\t{figure(column.quantile(0.5))}" in section.locator("tbody tr").all_inner_texts()
    label = str(section.locator("svg").get_attribute("aria-label"))
    assert label.startswith("Histogram of number <b>: ")
    section.locator("summary").click()
    told = section.locator("details tbody tr").all_inner_texts()
    shape = shape_of(column)
    assert told == [f"{name}\t{count:,}" for name, count in zip(shape.labels, shape.counts, strict=True)]


def test_the_page_is_read_by_keyboard_and_screen_reader(page):
    """One main, headings in order, tables with heads, what scrolls can be reached, pictures have words."""
    assert page.locator("main").count() == page.locator("h1").count() == 1
    levels = [int(name[1]) for name in page.locator("h1,h2,h3").evaluate_all("all => all.map(e => e.tagName)")]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.locator("table").count() == page.locator("[role=region][tabindex='0'][aria-label] > table").count()
    assert page.locator("table:not(:has(th[scope=col]))").count() == 0
    assert page.locator("[role=img]:not([aria-label])").count() == page.locator("svg:not([role=img])").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    links = page.locator("a[href^='#']").evaluate_all("all => all.map(e => e.getAttribute('href').slice(1))")
    assert set(links) <= set(ids)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_fits(page, scheme, width):
    """On a phone nothing but tables scrolls sideways, with all details open, in light and dark."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_notebook_shows_a_fragment(seen):
    """In a notebook a profile is a piece of a page."""
    assert seen._repr_html_().startswith('<div class="dp">')
    assert "<html" not in seen._repr_html_()


def test_the_text_has_a_line_for_each_column(seen):
    """A profile prints as a table, without characters that would disturb it."""
    lines = repr(seen).splitlines()
    assert lines[0] == "the Table: 3,000 rows × 17 columns"
    assert len(lines) == 2 + len(seen.columns)
    assert all(character.isprintable() for line in lines for character in line)


def test_the_dictionary_is_json(seen):
    """What machines get has no value that JSON has not; times are texts."""
    told = json.loads(json_text(seen.to_dict()))["columns"]
    assert set(told) == set(seen.columns)
    assert told["when"]["low"].endswith("Z")
    assert len(told["when"]["gaps"]) >= 1
    assert sum(number for _, number in told["when"]["gaps_of_at_least_seconds"]) >= len(told["when"]["gaps"])
    assert told["clock"]["deviation_seconds"] == pytest.approx(86_400 / 12**0.5, rel=0.05)
    assert told["day"]["quantiles"]["0"] == "1970-01-01"
    assert told["ends"]["quantiles"]["0"] == "-inf"
    assert told["gone"]["quantiles"]["0.5"] is None
    assert sum(count for _, count in told["count"]["histogram"]) == 3_000


@pytest.mark.parametrize(
    "name", ["number <b>", "wild", "count", "id", "when", "day", "long", "money", "flag", "list", "clock"]
)
def test_bars_hold_all_rows(seen, name):
    """Every row that holds a value is in a bar, in about as many bars as were asked for."""
    column = seen[name]
    for bars in (4, 24):
        shape = shape_of(column, bars)
        assert abs(sum(shape.counts) - column.there) <= 2 * column.rank_error * column.there
        assert len(shape.labels) == len(shape.counts)
        if column.numeric:
            assert 1 <= len(shape.counts) <= bars + 2


def test_bars_of_whole_numbers_hold_whole_numbers():
    """As many numbers lie in any two bars, so that even data looks even."""
    shape = shape_of(profile(pa.table({"x": range(100)}))["x"], 10)
    assert shape.counts == (10,) * 10
    assert shape.labels[:2] == ("0 – 9", "10 – 19")
    assert shape.ends == ("0", "99")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567.0, "1.23457e+06"), (1e-9, "1.00000e-09"), (12345, "12,345"), (np.inf, "+inf"), (None, "")],
)
def test_figures_are_short(value, text):
    """Numbers are told in six digits."""
    assert figure(value) == text


def test_shares_are_not_rounded_to_nothing_or_all():
    """One row of a million is not none, and all but one are not all."""
    assert [share(part, 10**6) for part in (0, 1, 500_000, 999_999, 10**6)] == [
        "0 %",
        "0.01 %",
        "50.00 %",
        "99.99 %",
        "100 %",
    ]


def test_durations_are_in_their_largest_unit():
    """From microseconds to days."""
    assert [span(each) for each in (3, 2_500, 90_000_000, 86_400_000_000)] == ["3 µs", "2.5 ms", "1.5 min", "1 d"]


def test_sparklines_show_what_is_there():
    """One in a million is seen, nothing is not."""
    assert sparkline((10**6, 1, 0)) == "█▁ "


def test_times_that_no_calendar_has_are_told():
    """Times beyond the years that Python knows are told as numbers."""
    column = profile(pa.table({"x": pa.array([2**62], pa.int64()).view(pa.timestamp("us"))}))
    assert f"{2**62:,} µs since 1970" in repr(column)
    assert column.to_dict()["columns"]["x"]["low"] == f"{2**62:,} µs since 1970"
    assert dt.MAXYEAR == 9999
