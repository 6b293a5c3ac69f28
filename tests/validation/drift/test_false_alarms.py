"""How often a comparison is wrong: seldom alarmed by nothing, seldom blind to a shift.

DATAPLAT_DRIFT_PAIRS pairs of tables are compared (40 unless told; `make proofs`: 1,000).
"""

import os

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from dataplat.validation.drift import ProfileColumns, Question, TableColumns, drift_between
from dataplat.validation.profile._measure import measured

PAIRS = int(os.environ.get("DATAPLAT_DRIFT_PAIRS", "40"))
ROWS = 10_000 if PAIRS > 40 else 2_000
ALPHA = 0.05
MOST = int(stats.binom.ppf(0.999, PAIRS, ALPHA))
"""Alarms among the pairs that so good a test exceeds in one of a thousand trials: 73 of 1,000, 7.3 %."""


def words(draw, rows, weights):
    """Return texts with the given weights."""
    codes = draw.choice(len(weights), rows, p=np.asarray(weights) / np.sum(weights)).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array([f"w{code}" for code in range(len(weights))]))


def table(draw, rows):
    """Return 20 columns: numbers that are smooth, heavy-tailed, whole, mostly zero; texts few and many; nulls and NaN."""
    columns = {f"normal{n}": draw.normal(size=rows) for n in range(4)}
    columns |= {f"heavy{n}": draw.standard_t(1.5, size=rows) for n in range(2)}
    columns |= {f"counts{mean}": draw.poisson(mean, rows) for mean in (1, 9)}
    columns |= {f"zeros{n}": np.where(draw.random(rows) < 0.8, 0.0, draw.exponential(size=rows)) for n in range(2)}
    columns |= {f"even{number}": words(draw, rows, np.ones(number)) for number in (3, 40)}
    columns |= {f"zipf{number}": words(draw, rows, 1 / np.arange(1, number)) for number in (20, 300, 3000)}
    columns |= {"ids": pa.array(draw.integers(0, 1 << 60, rows)).cast(pa.string())}
    columns |= {"pairs": pa.array(draw.integers(0, rows // 4, rows)).cast(pa.string())}
    columns |= {"rare flag": draw.random(rows) < 0.003}
    columns |= {"nulls": pa.array(draw.normal(size=rows), mask=draw.random(rows) < 0.02)}
    columns |= {"nans": np.where(draw.random(rows) < 0.02, np.nan, draw.normal(size=rows))}
    return pa.table(columns)


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, "psi"])
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_like_tables_alarm_no_more_often_than_told(method, share):
    """Of pairs of one distribution, where every difference would count, at most one in twenty drifts in any column."""
    draw = np.random.default_rng(17)
    question, alarms = Question(method=method, min_effect=0.0, alpha=ALPHA), 0
    for _ in range(PAIRS):
        sides = (TableColumns.of(table(draw, rows)) for rows in (ROWS, int(ROWS * share)))
        found = drift_between(*sides, question)
        assert len(found.columns) == 20
        alarms += bool(found.drifted)
    assert alarms <= MOST, f"{alarms} of {PAIRS} pairs"


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, "psi"])
def test_profiles_of_like_tables_alarm_no_more_often_than_told(method):
    """The same of quantiles and frequent values, which stand for the rows."""
    draw = np.random.default_rng(19)
    question, alarms = Question(method=method, min_effect=0.0, alpha=ALPHA), 0
    for _ in range(PAIRS):
        sides = (table(draw, ROWS) for _ in range(2))
        profiles = (ProfileColumns(measured(side.to_batches(), side.schema)) for side in sides)
        alarms += bool(drift_between(*profiles, question).drifted)
    assert alarms <= MOST, f"{alarms} of {PAIRS} pairs"


@pytest.mark.slow
def test_a_shift_of_a_tenth_of_a_deviation_is_found_in_a_hundred_thousand_rows():
    """In one of 20 columns, with what counts unless told; the other 19 raise no alarm more often than told."""
    draw = np.random.default_rng(18)
    pairs, rows, found, alarms = max(PAIRS // 4, 10), 100_000, 0, 0
    for _ in range(pairs):
        one, two = (draw.normal(size=(20, rows)) for _ in range(2))
        two[7] += 0.1
        sides = ({f"c{n}": column for n, column in enumerate(each)} for each in (one, two))
        drifted = {c.column for c in drift_between(*(TableColumns.of(pa.table(s)) for s in sides)).drifted}
        found += "c7" in drifted
        alarms += bool(drifted - {"c7"})
    assert found >= 0.95 * pairs, f"{found} of {pairs} pairs"
    assert alarms <= stats.binom.ppf(0.999, pairs, ALPHA)
