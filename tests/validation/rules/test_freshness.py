"""Freshness: the newest time, from statistics where they are exact, by the clock of the context."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._validate import version_subject
from dataplat.errors import ContractError
from dataplat.validation.rules import Context
from dataplat.validation.subject import TableSubject

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
NAIVE = datetime(2026, 11, 27, 11)  # noqa: DTZ001
LATER = NAIVE + timedelta(days=1_000)
TIME = pa.timestamp("us", "UTC")


def ask(subject, rule, now=NOON):
    """Return the outcome at a given time."""
    return dp.Contract(checks=[rule], name="c").judge(subject, context=Context(now=now)).checks[-1]


def land(lake, *parts, kind=TIME):
    """Append each list of times as a part of its own."""
    for values in parts:
        lake.ingest(pa.table({"at": pa.array(values, kind), "n": range(len(values))}), into="t")


def hours(*ago):
    """Return times so many hours before noon."""
    return [NOON - timedelta(hours=each) for each in ago]


def test_the_newest_time_is_proven(memory_lake, reads):
    """Statistics say the newest time; the answer depends on the clock and is asked anew."""
    land(memory_lake, hours(50, 30), hours(40, 20), [None])
    subject = version_subject(memory_lake["t"])
    outcome = ask(subject, dp.freshness("at", "1d"))
    assert (outcome.status, outcome.settled) == ("passed", (("proven", 5),))
    assert outcome.detail == "the newest is 2026-11-26 16:00:00+00:00, 20.0 h old"
    assert ask(subject, dp.freshness("at", "1d"), NOON + timedelta(hours=4)).status == "passed"
    assert ask(subject, dp.freshness("at", "1d"), NOON + timedelta(hours=4, seconds=1)).status == "failed"
    assert not reads.calls


def test_only_parts_that_may_hold_the_newest_time_are_read(memory_lake, reads):
    """Of parts with deletes one is read only if its newest time as written is beyond what others prove."""
    land(memory_lake, hours(50, 1), hours(40, 20), hours(60, 45))
    memory_lake.delete("t", where="n = 1")
    land(memory_lake, hours(41))
    reads.clear()
    outcome = ask(version_subject(memory_lake["t"]), dp.freshness("at", "40h"))
    assert (outcome.status, outcome.detail) == ("passed", "the newest is 2026-11-25 20:00:00+00:00, 40.0 h old")
    parts = memory_lake["t"].parts
    assert reads.parts == {parts[0].id, parts[1].id}
    assert outcome.settled == (("proven", 2), ("scanned", 2))
    reads.clear()
    assert ask(version_subject(memory_lake["t"]), dp.freshness("at", "39h")).status == "failed"
    assert not reads.calls


@pytest.mark.parametrize(
    ("kind", "value", "within", "ok"),
    [
        (pa.date32(), date(2026, 11, 27), "12h", True),
        (pa.date32(), date(2026, 11, 26), "35h", False),
        (pa.timestamp("s"), NAIVE, "1h", True),
        (pa.timestamp("ns"), NAIVE - timedelta(seconds=1), "1h", False),
        (pa.timestamp("ms", "Europe/Berlin"), datetime(2026, 11, 27, 11, tzinfo=UTC), "60min", True),
        (pa.timestamp("us"), LATER, "1s", True),
        (pa.timestamp("us"), None, "999w", False),
    ],
)
def test_times_of_each_kind(memory_lake, kind, value, within, ok):
    """A date is its first moment, a time without a zone is UTC; what lies in the future passes, no time fails."""
    land(memory_lake, [value], kind=kind)
    tables = TableSubject(pa.table({"at": pa.array([value], kind)}))
    for subject in (version_subject(memory_lake["t"]), tables):
        outcome = ask(subject, dp.freshness("at", within))
        assert (outcome.status == "passed") is ok
        assert ("in the future" in outcome.detail) is (value == LATER)


def test_a_number_is_no_time():
    """Freshness of another type cannot be checked."""
    outcome = ask(TableSubject(pa.table({"at": [1]})), dp.freshness("at", "1d"))
    assert outcome.status == "could not check"
    assert "int" in outcome.detail


@pytest.mark.parametrize("within", ["2", "d", "-1d", "0h", "2 days", "", "1e999d", timedelta(0)])
def test_a_span_that_makes_no_sense_is_refused(within):
    """A span is a positive number with its unit."""
    with pytest.raises(ContractError, match="span"):
        dp.freshness("at", within)


def test_a_span_may_be_a_timedelta():
    """What Python calls a span is one."""
    assert dp.freshness("at", timedelta(days=2)).within == "172800s"
