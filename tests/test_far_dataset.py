"""SQL over versions far away: the answers of the same rows at hand, for the bytes of the columns that it needs."""

from __future__ import annotations

import datetime as dt

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from dataplat._far_dataset import understood
from dataplat._lake import Lake
from dataplat.errors import IntegrityError, PredicateError
from dataplat.lake._object_keys import object_key
from dataplat.lake.stores import CachingStore, MemoryStore
from dataplat.testing.store_faults import CountingStore, LatencyStore
from dataplat.versioning.lakefile import create_lake, open_lake

ROWS = 100_000


def table():
    """Thirty columns of every kind that a filter may look at."""
    rng = np.random.default_rng(1)
    first = dt.date(2026, 1, 1)
    return pa.table(
        {
            "k": np.arange(ROWS),
            "text": pa.array([f"t{i % 1000:04}" for i in range(ROWS)]),
            "day": pa.array([first + dt.timedelta(i // 1000) for i in range(ROWS)]),
            "at": pa.array(np.arange(ROWS) * 1_000_000, pa.timestamp("us", "UTC")),
            "maybe": pa.array([None if i % 5 == 0 else i % 2 == 0 for i in range(ROWS)]),
            "and or": pa.array(np.arange(ROWS) % 11),
            'q"uote': pa.array(np.arange(ROWS) % 13),
            "half": pa.array(np.arange(ROWS) % 100, pa.float16()),
            **{f"c{i}": np.where(rng.random(ROWS) < 0.01, np.nan, rng.random(ROWS)) for i in range(22)},
        }
    )


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A lake far away with the table, its counts, and an engine with the same rows at hand."""
    counted = CountingStore(LatencyStore(MemoryStore(), 0.001))
    store = CachingStore(counted, folder=tmp_path_factory.mktemp("cache"))
    create_lake(store)
    lake = Lake(store, open_lake(store).id, "far")
    lake.ingest(table(), "big", key="k")
    lake.delete("big", "k < 10")
    engine = duckdb.connect()
    engine.execute("set TimeZone = 'UTC'")
    rows = table().slice(10)
    engine.register("big", rows.set_column(7, "half", rows["half"].cast(pa.float32())))
    return lake, counted, engine


@pytest.mark.parametrize(
    ("query", "share"),
    [
        ("select count(*) from big", 0.1),
        ("select sum(k), text from big group by text order by text", 0.1),
        ("select c3 from big where k = 12345", 0.1),
        ("select c3 from big where day = '2026-01-05' and k % 2 = 0 order by k", 0.1),
        ("select count(*) from big where \"at\" < '1970-01-02' and text = 't0003'", 0.1),
        ("select k from big where c1 > 0.999 order by k", 0.15),
        ("select k from big where c1 < 0.001 or c2 <> c2 order by k", 0.2),
        ("select k, c2 from big where k in (5, 15, 90000) order by k", 0.15),
        ("select k from big where text like 't000%' and k < 5000 order by k", 0.1),
        ('select k from big where maybe and maybe is not null and "and or" = 3 order by k', 0.15),
        ('select k from big where "q""uote" = 3 and half > 90 and text <> \'"and (\' order by k limit 50', 0.15),
        ("select a.k, b.c1 from big a join big b on a.k = b.k + 1 where a.k < 100 order by 1", 0.2),
        ("select * from big where k between 99 and 101 order by k", 1.1),
    ],
)
def test_answers_and_bytes(far, query, share):
    """The answer is that of DuckDB over the rows themselves, for the share of the bytes that its columns are."""
    lake, counted, engine = far
    expected = engine.sql(query).to_arrow_table()
    counted.reset()
    found = lake.sql(query).to_arrow()
    assert found.column_names == expected.column_names
    assert str(found.to_pylist()) == str(expected.to_pylist())  # as text NaN is equal to NaN
    assert counted.bytes["read"] < share * lake["big"].nbytes + (64 << 10)


def test_a_relation_reads_when_it_is_asked(far):
    """`to_duckdb` costs nothing before it is used, then the columns that are."""
    lake, counted, _ = far
    version = lake["big"]
    version.parts  # noqa: B018
    counted.reset()
    relation = version.to_duckdb()
    assert counted.bytes["read"] == 0
    assert relation.filter("k < 20").project("c5").to_arrow_table().num_rows == 10
    assert counted.bytes["read"] < version.nbytes / 10 + (64 << 10)


def test_damage_is_told_as_what_it_is():
    """A part that is gone is an `IntegrityError` that names it, not a failed query; a wrong query stays one."""
    inner = MemoryStore()
    store = LatencyStore(inner, 0)
    create_lake(store)
    lake = Lake(store, open_lake(store).id, "far")
    lake.ingest(table(), "big")
    with pytest.raises(PredicateError, match="the query failed"):
        lake.sql("select cast(text as integer) from big").to_arrow()
    part = lake["big"].parts[0].id
    inner.delete(object_key(part, ".parquet"))
    with pytest.raises(IntegrityError, match=f"part {part} is missing"):
        lake.sql("select sum(k) from big").to_arrow()


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("(k >= 2)", '"k" >= 2'),
        ('((text == "a") and ((k >= 2) and (k <= 7)))', '"text" = \'a\' and "k" >= 2 and "k" <= 7'),
        ("((day >= 2026-01-01) and is_valid(maybe))", "\"day\" >= '2026-01-01'"),
        ("(at < 2027-01-01 00:00:00.000000Z)", "\"at\" < '2027-01-01 00:00:00.000000Z'"),
        ('(text == "it\'s (a) and b")', "\"text\" = 'it''s (a) and b'"),
        ("((k == 1) or (k == 2))", None),
        ("invert((k == 1))", None),
        ("(c1 > 1)", None),
        ('(text == "a\\\\b")', None),
        ("(k == 1.5)", None),
        ("(text == text)", None),
        ("(((k == 1) or (k == 2)) and (k == 3))", '"k" = 3'),
    ],
)
def test_what_is_understood_of_a_filter(text, sql):
    """Comparisons that must hold, of types that compare alike everywhere; anything else is left to Arrow."""
    found = understood(text, table().schema)
    assert (None if found is None else found.text) == sql
