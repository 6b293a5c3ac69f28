"""What is usual in a history keeps rows that depend on each other from being taken for drift."""

import numpy as np
import pytest

from dataplat.validation.drift import Question, drift_between, usual_of
from dataplat.validation.drift._column import Numbers
from dataplat.validation.drift._history import spread_of

COLUMNS = 10


def side(table):
    """Return rows of numbers as columns."""
    return {
        f"c{number}": Numbers(rows=len(column), nulls=0, nans=0, knots=np.sort(column))
        for number, column in enumerate(table)
    }


def batches(draw, number, rows=400):
    """Return batches of rows that follow each other: each value is nine tenths of the last one and new noise."""
    table = draw.normal(size=(COLUMNS, number * rows + 200))
    for at in range(1, table.shape[1]):
        table[:, at] += 0.9 * table[:, at - 1]
    return [side(each) for each in np.split(table[:, 200:], number, axis=1)]


@pytest.mark.parametrize("method", ["ks", "psi"])
def test_rows_that_follow_each_other_alarm_without_a_history_and_not_with_it(method):
    """Batches of one process: without the history nearly all reports are false alarms, with it next to none."""
    draw, question = np.random.default_rng(5), Question(method=method, min_effect=0.0)
    plain = held = 0
    for _ in range(20):
        past = batches(draw, 24)
        usual = usual_of(past[:-1], question.methods(dict.fromkeys(past[0], "number")))
        plain += bool(drift_between(past[-2], past[-1], question).drifted)
        held += bool(drift_between(past[-2], past[-1], question, usual=usual).drifted)
    assert plain >= 19
    assert held <= 3  # at one in twenty, four or more of twenty are seen in one of sixty such tests


def test_a_real_shift_is_found_beside_a_history():
    """What is far beyond the usual is drift all the same."""
    past = batches(np.random.default_rng(6), 24)
    moved = {name: Numbers(rows=c.rows, nulls=0, nans=0, knots=c.knots + 8) for name, c in past[-1].items()}
    usual = usual_of(past, dict.fromkeys(past[0], "ks"))
    assert len(drift_between(past[-2], moved, usual=usual).drifted) == COLUMNS


def test_twenty_batches_are_a_history_and_nineteen_are_none():
    """Below that there is nothing usual; columns that came later have a history of their own length."""
    past = batches(np.random.default_rng(7), 22, rows=50)
    for one in past[:3]:
        del one["c1"]
    assert set(usual_of(past, {"c0": "ks", "c1": "ks", "gone": "ks"})) == {"c0"}
    assert usual_of(past[-19:], {"c0": "ks"}) == {}
    assert usual_of(past, {"c0": "ks"})["c0"].batches == 22


def test_a_few_drifts_of_the_past_do_not_count_as_usual():
    """Two distances of forty that were a hundred times larger change next to nothing."""
    noises = np.abs(np.random.default_rng(8).normal(size=40))
    with_drift = noises.copy()
    with_drift[[3, 4]] = 100
    assert spread_of(with_drift) == pytest.approx(spread_of(noises), rel=0.35)
    assert spread_of(np.zeros(30)) == 0
