"""Rules over counts: rows, nulls, distinct values; proven where statistics tell, read where deletes leave it open."""

import math
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dataplat as dp
from dataplat.errors import ContractError


def ask(data, *rules, **more):
    """Return the outcomes of rules on a version or on anything else."""
    contract = dp.Contract(checks=rules, name="c")
    report = data.validate(contract, **more) if isinstance(data, dp.Version) else dp.validate(data, contract, **more)
    return report.checks[1:]


def one(data, rule, **more):
    """Return the outcome of one rule."""
    (outcome,) = ask(data, rule, **more)
    return outcome


def land(lake, *parts, kind=None):
    """Append each list of values as a part of its own."""
    for values in parts:
        lake.ingest(pa.table({"x": pa.array(values, kind), "n": range(len(values))}), into="t")


@pytest.mark.parametrize(
    ("rule", "ok"),
    [
        (dp.row_count(min=3), True),
        (dp.row_count(min=4), False),
        (dp.row_count(max=3), True),
        (dp.row_count(max=2), False),
        (dp.row_count(3, 3), True),
    ],
)
def test_rows_are_counted_without_reading(memory_lake, reads, rule, ok):
    """Rows that count are known from the manifest, deleted ones not among them."""
    land(memory_lake, [1, 2], [3, 4])
    memory_lake.delete("t", where="x = 4")
    reads.clear()
    outcome = one(memory_lake["t"], rule)
    assert (outcome.ok, outcome.settled, outcome.detail) == (ok, (("proven", 3),), "there are 3 rows")
    assert not reads.calls


def test_nulls_are_counted_by_statistics(memory_lake, reads):
    """Null and NaN are missing; exact counts of the parts decide, and a range of them where rows were deleted."""
    land(memory_lake, [1.0, None], [math.nan, 2.0], kind=pa.float64())
    assert one(memory_lake["t"], dp.null_share("x", 0.5)).settled == (("proven", 4),)
    assert one(memory_lake["t"], dp.null_share("x", 0.49)).status == "failed"
    memory_lake.delete("t", where="n = 0")
    reads.clear()
    assert one(memory_lake["t"], dp.null_share("x", 1.0)).settled == (("proven", 2),)
    assert not reads.calls
    outcome = one(memory_lake["t"], dp.null_share("x", 0.4))
    assert (outcome.status, outcome.settled) == ("failed", (("scanned", 2),))
    assert outcome.detail == "0.5 of 2 rows hold no value"


def test_only_new_deletes_are_read(memory_lake, reads):
    """Counts that deletes left open are remembered for each part."""
    land(memory_lake, [1, None], [None, 2])
    memory_lake.delete("t", where="n = 0")
    rule = dp.null_share("x", 0.5)
    assert one(memory_lake["t"], rule).settled == (("scanned", 2),)
    land(memory_lake, [1, 2, None])
    memory_lake.delete("t", where="n = 2")
    reads.clear()
    assert one(memory_lake["t"], rule).settled == (("remembered", 2), ("scanned", 2))
    assert reads.parts == {memory_lake["t"].parts[-1].id}


def test_no_rows_have_no_nulls(memory_lake):
    """Of no rows no share is null, none distinct, and there is no mean and no quantile."""
    land(memory_lake, [1])
    memory_lake.delete("t", where="x = 1")
    outcomes = ask(
        memory_lake["t"],
        dp.null_share("x", 0),
        dp.distinct_share("x", max=0.5),
        dp.mean("x", 0),
        dp.quantile("x", 0.5, 0),
        dp.unique("x"),
    )
    assert [outcome.status for outcome in outcomes] == ["passed", "passed", "failed", "failed", "passed"]


def test_distinct_digests_are_remembered(memory_lake, reads):
    """Distinct values are counted over parts, and only a new part is read for them."""
    land(memory_lake, ["a", "b", None], ["b", "c"])
    rule = dp.distinct_share("x", 0.75, 0.75)
    outcome = one(memory_lake["t"], rule)
    assert (outcome.ok, outcome.detail) == (True, "3 of 4 values are distinct")
    land(memory_lake, ["c", "a"])
    reads.clear()
    outcome = one(memory_lake["t"], rule)
    assert (outcome.ok, outcome.detail) == (False, "3 of 6 values are distinct")
    assert outcome.settled == (("remembered", 5), ("scanned", 2))
    assert reads.parts == {memory_lake["t"].parts[-1].id}


def test_a_key_has_distinct_values(memory_lake, reads):
    """Of a key no value repeats."""
    memory_lake.ingest(pa.table({"x": [1, 2]}), into="t", key=["x"])
    assert one(memory_lake["t"], dp.distinct_share("x", 1)).settled == (("proven", 2),)
    assert not reads.calls


def test_a_file_is_read_where_its_footer_is_not_believed(tmp_path):
    """A footer counts nulls of integers; of floats it does not count NaN, so they are read."""
    table = pa.table({"i": [1, None, 3, 4], "f": [math.nan, None, 1.0, 2.0]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    integers, floats = ask(str(tmp_path / "t.parquet"), dp.null_share("i", 0.25), dp.null_share("f", 0.25))
    assert (integers.status, integers.settled) == ("passed", (("proven", 4),))
    assert (floats.status, floats.settled) == ("failed", (("scanned", 4),))


def test_a_dictionary_of_a_file_is_digested_once(tmp_path):
    """Of texts and bytes that a file holds as dictionaries the used values count, of other types the rows."""
    table = pa.table(
        {
            "text": pa.array(["a", None, "b", "a", "é", "é"]),
            "bytes": pa.array([b"", b"\0", None, b"", b"x", b"x"]),
            "whole": [1, 1, 2, None, 3, 3],
            "real": [0.0, -0.0, math.nan, math.nan, None, 1.0],
            "exact": pa.array([Decimal("1.5"), None, Decimal("1.5"), None, None, Decimal(2)], pa.decimal128(4, 1)),
            "when": pa.array([1, 1, 2, 2, 3, None], pa.timestamp("ms")),
            "truth": [True, None, False, True, True, True],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4, use_dictionary=True)
    for name in table.schema.names:
        values = pl.Series(table[name]).drop_nulls()
        outcome = one(str(tmp_path / "t.parquet"), dp.distinct_share(name, 0))
        assert outcome.detail == f"{values.n_unique()} of {len(values)} values are distinct"


KINDS = {
    pa.int64(): st.none() | st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)]),
    pa.float64(): st.none() | st.sampled_from([math.nan, 0.0, -0.0, 1.5, math.inf]),
    pa.string(): st.none() | st.text("ab", max_size=2),
    pa.decimal128(5, 1): st.none() | st.integers(-20, 20).map(lambda each: Decimal(each) / 10),
}


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data(), st.lists(st.sampled_from(["append", "delete", "ask"]), max_size=5))
@pytest.mark.parametrize("kind", list(KINDS), ids=str)
def test_shares_equal_polars(kind, new_lake, data, steps):
    """After any appends and deletes both shares are those of all rows, with memory and without."""
    lake = new_lake()
    land(lake, data.draw(st.lists(KINDS[kind], min_size=1, max_size=5)), kind=kind)
    for step in [*steps, "ask"]:
        if step == "append":
            land(lake, data.draw(st.lists(KINDS[kind], min_size=1, max_size=5)), kind=kind)
        elif step == "delete":
            lake.delete("t", where=f"n = {data.draw(st.integers(0, 4))}")
        else:
            values = lake["t"].to_polars()["x"]
            missing = values.null_count() + (int(values.is_nan().sum()) if values.dtype.is_float() else 0)
            there = values.drop_nulls()
            share = Fraction(missing, len(values)) if len(values) else Fraction(0)
            distinct = Fraction(there.n_unique(), len(there)) if len(there) else Fraction(0)
            for data_ in (lake["t"], lake["t"].to_arrow()):
                for rule, expected in ((dp.null_share, share), (dp.distinct_share, distinct)):
                    for bound in (0.0, 0.25, 0.5, 1.0):
                        assert one(data_, rule("x", max=bound)).ok == (expected <= bound)
                        assert one(data_, rule("x", min=bound)).ok == (expected >= bound)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (dp.row_count, "needs min=, max= or both"),
        (lambda: dp.row_count(5, 4), "at least 5 and at most 4"),
        (lambda: dp.row_count(max=-1), "can never hold"),
        (lambda: dp.null_share("x", 1.5, min=1.2), "can never hold"),
        (lambda: dp.row_count(-1), "always holds"),
        (lambda: dp.null_share("x", 5), "always holds; 5 % is 0.05"),
        (lambda: dp.distinct_share("x", max=1.5), "always holds"),
        (lambda: dp.freshness("x", 5), "not '5'"),
        (lambda: dp.null_share("x", math.nan), "not nan"),
        (lambda: dp.null_share("x", True), "not True"),
        (lambda: dp.distinct_share("x", "0.5"), "not '0.5'"),
        (lambda: dp.mean("x", 3, 2), "at least 3 and at most 2"),
        (lambda: dp.quantile("x", 1.5, 0), "from 0 to 1"),
        (lambda: dp.quantile("x", 0.5), "needs min="),
        (dp.unique, "takes names of columns"),
        (lambda: dp.unique("a", "a"), "each once"),
        (lambda: dp.row_count(1, severity="fatal"), "error or warn"),
    ],
)
def test_what_no_data_can_meet_is_refused(make, said):
    """Bounds that contradict each other, or are none, are refused when the rule is written."""
    with pytest.raises(ContractError, match=said):
        make()


def test_a_missing_column_cannot_be_checked(memory_lake):
    """A column that is not there fails each rule, with the name that may have been meant."""
    land(memory_lake, [1])
    rules = (
        dp.unique("y"),
        dp.null_share("y", 1),
        dp.distinct_share("y", 0),
        dp.mean("y", 0),
        dp.quantile("y", 0.5, 0),
        dp.freshness("y", "1d"),
        dp.foreign_key("y", "t", "x"),
    )
    for outcome in ask(memory_lake["t"], *rules):
        assert (outcome.status, outcome.ok, outcome.how) == ("could not check", False, "skipped")
        assert "no column 'y'" in outcome.detail
    memory_lake.ingest(pa.table({"amount": [1]}), into="u")
    assert "did you mean 'amount'" in one(memory_lake["u"], dp.mean("amonut", 0)).detail


def test_severity_and_environment_are_a_rules_own(memory_lake):
    """A rule may only warn, and may be asked in one environment only; the id of the contract tells such rules apart."""
    land(memory_lake, [1, 1])
    soft = dp.unique("x", severity="warn")
    outcome = one(memory_lake["t"], soft)
    assert (outcome.status, outcome.ok, outcome.failing) == ("warned", True, 2)
    train = dp.unique("x", environment="train")
    assert one(memory_lake["t"], train, environment="serve").status == "not asked"
    assert one(memory_lake["t"], train, environment="train").status == "failed"
    ids = {dp.Contract(checks=[rule], name="c").id for rule in (dp.unique("x"), soft, train)}
    assert len(ids) == 3


def test_rules_of_a_table_agree_with_pandera(memory_lake):
    """`unique` finds the rows that pandera's own `unique=True` finds."""
    import pandera.polars as pdr

    values = [1.0, None, math.nan, 2.0, None, math.nan, 1.0]
    table = pa.table({"x": pa.array(values, pa.float64())})
    schema = pdr.DataFrameSchema({"x": pdr.Column(float, nullable=True, unique=True)})
    report = dp.Contract(schema, [dp.unique("x")], name="c").validate(table)
    one_, two = report.failed
    assert (one_.name, two.name) == ("field_uniqueness", "unique")
    assert (one_.failing, one_.examples) == (two.failing, two.examples)
    assert two.failing == pl.Series(values, dtype=pl.Float64).is_duplicated().sum()
