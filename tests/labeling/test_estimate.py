"""Estimates from the closed beginning of a queue are right in the mean, whatever the order preferred."""

import math
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import BadColumn, ConfigError, LabelError
from dataplat.labeling.estimate import closed_sample
from dataplat.labeling.order import fixed, plan, random, uncertainty

ORDER = uncertainty("predictions")
NUMBER, CLOSED, ROUNDS = 80, 24, 500
TASKS = [f"{number:032x}" for number in range(NUMBER)]
SCORES = np.random.default_rng(1).gamma(0.6, size=NUMBER)
VALUES = SCORES + np.random.default_rng(2).normal(size=NUMBER)
"""What is to be estimated hangs on what the policy prefers, so that the plain mean is far off."""
VALUE_OF = dict(zip(TASKS, VALUES.tolist(), strict=True))


def beginning(seed, scores=SCORES, audit=0.2, closed=CLOSED, order=ORDER):
    """Return a queue, and the tasks of it that are closed: the first so many."""
    queue = plan(order, TASKS, scores, seed=seed, audit=audit).sort_by("position")
    return queue, queue["task"].to_pylist()[:closed]


@cache
def drawn(seed):
    """Return the closed beginning of a queue of this luck."""
    return closed_sample(*beginning(seed))


def simulated(estimate, rounds=ROUNDS):
    """Return values and errors of an estimate in so many queues of other luck."""
    found = [estimate(drawn(seed)) for seed in range(rounds)]
    return np.array([each.value for each in found]), np.array([each.error for each in found])


def sigmas(values, truth):
    """Return how many standard errors the mean of simulated values lies from the truth."""
    return abs(values.mean() - truth) / (values.std(ddof=1) / math.sqrt(len(values)))


def test_totals_are_unbiased_and_the_plain_mean_is_not():
    """Over 500 queues the mean of the estimates is the truth within 3 sigma; that of plain sums is far from it."""
    totals, errors = simulated(lambda sample: sample.total(VALUE_OF))
    assert sigmas(totals, VALUES.sum()) < 3
    assert errors.std() / errors.mean() < 1
    variance = (errors**2).mean()
    assert variance == pytest.approx(totals.var(ddof=1), rel=0.25)  # that of the estimate itself is unbiased, too
    plain = np.array([np.mean([VALUE_OF[task] for task in drawn(seed).tasks]) for seed in range(ROUNDS)])
    assert sigmas(plain, VALUES.mean()) > 15


def test_counts_are_unbiased():
    """How many tasks there are of a label, and how many there are at all, are right in the mean."""
    label = {task: float(value > 0.5) for task, value in VALUE_OF.items()}
    counts, _ = simulated(lambda sample: sample.total(label))
    assert sigmas(counts, sum(label.values())) < 3
    sizes = np.array([drawn(seed).population for seed in range(ROUNDS)])
    assert sigmas(sizes, NUMBER) < 3


def test_the_mean_is_nearly_unbiased_and_its_interval_holds_the_truth():
    """Hajek's mean is off by less than a tenth of its error, and about nine of ten intervals of 90 % hold it."""
    found = [drawn(seed).mean(VALUE_OF, confidence=0.9) for seed in range(ROUNDS)]
    values = np.array([each.value for each in found])
    assert abs(values.mean() - VALUES.mean()) < 0.25 * values.std()
    held = np.mean([each.low <= VALUES.mean() <= each.high for each in found])
    assert 0.8 < held < 0.96


def test_accuracy_of_a_model_is_that_on_all_tasks_and_not_on_what_it_was_unsure_of():
    """A model that errs where it is unsure looks worse in what an uncertainty order asks first; weights mend that."""
    wrong = np.quantile(SCORES, 0.7) < SCORES
    truth = dict.fromkeys(TASKS, "a")
    predicted = {task: "b" if bad else "a" for task, bad in zip(TASKS, wrong, strict=True)}
    values, _ = simulated(lambda sample: sample.accuracy(truth, predicted))
    plain = np.mean([np.mean([truth[task] == predicted[task] for task in drawn(seed).tasks]) for seed in range(200)])
    assert values.mean() == pytest.approx(1 - wrong.mean(), abs=0.02)
    assert plain < 1 - wrong.mean() - 0.15


def test_skipped_tasks_are_left_out_of_means():
    """A task without an answer is no zero: the mean is that of the tasks that can be answered."""
    can = {task: value for number, (task, value) in enumerate(VALUE_OF.items()) if number % 3}
    found = [closed_sample(*beginning(seed, closed=60)).mean(can).value for seed in range(150)]
    assert np.mean(found) == pytest.approx(np.mean(list(can.values())), abs=0.08)
    queue, closed = beginning(0)
    told = closed_sample(queue, closed).mean(can | {closed[0]: None})
    assert told.tasks == len(set(closed[1:]) & set(can))


def test_everything_closed_is_the_truth():
    """With no open task left every probability is 1, the numbers are exact, and there is no error."""
    queue, _ = beginning(3)
    sample = closed_sample(queue, TASKS)
    assert sample.probabilities.tolist() == [1.0] * NUMBER
    assert sample.mean(VALUE_OF).value == pytest.approx(VALUES.mean())
    total = sample.total(VALUE_OF)
    assert (total.value, total.error, total.tasks) == (pytest.approx(VALUES.sum()), 0, NUMBER)
    assert total.effective == pytest.approx(NUMBER)


def test_answers_beyond_the_first_open_task_are_left_out():
    """Who answers out of turn is not known to chance; only what comes before the first open task counts."""
    queue, closed = beginning(4)
    order = queue["task"].to_pylist()
    assert closed_sample(queue, [*closed, *order[CLOSED + 1 :]]).tasks == tuple(closed)
    assert closed_sample(queue, order[1:]).tasks == ()


def test_two_pushes_are_two_draws():
    """Tasks that came later were drawn by themselves: each push has its own beginning, and both together are unbiased."""
    later = [f"{number:032x}" for number in range(1000, 1040)]
    values = VALUE_OF | {task: float(number) for number, task in enumerate(later)}
    found = []
    for seed in range(200):
        first, closed = beginning(seed)
        second = plan(ORDER, later, np.arange(40.0), seed=seed, start=NUMBER).sort_by("position")
        queue = pa.concat_tables([first, second])
        sample = closed_sample(queue, [*closed, *second["task"].to_pylist()[:15]])
        assert len(sample.tasks) == CLOSED + 15
        found.append(sample.total(values).value)
    assert sigmas(np.array(found), sum(values.values())) < 3


def test_pushes_of_single_tasks_are_not_taken_for_one_draw():
    """Where each push brings one task, each was certain to be asked, whatever its arrival."""
    pushes = [plan(random(), [task], seed="q", start=number) for number, task in enumerate(TASKS[:30])]
    sample = closed_sample(pa.concat_tables(pushes), TASKS[:10])
    assert sample.tasks == tuple(TASKS[:10])
    assert sample.probabilities.tolist() == [1.0] * 10


def test_a_queue_that_took_only_some_tasks_speaks_for_all():
    """Of tasks that were never queued the probability of those that were knows."""
    found = []
    for seed in range(200):
        queue = plan(ORDER, TASKS, SCORES, seed=seed, audit=0.2, limit=CLOSED)
        sample = closed_sample(queue, TASKS)
        assert len(sample.tasks) == CLOSED
        found.append(sample.total(VALUE_OF).value)
    assert sigmas(np.array(found), VALUES.sum()) < 3


def test_gold_tasks_among_the_others_change_nothing():
    """They were not drawn: they are passed over wherever they lie."""
    queue, closed = beginning(5)
    gold = pa.table({"task": ["g"], "position": [2], "stream": ["gold"]})
    mixed = pa.concat_tables([queue.slice(0, 2), gold, queue.slice(2)], promote_options="default")
    assert closed_sample(mixed, closed).tasks == closed_sample(queue, closed).tasks


def test_from_a_fixed_order_nothing_follows():
    """It has no rates, so that there is nothing to estimate by, and it is said so."""
    queue = plan(fixed(), TASKS)
    with pytest.raises(LabelError, match="drawn at a known rate"):
        closed_sample(queue, TASKS)
    with pytest.raises(BadColumn, match="no column 'rate'"):
        closed_sample(queue.drop_columns(["rate"]), TASKS)


def test_nothing_closed_is_no_number():
    """Without an answer there is no mean, and the total is of nothing."""
    sample = closed_sample(beginning(6)[0], [])
    assert math.isnan(sample.mean(VALUE_OF).value)
    assert sample.total(VALUE_OF).tasks == 0
    with pytest.raises(ConfigError, match="confidence is between"):
        closed_sample(*beginning(6)).total(VALUE_OF, confidence=95)


def test_an_estimate_says_what_it_comes_from():
    """As text it has its interval and the number of answers; unequal weights are worth fewer answers."""
    found = closed_sample(*beginning(7)).mean(VALUE_OF)
    assert str(found).endswith(f"from {CLOSED} tasks)")
    assert 1 < found.effective < CLOSED
