"""The progress line: what it says, when it is drawn, and that nothing of it stays."""

import io

from dataplat.cli._progress import ProgressLine, describe
from dataplat.ingest import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def report(seconds=2.0, done=50_000_000, total=150_000_000):
    """Return a report of a third of the way."""
    return Progress("reading", 1_000_000, done, total, seconds)


def test_line_says_rows_bytes_rate_and_time_left():
    """A third in two seconds leaves four."""
    assert describe(report()) == "reading  1,000,000 rows  50.0 MB of 150.0 MB  500,000 rows/s  4 s left"


def test_without_a_total_the_time_so_far_is_said():
    """A stream of unknown length has no time left."""
    assert describe(report(total=0)) == "reading  1,000,000 rows  50.0 MB  500,000 rows/s  2.00 s"
    assert describe(Progress("writing", 10, 0, 0, 0.0)) == "writing  10 rows  0 ms"


def test_nothing_is_drawn_where_nobody_looks():
    """A pipe or file gets no progress."""
    stream = io.StringIO()
    with ProgressLine(stream) as line:
        line(report())
    assert stream.getvalue() == ""


def test_nothing_is_drawn_in_the_first_second():
    """What is quick needs no progress."""
    stream = Terminal()
    with ProgressLine(stream) as line:
        line(report(seconds=0.9))
    assert stream.getvalue() == ""


def test_the_line_is_removed_in_the_end(monkeypatch):
    """The line is drawn over itself, fits the terminal, and is wiped when the work ends, also by an error."""
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    try:
        with ProgressLine(stream) as line:
            line(report())
            raise RuntimeError
    except RuntimeError:
        pass
    assert stream.getvalue() == "\r\x1b[Kreading  1,000,000 \r\x1b[K"
