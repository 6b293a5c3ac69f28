"""Tasks are drawn at the rates that they have, the same way every time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError, LabelError
from dataplat.labeling import order
from dataplat.labeling.order import Order, order_from, plan
from dataplat.labeling.order._sample import _luck, rates
from dataplat.validation.drift._distributions import chi2_sf, kolmogorov_sf

ORDER = order.uncertainty("predictions")
TASKS = [f"{number:032x}" for number in range(12)]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.floats(0, 1e300), st.just(math.nan)), min_size=1, max_size=30),
    st.floats(0.01, 1.0),
)
def test_rates_sum_to_one_and_none_is_below_the_floor(scores, audit):
    """Whatever the scores, every task has at least its share of the audit."""
    found = rates(np.array(scores), audit)
    assert found.sum() == pytest.approx(1)
    assert (found >= audit / len(scores) * (1 - 1e-12)).all()


def test_what_is_not_known_counts_as_the_mean():
    """A task without a score is neither preferred nor put last; without any score all are alike."""
    assert rates(np.array([1.0, 3.0, np.nan]), 0.1)[2] == pytest.approx(1 / 3)
    assert rates(np.array([np.nan, np.nan]), 0.1).tolist() == [0.5, 0.5]
    assert rates(np.array([0.0, 0.0]), 0.1).tolist() == [0.5, 0.5]


def test_luck_is_even_and_of_two_kinds():
    """The numbers of 100,000 tasks are uniform, and those of arrival and stream have nothing to do with each other."""
    one, two = _luck([f"{number:032x}" for number in range(100_000)], "seed")
    for each in (one, two):
        away = np.abs(np.sort(each) - np.arange(1, len(each) + 1) / len(each)).max()
        assert kolmogorov_sf(away * math.sqrt(len(each))) > 0.001
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / math.sqrt(len(one))
    assert one.min() > 0
    assert one.max() < 1


def test_the_first_task_is_drawn_as_often_as_its_rate_says():
    """Over 1,000 seeds the first tasks are spread as the rates are (chi-square), and a share of `audit` of them are audits."""
    scores, audit, rounds = np.arange(12.0), 0.25, 1_000
    firsts, audits = np.zeros(12), 0
    for seed in range(rounds):
        found = plan(ORDER, TASKS, scores, seed=seed, audit=audit)
        first = int(np.asarray(found["position"]).argmin())
        firsts[first] += 1
        audits += found["stream"][first].as_py() == "audit"
    expected = rates(scores, audit) * rounds
    assert chi2_sf(float(((firsts - expected) ** 2 / expected).sum()), 11) > 0.001
    assert abs(audits - audit * rounds) < 3.5 * math.sqrt(rounds * audit * (1 - audit))


def test_positions_follow_arrivals_and_the_same_seed_gives_the_same_plan():
    """The order is that of arrival; a task's luck is its own, whatever the order in which tasks are given."""
    scores = np.arange(12.0)
    found = plan(ORDER, TASKS, scores, "seed", 0.1)
    assert found["task"].to_pylist() == TASKS
    arrivals = np.asarray(found["arrival"])
    assert np.argsort(arrivals).tolist() == np.argsort(found["position"]).tolist()
    assert found["probability"].to_pylist() == [1.0] * 12
    assert set(found["stream"].to_pylist()) <= {"policy", "audit"}
    turned = plan(ORDER, TASKS[::-1], scores[::-1], "seed", 0.1)
    assert turned["arrival"].to_pylist()[::-1] == pytest.approx(arrivals.tolist(), rel=1e-12)
    assert plan(ORDER.to_dict(), TASKS, scores, "seed", 0.1).equals(found)
    assert not plan(ORDER, TASKS, scores, "other", 0.1).equals(found)


def test_a_limit_says_how_probable_it_was_to_be_queued():
    """Beyond it positions are null, and probabilities are those to arrive before the first task that is left out."""
    found = plan(ORDER, TASKS, np.arange(12.0), seed=1, start=100, limit=5)
    positions = found["position"].to_pylist()
    assert sorted(each for each in positions if each is not None) == [100, 101, 102, 103, 104]
    arrivals, rate = np.asarray(found["arrival"]), np.asarray(found["rate"])
    until = np.sort(arrivals)[5]
    assert np.asarray(found["probability"]) == pytest.approx(1 - np.exp(-rate * until))


def test_an_order_s_own_audit_is_the_one_that_counts_unless_told():
    """`audit=` of the order, else a tenth; one given to the plan comes before both."""
    floor = [
        np.asarray(plan(each, TASKS, np.eye(12)[0])["rate"])[1] for each in (ORDER, order.uncertainty("p", audit=0.6))
    ]
    assert floor == pytest.approx([0.1 / 12, 0.6 / 12])
    assert np.asarray(plan(order.uncertainty("p", audit=0.6), TASKS, np.eye(12)[0], 0, 0.3)["rate"])[
        1
    ] == pytest.approx(0.3 / 12)


def test_a_fixed_order_has_no_rates():
    """Without an order tasks come as they are given; a deterministic one puts the highest score first, unknown ones last."""
    assert plan(None, TASKS)["position"].to_pylist() == list(range(12))
    found = plan(order.diversity(["x"]), TASKS[:4], [1.0, math.nan, 3.0, 1.0])
    assert found["position"].to_pylist() == [1, 3, 0, 2]
    assert set(found["stream"].to_pylist()) == {"fixed"}
    assert all(found[name].null_count == 4 for name in ("rate", "arrival", "probability"))


def test_no_task_is_no_trouble():
    """A push that brings nothing new plans nothing."""
    for each in (None, ORDER, order.fixed()):
        assert plan(each, [], []).num_rows == 0


@pytest.mark.parametrize(
    ("scores", "audit", "error", "told"),
    [
        ([1.0], None, LabelError, "1 scores for 12 tasks"),
        ([-1.0] * 12, None, LabelError, "0 or more, and one is -1"),
        ([math.inf] * 12, None, LabelError, "0 or more, and one is inf"),
        ([1.0] * 12, 0.0, ConfigError, "without it some tasks might have no chance"),
        ([1.0] * 12, 1.5, ConfigError, "above 0 and at most 1"),
    ],
)
def test_bad_scores_and_shares_are_told(scores, audit, error, told):
    """Scores that are no weights and an audit that is no share are refused."""
    with pytest.raises(error, match=told):
        plan(ORDER, TASKS, scores, audit=audit)


@pytest.mark.parametrize(
    "each",
    [
        order.uncertainty("p", "margin", audit=0.3),
        order.committee("a", "b", columns=["x"], kind="vote"),
        order.diversity(["x", "y"], "vectors", centres=5, seed=2),
        order.drift_slice("old", "x"),
        order.outliers(["x"], method="iqr", bound=3.0),
        order.corrections("fixes", time="at"),
        order.sql("abs(x)"),
        order.sql("order by x"),
        order.random(),
        order.fixed(),
    ],
)
def test_orders_are_kept_as_plain_values(each):
    """What a queue's definition keeps of an order gives the same order again."""
    import json

    assert isinstance(each, Order)
    assert order_from(json.loads(json.dumps(each.to_dict()))) == each
    assert order_from(each) is each
    assert each.samples == (each.to_dict()["order"] not in {"diversity", "fixed"} and each != order.sql("order by x"))


def test_an_audit_that_is_no_share_is_refused_where_it_is_said():
    """Not only when a queue is pushed."""
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        order.uncertainty("p", audit=0)
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        order_from({"order": "random", "audit": 2})
