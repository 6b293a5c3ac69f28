"""Checks in SQL: failing rows or one boolean, over the data alone."""

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import ContractError
from dataplat.validation.rules import Context
from dataplat.validation.subject import TableSubject


def ask(data, sql, **more):
    """Return the outcome of a query on a version or a table."""
    contract = dp.Contract(checks=[dp.sql_check(sql, **more)], name="c")
    return (data.validate(contract) if isinstance(data, dp.Version) else contract.validate(data)).checks[-1]


TABLE = pa.table({"a": [1, 2, 3], "b": [3, 2, 1], "c": ["x", None, "z"]})


def test_rows_that_a_query_finds_fail():
    """Rows found are failing rows; none found is a pass."""
    outcome = ask(TABLE, "select a, c from {data} where a >= b order by a")
    assert (outcome.status, outcome.failing) == ("failed", 2)
    assert [example.value for example in outcome.examples] == ["{'a': 2, 'c': None}", "{'a': 3, 'c': 'z'}"]
    assert ask(TABLE, "select * from {data} where a > 3").settled == (("scanned", 3),)


@pytest.mark.parametrize(
    ("sql", "ok"),
    [
        ("select sum(a) = 6 from {data}", True),
        ("select sum(a) = 7 from {data}", False),
        ("select count(*) = 3 from {data}", True),
        ("select bool_and(c = 'x') from {data} where c is null", False),
        ("select max(a) from {data}", False),
        ("select a > 0 from {data}", False),
    ],
)
def test_one_boolean_is_the_verdict(sql, ok):
    """One row with one boolean says it; null is not true, and any other rows are failing rows."""
    assert ask(TABLE, sql).status == ("passed" if ok else "failed")


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) = 3 from {data} x join {data} y using (a)",
        "select count(*) = 2 from {data} natural join {data} y",
        "select count(y) = 3 from {data} y",
        "with t as (select A from {data}) select count(*) = 3 from t where a > 0",
        "select count(columns(lambda c: c = 'a')) = 3 from {data}",
        "from {data} where a > 3",
    ],
)
def test_the_columns_that_a_query_needs_are_there(sql):
    """Whatever way a query names its columns, and however often it reads the data, it finds them."""
    assert ask(TABLE, sql).ok


def test_columns_that_are_named_are_read(memory_lake, reads):
    """Only the columns that the query names are read; its answer for a version is remembered."""
    memory_lake.ingest(TABLE, into="t")
    memory_lake.delete("t", where="a = 3")
    reads.clear()
    assert ask(memory_lake["t"], "select a from {data} where a > 2").ok
    assert set(reads.columns) == {"a"}
    reads.clear()
    assert ask(memory_lake["t"], "select a from {data} where a > 2").how == "remembered"
    assert not reads.calls


@pytest.mark.parametrize(
    "sql",
    [
        "delete from {data}",
        "select 1; select * from {data}",
        "copy {data} to 'x.csv'",
        "with t as (delete from {data} returning *) select * from t",
        "select * from",
        "select * from {data} where",
        "attach 'x' as y; select * from {data}",
    ],
)
def test_what_is_not_one_select_of_the_data_is_refused(sql):
    """Statements that write, several of them, and text that is none are refused when the rule is written."""
    with pytest.raises(ContractError, match="sql_check"):
        dp.sql_check(sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from {data}, read_csv('/etc/passwd')", "Permission"),
        ("select * from {data}, other", "other"),
        ("select missing from {data}", "missing"),
        ("select error('no') from {data}", "no"),
    ],
)
def test_a_query_that_fails_is_never_a_pass(sql, said):
    """Files and other tables cannot be read; an error is a check that could not be evaluated."""
    outcome = ask(TABLE, sql)
    assert (outcome.status, outcome.ok) == ("could not check", False)
    assert said in outcome.detail


def test_memory_is_bounded():
    """A query that needs more than the limit spills; what cannot spill is a check that could not be evaluated."""
    subject = TableSubject(pa.table({"a": list(range(200_000)), "b": [str(n) * 20 for n in range(200_000)]}))
    contract = dp.Contract(checks=[dp.sql_check("select count(distinct b) = 200000 from {data}")], name="c")
    outcome = contract.judge(subject, context=Context(memory_limit=1 << 20)).checks[-1]
    assert outcome.status in {"passed", "could not check"}
    assert contract.judge(subject, context=Context(memory_limit=1 << 28)).ok


def test_a_query_may_have_a_name():
    """Reports call it by its name, else by its text."""
    assert ask(TABLE, "select a from {data}", name="no rows").name == "no rows"
    assert ask(TABLE, "select a\n from {data}").name == "sql_check(select a from {data})"
