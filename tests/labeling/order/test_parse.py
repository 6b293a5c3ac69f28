"""Orders as people type them."""

import pytest

from dataplat.errors import ConfigError
from dataplat.labeling import order
from dataplat.labeling.order import parse_order


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("uncertainty:predictions", order.uncertainty("predictions")),
        ("uncertainty: predictions@v1 ", order.uncertainty("predictions@v1")),
        ("committee:one,two", order.committee("one", "two")),
        ("diversity:x, y", order.diversity(["x", "y"])),
        ("drift-slice:flights@v1", order.drift_slice("flights@v1")),
        ("outliers", order.outliers()),
        ("outliers:x", order.outliers(["x"])),
        ("corrections:fixed_by_users", order.corrections("fixed_by_users")),
        ("sql:abs(x) + case when y = ':' then 1 end", order.sql("abs(x) + case when y = ':' then 1 end")),
        ("random", order.random()),
        ("fixed", order.fixed()),
    ],
)
def test_a_text_is_the_order_that_python_says(text, meant):
    """Each kind that can be typed is the one that its function gives."""
    assert parse_order(text) == meant


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("uncertain:x", "no order 'uncertain'.*uncertainty"),
        ("uncertainty", "lacks what it looks at: uncertainty:REF"),
        ("uncertainty:", "lacks what it looks at"),
        ("random:x", "looks at nothing"),
    ],
)
def test_what_is_no_order_is_told(text, told):
    """A kind that is not there is told with its neighbour; one that lacks something with how it is written."""
    with pytest.raises(ConfigError, match=told):
        parse_order(text)
