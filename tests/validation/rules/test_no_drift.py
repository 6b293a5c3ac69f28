"""No drift: profiles of two versions decide, and nothing is read twice."""

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import ContractError


def rows(seed, shift=0.0, count=5_000):
    """Return rows of a normal number and a category."""
    random = np.random.default_rng(seed)
    return pa.table({"x": random.normal(shift, 1, count), "c": random.choice(["a", "b"], count)})


def ask(data, rule):
    """Return the outcome of the rule on a version."""
    return data.validate(dp.Contract(checks=[rule], name="c")).checks[-1]


def test_a_shift_fails_with_its_column(memory_lake, reads):
    """Rows like those of the reference pass, shifted ones fail by name; an answer for two versions is remembered."""
    memory_lake.ingest(rows(1), into="t")
    memory_lake.tag("production")
    memory_lake.ingest(rows(2), into="t", mode="replace")
    outcome = ask(memory_lake["t"], dp.no_drift("@production"))
    assert (outcome.status, outcome.how) == ("passed", "scanned")
    memory_lake.ingest(rows(3, shift=0.5), into="t", mode="replace")
    reads.clear()
    outcome = ask(memory_lake["t"], dp.no_drift("@production"))
    assert (outcome.status, outcome.failing) == ("failed", None)
    assert [example.value.split(":")[0] for example in outcome.examples] == ["drift x"]
    assert reads.parts == {part.id for part in memory_lake["t"].parts}
    reads.clear()
    assert ask(memory_lake["t"], dp.no_drift("@production")).how == "remembered"
    assert ask(memory_lake["t"], dp.no_drift("@production", ["c"])).status == "passed"
    assert not reads.calls


def test_the_reference_moves(memory_lake):
    """The answer is for the version that the reference names now."""
    memory_lake.ingest(rows(1), into="t")
    memory_lake.ingest(rows(1, shift=1.0), into="t", mode="replace")
    assert ask(memory_lake["t"], dp.no_drift("t@main~1", ["x"])).status == "failed"
    memory_lake.ingest(rows(4, shift=1.0), into="t", mode="replace")
    assert ask(memory_lake["t"], dp.no_drift("t@main~1", ["x"])).status == "passed"


def test_a_reference_that_is_not_there_cannot_be_checked(memory_lake):
    """Neither a tag nor a column that is missing is a pass."""
    memory_lake.ingest(rows(1, count=10), into="t")
    assert ask(memory_lake["t"], dp.no_drift("@production")).status == "could not check"
    memory_lake.tag("production")
    assert ask(memory_lake["t"], dp.no_drift("@production", ["y"])).status == "could not check"


def test_a_column_of_another_kind_fails(memory_lake):
    """What cannot be compared any more fails."""
    memory_lake.ingest(rows(1, count=50), into="t")
    memory_lake.ingest(pa.table({"x": ["1", "2"], "c": ["a", "b"]}), into="u")
    assert ask(memory_lake["u"], dp.no_drift("t", ["x"])).status == "failed"


@pytest.mark.parametrize(
    "make",
    [
        lambda: dp.no_drift("@v1", method="magic"),
        lambda: dp.no_drift("@v1", alpha=0),
        lambda: dp.no_drift("@v1", min_effect=-1),
        lambda: dp.no_drift("@v1", []),
        lambda: dp.no_drift(""),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    """No such method, chance, effect or column: refused when the rule is written."""
    with pytest.raises(ContractError, match="no_drift"):
        make()
