"""k-centre: each next task is the one farthest from all before it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import BadColumn, ConfigError
from dataplat.labeling import order
from dataplat.labeling.order import plan, scores
from dataplat.labeling.order._diversity import k_centre


@settings(deadline=None)
@given(st.integers(2, 25), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_each_centre_is_the_farthest_from_those_before(number, centres, seed):
    """No point is farther from its nearest centre than the one that is chosen, and all points come once."""
    points = np.random.default_rng(seed).normal(size=(number, 2))
    found = k_centre(points, centres, seed)
    assert sorted(found.tolist()) == list(range(number))
    for count in range(1, min(centres, number)):
        near = np.linalg.norm(points[:, None] - points[found[:count]], axis=2).min(axis=1)
        assert near[found[count]] == pytest.approx(near.max())
    rest = found[centres:]
    if len(rest):
        near = np.linalg.norm(points[rest][:, None] - points[found[:centres]], axis=2).min(axis=1)
        assert (np.diff(near) <= 1e-12).all()


def test_one_of_every_cluster_comes_before_a_second_of_any(make_context):
    """Five tight clusters are each asked about once among the first five, whatever the order of the tasks."""
    draw = np.random.default_rng(1)
    centre = np.repeat([[0, 0], [9, 0], [0, 9], [9, 9], [30, 30]], 8, axis=0)
    points = centre + draw.normal(scale=0.1, size=centre.shape)
    context = make_context({"id": list(range(40)), "x": points[:, 0], "y": points[:, 1]})
    found = scores(order.diversity(["x", "y"]), context)
    first = np.argsort(-found)[:5]
    assert {at // 8 for at in first.tolist()} == {0, 1, 2, 3, 4}
    assert (found == scores(order.diversity(["x", "y"]), context)).all()
    drawn = plan(order.diversity(["x", "y"]), context.tasks, found)
    assert drawn["probability"].null_count == 40
    others = scores(order.diversity(["x", "y"], seed=5), context)
    assert np.argmax(others) != np.argmax(found)


def test_what_was_asked_before_is_kept_away_from(make_context):
    """Tasks that the queue has are centres already: the first of the new ones is the farthest from them."""
    source = {"id": [1, 2, 3, 4], "x": [0.0, 0.1, 5.0, 10.0]}
    tasks = make_context(source).tasks
    context = make_context(source, asked=[tasks[0]])
    found = scores(order.diversity(["x"]), context)
    assert [context.tasks[at] for at in np.argsort(-found)] == [tasks[3], tasks[2], tasks[1]]


def test_embeddings_are_points(make_context):
    """A list of numbers in the source or beside it is a point; gaps lie in the middle; tasks without any come last."""
    vectors = [[0.0, 0.0], [1.0, 0.0], [8.0, 8.0], None]
    context = make_context({"id": [1, 2, 3, 4, 5]}, vectors={"id": [1, 2, 3, 4], "embedding": vectors})
    found = scores(order.diversity(["embedding"], "vectors"), context)
    assert math.isnan(found[4])
    first = np.argsort(-found[:4])[:2].tolist()
    assert 2 in first or 0 in first


@pytest.mark.parametrize(
    ("source", "columns", "error", "told"),
    [
        ({"x": ["a"]}, ["x"], BadColumn, "by numbers, and column 'x' holds"),
        ({"x": [[1.0], [1.0, 2.0]]}, ["x"], BadColumn, "of 1 to 2 numbers"),
        ({"x": [1]}, ["y"], BadColumn, "no column 'y' in the source"),
        ({"x": [1]}, [], ConfigError, "diversity is by columns"),
    ],
)
def test_what_is_no_point_is_told(make_context, source, columns, error, told):
    """Texts, lists of several lengths and columns that are not there are refused."""
    rows = len(source["x"])
    with pytest.raises(error, match=told):
        scores(order.diversity(columns), make_context({"id": list(range(rows))} | source))
