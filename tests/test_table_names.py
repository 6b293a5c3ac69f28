"""The tables of a query: all that it reads, none that it names itself."""

import pytest

from dataplat._table_names import table_names
from dataplat.errors import PredicateError


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('select * from "flights@v1"', {"flights@v1"}),
        ("select * from a join b using (x) asof join c on a.t >= c.t", {"a", "b", "c"}),
        ("select (select max(x) from d) from (select * from e) where exists (from f)", {"d", "e", "f"}),
        ("from a union all from b", {"a", "b"}),
        ("with b as (from b), z as (from b) select * from z, q", {"b", "q"}),
        ("with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) from t, r", {"r"}),
        ("with x as (from a) select * from (with x as (from b) from x), X", {"a", "b"}),
        ("select 1", set()),
        ("select 'from a' -- from b", set()),
    ],
)
def test_tables_are_found_where_they_are_read(query, names):
    """Joins, subqueries, unions and CTEs are looked through; a CTE hides a table only where it is in force."""
    assert table_names(query) == names


@pytest.mark.parametrize("query", ["delete from a", "select 1; select 2", "selct 1", "select * from flights@v1", ""])
def test_anything_else_is_refused(query):
    """What is not one SELECT is an error that says why."""
    with pytest.raises(PredicateError, match="query"):
        table_names(query)
