"""What each order wants to be asked first, of rows in a real lake."""

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import BadColumn, ConfigError, LabelError
from dataplat.labeling import order
from dataplat.labeling.order import plan, scores

IDS = {"id": [1, 2, 3, 4]}
PROBABLE = {"p_a": [1.0, 0.5, 0.2, 0.4], "p_b": [0.0, 0.5, 0.8, 0.3], "p_c": [0.0, 0.0, 0.0, 0.3]}


def entropy(*shares):
    """Return the entropy of shares, in nats."""
    return -sum(share * math.log(share) for share in shares if share)


ENTROPIES = [0, entropy(0.5, 0.5), entropy(0.2, 0.8), entropy(0.4, 0.3, 0.3)]


def test_entropy_margin_and_least_confidence(make_context):
    """Of columns of probabilities each kind is what the survey of active learning says it is."""
    context = make_context(IDS, predictions=IDS | PROBABLE)
    found = scores(order.uncertainty("predictions"), context)
    assert found == pytest.approx(np.array(ENTROPIES) / math.log(3))
    assert scores(order.uncertainty("predictions", "margin"), context) == pytest.approx([0, 1, 0.4, 0.9])
    assert scores(order.uncertainty("predictions", "least").to_dict(), context) == pytest.approx([0, 0.5, 0.2, 0.6])


def test_probabilities_may_be_a_list_and_need_not_be_there_for_every_task(make_context):
    """Lists of one place for each label do as well; null, empty and missing ones say nothing, and shorter ones end in zeros."""
    lists = [[1.0, 0, 0], None, [0.2, 0.8], []]
    context = make_context(IDS, predictions={"id": [1, 2, 3, 4], "probabilities": lists})
    found = scores(order.uncertainty("predictions"), context)
    assert found == pytest.approx([0, math.nan, ENTROPIES[2] / math.log(3), math.nan], nan_ok=True)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array([0.5, 0.5, 1.0, 0.0]), 2)
    context = make_context(IDS, predictions={"id": [3, 2], "probabilities": fixed})
    assert scores(order.uncertainty("predictions"), context) == pytest.approx([math.nan, 0, 1, math.nan], nan_ok=True)


def test_confidence_alone_is_least_confidence(make_context):
    """Where only the answer's probability is known there is no entropy, and who asks for the margin is told so."""
    context = make_context(IDS, predictions=IDS | {"confidence": [0.9, 0.6, None, 1.0]})
    assert scores(order.uncertainty("predictions"), context) == pytest.approx([0.1, 0.4, math.nan, 0], nan_ok=True)
    with pytest.raises(ConfigError, match="from which there is no margin"):
        scores(order.uncertainty("predictions", "margin"), context)


def test_rows_of_one_task_count_with_their_mean_and_a_column_of_task_ids_will_do(make_context):
    """Predictions may be several for a task, and may say which it is by its id alone."""
    context = make_context(IDS, predictions={"id": [1, 1], "confidence": [0.2, 0.6]})
    assert scores(order.uncertainty("predictions"), context)[0] == pytest.approx(0.6)
    context = make_context(IDS, other={"task": ["x"], "confidence": [0.5]})
    named = {"task": [context.tasks[3]], "confidence": [0.25]}
    context = make_context(IDS, predictions=named)
    assert scores(order.uncertainty("predictions"), context)[3] == 0.75


def test_what_is_no_prediction_is_told(make_context):
    """Logits, columns that are missing and rows that name no task are refused, with what is there."""
    context = make_context(
        IDS,
        logits=IDS | {"p_a": [2.5, 0, 0, 0], "p_b": [0.1, 1, 1, 1]},
        bare=IDS | {"x": [1, 2, 3, 4]},
        nameless={"confidence": [0.5]},
    )
    with pytest.raises(LabelError, match=r"logits holds 2.5 in row 0, which is no probability: are these logits\?"):
        scores(order.uncertainty("logits"), context)
    with pytest.raises(BadColumn, match="bare holds no probabilities"):
        scores(order.uncertainty("bare"), context)
    with pytest.raises(BadColumn, match="nameless does not say which tasks its rows are: it has no column 'id'"):
        scores(order.uncertainty("nameless"), context)
    with pytest.raises(ConfigError, match="no order 'uncertanty'.*did you mean"):
        scores({"order": "uncertanty"}, context)
    with pytest.raises(ConfigError, match="the order 'uncertainty' cannot be read"):
        scores({"order": "uncertainty"}, context)


def test_a_committee_of_votes_disagrees_by_their_entropy(make_context):
    """Answers of several datasets, or of several columns of one, are votes; one vote is no disagreement."""
    context = make_context(
        IDS,
        one=IDS | {"label": ["a", "a", "a", None]},
        two={"id": [1, 2, 3], "prediction": ["a", "b", "b"]},
        three={"id": [1, 2, 4], "p_a": [0.9, 0.9, 0.5], "p_c": [0.1, 0.1, 0.5]},
        wide=IDS | {"m1": ["a", "a", "b", None], "m2": ["a", "b", "b", "a"]},
    )
    found = scores(order.committee("one", "two", "three"), context)
    assert found == pytest.approx([0, entropy(1 / 3, 2 / 3), math.log(2), math.nan], nan_ok=True)
    wide = scores(order.committee("wide", columns=["m1", "m2"]), context)
    assert wide == pytest.approx([0, math.log(2), 0, math.nan], nan_ok=True)
    with pytest.raises(ConfigError, match="two members or more"):
        scores(order.committee("one"), context)
    with pytest.raises(ConfigError, match="no probabilities: kind='vote'"):
        scores(order.committee("wide", columns=["m1", "m2"], kind="kl"), context)
    with pytest.raises(BadColumn, match="one holds no probabilities"):
        scores(order.committee("one", "three", kind="kl"), context)


def test_a_committee_of_probabilities_disagrees_by_divergence(make_context):
    """The mean divergence from the mean of all is the entropy of the mean without the mean of the entropies."""
    one, two = [[0.9, 0.1], [0.5, 0.5], [1.0, 0.0]], [[0.1, 0.9], [0.5, 0.5], [0.0, 1.0]]
    ids = {"id": [1, 2, 3]}
    context = make_context(
        IDS,
        one=ids | {"p_a": [row[0] for row in one], "p_b": [row[1] for row in one]},
        two=ids | {"p_b": [row[1] for row in two], "p_a": [row[0] for row in two]},
        lists=ids | {"probabilities": [[0.9, 0.05, 0.05]] * 3},
        pairs=ids | {"probabilities": two},
    )
    expected = [
        np.mean([sum(p * math.log(p / q) for p, q in zip(model[row], np.add(one[row], two[row]) / 2, strict=True) if p) for model in (one, two)])
        for row in range(3)
    ]  # fmt: skip
    found = scores(order.committee("one", "two"), context)
    assert found == pytest.approx([*expected, math.nan], nan_ok=True)
    assert found[2] == pytest.approx(math.log(2))
    with pytest.raises(LabelError, match="differ in length"):
        scores(order.committee("lists", "pairs"), context)


def test_rows_in_slices_that_grew_come_first(make_context):
    """A text never seen before scores 1, one twice as frequent 1/2, others 0; the column that drifts most is found."""
    after = ["new"] * 30 + ["more"] * 100 + ["less"] * 70
    before = ["more"] * 50 + ["less"] * 150
    context = make_context(
        {"id": list(range(200)), "word": after, "flat": [1.0, 2.0] * 100},
        reference={"id": list(range(1000, 1200)), "word": before, "flat": [1.0, 2.0] * 100},
    )
    for column in ("word", None):
        found = scores(order.drift_slice("reference", column), context)
        assert found == pytest.approx([1.0] * 30 + [0.5] * 100 + [0.0] * 70)
    assert scores(order.drift_slice("reference", "flat"), context) == pytest.approx([0.0] * 200)
    with pytest.raises(BadColumn, match="no column 'wrod' in reference.*did you mean 'word'"):
        scores(order.drift_slice("reference", "wrod"), context)


def test_rows_far_out_come_first(make_context):
    """An outlier scores by how many bounds it lies out, an infinity as the farthest, all else nothing."""
    values = [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 60, math.inf, None]
    context = make_context({"id": list(range(12)), "x": values, "name": ["n"] * 12})
    found = scores(order.outliers(["x"]), context)
    assert found[:9].tolist() == [0] * 9
    assert 1 < found[9] < found[10] == 100
    assert found[11] == 0
    assert (scores(order.outliers(), context)[:11] == found[:11]).all()
    with pytest.raises(BadColumn, match="not numbers"):
        scores(order.outliers(["name"]), context)


def test_corrections_come_newest_first(make_context):
    """By their time, by what versions changed, or by their place; what nobody corrected scores nothing."""
    times = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (3, 9, 5)]
    fixes = {"id": [4, 2, 1], "at": times}
    context = make_context(IDS, fixes=fixes)
    assert scores(order.corrections("fixes", time="at"), context) == pytest.approx([1 / 2, 1, 0, 1 / 3])
    assert scores(order.corrections("fixes"), context) == pytest.approx([1, 1 / 2, 0, 1 / 3])
    told = make_context(IDS, fixes=fixes, changes=lambda _: iter([pa.table({"id": [3]}), pa.table({"id": [1, 3, 9]})]))
    assert scores(order.corrections("fixes"), told) == pytest.approx([1 / 2, 0, 1, 0])
    silent = make_context(IDS, fixes=fixes, changes=lambda _: None)
    assert scores(order.corrections("fixes"), silent) == pytest.approx([1, 1 / 2, 0, 1 / 3])
    with pytest.raises(BadColumn, match="no column 'when' in fixes"):
        scores(order.corrections("fixes", time="when"), context)


def test_any_sql_is_a_score_or_an_order(make_context):
    """An expression gives a score, `order by` a fixed order; several rows of a task count with their highest."""
    context = make_context({"id": [1, 2, 3, 4, 4], "delay": [-30, 5, None, 10, 20]})
    assert scores(order.sql("abs(delay)"), context) == pytest.approx([30, 5, math.nan, 20], nan_ok=True)
    assert scores(order.sql("delay > 7"), context) == pytest.approx([0, 0, math.nan, 1], nan_ok=True)
    assert scores(order.sql("1"), context) == pytest.approx([1, 1, 1, 1])
    fixed = order.sql("order by delay desc nulls last, id")
    assert not fixed.samples
    found = scores(fixed, context)
    drawn = plan(fixed, context.tasks, found, seed="q")
    assert [context.tasks[at] for at in np.argsort(drawn["position"])] == [context.tasks[at] for at in (3, 1, 0, 2)]
    assert set(drawn["stream"].to_pylist()) == {"fixed"}
    assert drawn["rate"].null_count == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abs(dealy)", "cannot be evaluated.*columns are id, delay"),
        ("abs(", "cannot be evaluated"),
        ("'late'", "gives String, not a number"),
        ("order by dealy", "cannot be evaluated"),
    ],
)
def test_sql_that_cannot_be_read_is_told(make_context, text, told):
    """What names no column, or gives no number, is refused with the columns that there are."""
    context = make_context({"id": [1], "delay": [2]})
    with pytest.raises(ConfigError, match=told):
        scores(order.sql(text), context)


def test_random_and_fixed_want_all_alike(make_context):
    """Neither looks at anything; one draws with equal chances, the other keeps the source's order."""
    context = make_context(IDS)
    assert scores(order.random(), context).tolist() == scores(None, context).tolist() == [1.0] * 4
    assert plan(order.fixed(), context.tasks, scores(order.fixed(), context))["position"].to_pylist() == [0, 1, 2, 3]
    assert set(plan(order.random(), context.tasks)["stream"].to_pylist()) == {"audit"}
