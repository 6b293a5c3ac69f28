"""All rules at once: what is remembered gives the report of a full run, whatever happened to the dataset."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandera.polars as pdr
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dataplat as dp

START = datetime(2026, 11, 1, tzinfo=UTC)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 60),
        st.none() | st.sampled_from(["a", "b", "c", "z"]),
        st.none() | st.floats(-5, 5) | st.just(float("nan")),
    ),
    min_size=1,
    max_size=6,
)
RULES = [
    dp.unique("id"),
    dp.unique("id", "word"),
    dp.row_count(3, 12),
    dp.freshness("at", "3650000d"),
    dp.foreign_key("word", "words", "word"),
    dp.mean("number", -1, 1),
    dp.quantile("number", 0.5, -1, 1),
    dp.null_share("number", 0.3),
    dp.distinct_share("word", 0.2, 0.6),
    dp.sql_check("select id from {data} where id > 50"),
]
CONTRACT = dp.Contract(
    pdr.DataFrameSchema({"id": pdr.Column(int, pdr.Check.le(55), unique=True, nullable=True)}, strict=False),
    RULES,
    name="c",
)


def table(rows):
    """Return rows as a table."""
    ids, words, numbers = ([row[at] for row in rows] for at in range(3))
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "word": pa.array(words, pa.string()),
            "number": pa.array(numbers, pa.float64()),
            "at": [START + timedelta(hours=id_ or 0) for id_ in ids],
            "n": range(len(rows)),
        }
    )


def outcomes(lake):
    """Return what each check came to, but for how it was settled, and for how old it is by now."""
    report = lake["t"].validate(CONTRACT)
    assert all(sum(rows for _, rows in each.settled) == report.rows for each in report.checks if each.level != "schema")
    return [replace(outcome, settled=(), detail=outcome.detail.partition(", ")[0]) for outcome in report.checks]


def forget(lake):
    """Take all memos away."""
    for info in list(lake.store.list("memo/")):
        lake.store.delete(info.key)


STEPS = st.sampled_from(["append", "append", "append", "delete", "words", "compact", "rollback", "look"])


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data(), st.lists(STEPS, max_size=8))
def test_what_is_remembered_equals_a_full_run(new_lake, data, steps):
    """Appends, deletes, compactions, rollbacks and changes of another dataset: each report equals one without memory."""
    lake = new_lake()
    lake.ingest(pa.table({"word": ["a", "b"]}), into="words")
    lake.ingest(table(data.draw(ROWS)), into="t")
    changes = 0
    for step in [*steps, "look"]:
        if step == "append":
            lake.ingest(table(data.draw(ROWS)), into="t")
        elif step == "delete":
            lake.delete("t", where=f"n = {data.draw(st.integers(0, 5))}")
        elif step == "words":
            changes += 1
            lake.ingest(pa.table({"word": [data.draw(st.sampled_from("abcz"))], "n": [changes]}), into="words")
        elif step == "compact":
            lake.compact("t")
        elif step == "rollback" and len(lake.log("t")) > 1:
            lake.rollback("t@main~1")
        else:
            found = outcomes(lake)
            assert outcomes(lake) == found
            forget(lake)
            assert outcomes(lake) == found


def test_after_an_append_only_the_new_part_is_read(memory_lake, reads):
    """Of a contract with every rule and a model's `unique`, the old parts are not read; SQL alone looks at its column."""
    memory_lake.ingest(pa.table({"word": ["a", "b", "c"]}), into="words")
    for start in (0, 1, 2, 20):
        rows = [(start + 3 * step, "abc"[step], float(step)) for step in range(3)]
        memory_lake.ingest(table(rows), into="t")
    assert memory_lake["t"].validate(CONTRACT).checks
    reads.clear()
    memory_lake.ingest(table([(n, "b", 0.5) for n in (9, 10, 30)]), into="t")
    report = memory_lake["t"].validate(CONTRACT)
    new = memory_lake["t"].parts[-1].id
    old = {columns for part, _, columns in reads.calls if part != new}
    assert old == {("id",)}
    assert [outcome.name for outcome in report.checks if outcome.how == "scanned" and outcome.settled[0][1] == 15] == [
        "sql_check(select id from {data} where id > 50)"
    ]
    reads.clear()
    memory_lake["t"].validate(CONTRACT)
    assert not reads.calls
