"""What is printed: aligned, human, and JSON that loses nothing."""

import datetime as dt
import io
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from dataplat.cli import _output as out


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (5 * 10**15, "5000.0 TB"), (None, "-")],
)
def test_sizes(count, text):
    """Sizes are decimal, with one digit from kB upward."""
    assert out.size(count) == text


@pytest.mark.parametrize(("count", "text"), [(0.0304, "30 ms"), (2.413, "2.41 s"), (185.2, "3 min 05 s")])
def test_durations(count, text):
    """Durations have the unit that fits."""
    assert out.seconds(count) == text


def test_moments_are_utc():
    """A time is shown in UTC, whatever zone it came in; microseconds count from the epoch."""
    east = dt.datetime(2026, 11, 24, 8, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert out.moment(east) == "2026-11-24 06:00:00Z"
    assert out.moment(0) == "1970-01-01 00:00:00Z"
    assert out.moment(None) == "-"


def test_tables_align(monkeypatch):
    """Columns are as wide as their widest cell; numbers stand on their right edge; no blanks at line ends."""
    monkeypatch.setenv("NO_COLOR", "1")
    text = out.table(("name", "rows"), [("a", "1"), ("longer", "1,000")], right=("rows",))
    assert text.splitlines() == ["name     rows", "a           1", "longer  1,000"]
    assert out.table(("name", "x"), [("a", "")]).splitlines() == ["name  x", "a"]


def test_colour_only_on_a_terminal(monkeypatch):
    """Colour needs a terminal, and NO_COLOR or a dumb terminal turns it off."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert out.coloured("x", "red", io.StringIO()) == "x"
    assert out.coloured("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert out.coloured("x", "red", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert out.coloured("x", "red", Terminal()) == "x"


def test_cells_stay_on_one_line():
    """Line ends and tabs are made visible, long texts are cut, bytes are shown by their beginning, null is a word."""
    assert out.cell("a\nb\tc") == "a⏎b c"
    assert out.cell("x" * 100) == "x" * 59 + "…"
    assert out.cell("x" * 100, limit=None) == "x" * 100
    assert out.cell(b"bad line,x\n") == r"b'bad line,x\n'"
    assert out.cell(b"x" * 40) == f"b'{'x' * 40}'"
    assert out.cell(b"x" * 2_000_000) == f"b'{'x' * 38}… (2.0 MB)"
    assert out.cell(b"\xff" * 40) == "b'" + r"\xff" * 9 + r"\x… (40 B)"
    assert out.cell(None) == "null"
    assert out.cell(0.1) == "0.1"


def test_facts_leave_out_what_is_not_known():
    """Pairs without a value are not shown, the rest is aligned."""
    assert out.facts([("a", 1), ("long", "x"), ("none", None)]) == "a     1\nlong  x"


def test_arrow_rows_as_text():
    """An Arrow table is shown with its header; numbers on the right."""
    text = out.rows_of(pa.table({"n": [1, 1000], "s": ["a", None]}))
    assert text.splitlines() == ["   n  s", "   1  a", "1000  null"]
    assert out.rows_of(pa.table({"n": [1, 2, 3]}), limit=1).splitlines() == ["n", "1"]
    assert out.rows_of(pa.table({"n": pa.array([], pa.int64())})) == "n"


def test_columns_that_do_not_fit_are_named(monkeypatch):
    """On a narrow terminal columns are left out, and the line below says which."""
    monkeypatch.setattr(out.sys, "stdout", Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "12")
    text = out.rows_of(pa.table({"first": ["xxxxx"], "second": ["yyyyyy"], "third": ["z"]}))
    assert text.splitlines() == ["first", "xxxxx", "(+ 2 columns: second, third)"]


def test_json_loses_nothing():
    """Times are ISO texts, bytes base64, decimals texts, NaN and infinity words: never null in silence."""
    row = {
        "day": dt.date(2013, 1, 1),
        "at": dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
        "long": dt.timedelta(seconds=1.5),
        "raw": b"\xff",
        "exact": Decimal("1.10"),
        "nan": float("nan"),
        "inf": float("-inf"),
        "list": (1, None),
        "deep": {"x": True},
    }
    assert out.plain(row) == {
        "day": "2013-01-01",
        "at": "2013-01-01T00:00:00+00:00",
        "long": 1.5,
        "raw": "/w==",
        "exact": "1.10",
        "nan": "nan",
        "inf": "-inf",
        "list": [1, None],
        "deep": {"x": True},
    }


def test_json_is_one_document(capsys):
    """What is printed parses, and keeps letters as they are."""
    out.print_json({"name": "Zürich"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": "Zürich"}
    assert "Zürich" in printed
