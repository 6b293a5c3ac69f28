"""The closure of a service: its hash changes with all that values depend on, and with nothing else (PIT 26)."""

from __future__ import annotations

import datetime as dt
import math
import os
import subprocess
import sys

import polars as pl
import pytest

import dataplat.feature_store.windows as w
from dataplat.errors import ClosureMismatch, ConfigError
from dataplat.feature_store import closure as module
from dataplat.feature_store.closure import check_closure, closure, closure_hash, used_views
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field, Request, Sql, on_demand

A, B = Entity("a"), Entity("b", "int64")


def view(*features, **told):
    """Return a view that has everything."""
    plain = {
        "source": "s", "entity": (A, B), "keys": {"col": "a"}, "timestamp": "at", "known_at": "seen", "delay": "1m",
        "ttl": "6h", "row_key": ["id", "part"], "where": "x > 1", "zone": "UTC", "history": "append", "name": "v",
    }  # fmt: skip
    plain |= told
    return FeatureView(plain.pop("name"), features=list(features) or ["x", w.Mean("y", window="24h")], **plain)


def service(*features, **told):
    """Return a service of one such view."""
    return FeatureService("m", [view(*features, **told)])


def computed(function, default=None, kind="float64"):
    """Return a service of one on-demand feature."""
    return FeatureService(
        "m", [on_demand(inputs=[view(), Request({"d": kind, "e": "int64"})], name="f", default=default)(function)]
    )


MATTERS = {
    "source": service(source="other"),
    "query": service(source=Sql("select * from s")),
    "keys": service(keys={"other": "a"}),
    "type of a key": service(entity=(A, Entity("b", "string"))),
    "entity": service(entity=(A, Entity("c", "int64"))),
    "timestamp": service(timestamp="when"),
    "known_at": service(known_at=None),
    "delay": service(delay="2m"),
    "ttl": service(ttl="5h"),
    "no ttl": service(ttl=None),
    "row key": service(row_key=["id"]),
    "where": service(where="x > 2"),
    "zone": service(zone="Europe/Berlin"),
    "history": service(history="commits"),
    "name of the view": service(name="other"),
    "window": service("x", w.Mean("y", window="25h", name="y_mean_24h")),
    "accuracy": service("x", w.Mean("y", window="24h", accuracy="hop(1h)")),
    "function": service("x", w.Sum("y", window="24h", name="y_mean_24h")),
    "default": service(Field("x", default=0.0), w.Mean("y", window="24h")),
    "fill": service(Field("x", fill="last_non_null"), w.Mean("y", window="24h")),
    "column": service(Field("z", name="x"), w.Mean("y", window="24h")),
    "name of a feature": service(Field("x", name="z"), w.Mean("y", window="24h")),
    "one feature more": service("x", w.Mean("y", window="24h"), "z"),
    "one feature less": service("x"),
    "order of columns": service(w.Mean("y", window="24h"), "x"),
    "alias": FeatureService("m", [view().alias("v", on={"other": "a"})]),
}


@pytest.mark.parametrize("what", MATTERS)
def test_what_values_depend_on_changes_the_hash(what):
    """Each alone."""
    assert closure_hash(MATTERS[what]) != closure_hash(service())


def test_all_of_these_hashes_differ():
    """No two of the changes are taken for one."""
    assert len({closure_hash(each) for each in MATTERS.values()}) == len(MATTERS)


def test_what_values_do_not_depend_on_changes_nothing():
    """Name and version of the service, limits, freshness, drift, the order of keys, entities and of row keys."""
    ours = closure_hash(service())
    assert closure_hash(FeatureService("other", [view()], version=7)) == ours
    assert closure_hash(service(max_events_per_key=5, freshness="1h", drift=0.1)) == ours
    assert closure_hash(service(entity=(B, A))) == ours
    assert closure_hash(service(keys={"b": "b", "col": "a"})) == ours
    assert closure_hash(service(row_key=["part", "id"])) == ours
    assert closure_hash(service("x", w.Mean("y", window="1d", name="y_mean_24h"))) == ours


def test_features_that_are_not_used_count_only_where_they_order_rows():
    """Columns behind the last used one cannot be seen in it; those before it decide which of tied rows is newest."""
    narrow = [FeatureService("m", [view(*features, row_key=[])[["x"]]]) for features in (["x"], ["x", "z"], ["z", "x"])]
    assert closure_hash(narrow[0]) == closure_hash(narrow[1]) != closure_hash(narrow[2])
    sums = [w.Sum("y", window="1h")]
    free = [FeatureService("m", [view(*each, row_key=[])[["y_sum_1h"]]]) for each in (sums, ["z", *sums])]
    assert closure_hash(free[0]) == closure_hash(free[1])
    corrected = [FeatureService("m", [view(*each)[["y_sum_1h"]]]) for each in (sums, ["z", *sums])]
    assert closure_hash(corrected[0]) != closure_hash(corrected[1])
    no_windows = [FeatureService("m", [view("x", row_key=key)]) for key in ([], ["id"])]
    assert closure_hash(no_windows[0]) == closure_hash(no_windows[1])


def test_expressions_count_by_what_they_are():
    """Two functions of one expression are the same; another literal, default or type of the request is not."""
    ours = closure_hash(computed(lambda t: t.x / t.d + 1))
    assert closure_hash(computed(lambda row: row["v"].x / row["request"].d + 1)) == ours
    others = [
        computed(lambda t: t.x / t.d + 2),
        computed(lambda t: t.x / t.d + 1.0),
        computed(lambda t: t.x / t.d + math.nan),
        computed(lambda t: t.x / t.d + math.inf),
        computed(lambda t: t.x / t.d + 1, default=0.0),
        computed(lambda t: t.x / t.d + 1, default=-0.0),
        computed(lambda t: t.x / t.d + 1, default=0),
        computed(lambda t: t.x / t.d + 1, default=dt.date(2026, 1, 1)),
        computed(lambda t: t.x / t.d + 1, default=math.nan),
        computed(lambda t: t.x / t.d + 1, kind="float32"),
    ]
    assert len({ours, *map(closure_hash, others)}) == 1 + len(others)


def test_inputs_that_an_expression_does_not_read_are_not_in_it():
    """Neither features nor columns of the request, nor a view that nothing reads."""
    told = closure(computed(lambda t: t.x / t.d))
    assert list(told["views"]["v"]["features"]) == ["x"]
    assert told["on_demand"]["f"]["request"] == {"d": "float64"}
    assert told["columns"] == ["f"]
    bare = computed(lambda t: t.d * t.e)
    assert closure(bare)["views"] == {}
    assert used_views(bare) == ()


def test_used_views_hold_what_is_asked_for_and_what_is_read():
    """A view of which one feature is asked for, and another one read, has both, those asked for first."""
    whole = view("x", "y", "z")
    f = on_demand(inputs=[whole], name="f")(lambda t: t.z + 1)
    (used,) = used_views(FeatureService("m", [whole[["y"]], f]))
    assert [each.feature for each in used.features] == ["y", "z"]
    (only,) = used_views(FeatureService("m", [f]))
    assert [each.feature for each in only.features] == ["z"]


def test_two_views_of_one_name_must_be_one():
    """A service that asks for one and reads another is refused."""
    f = on_demand(inputs=[view(ttl="1h")], name="f")(lambda t: t.x + 1)
    with pytest.raises(ConfigError, match="two different views are called 'v'"):
        closure(FeatureService("m", [view(), f]))
    g = on_demand(inputs=[view(Field("x", default=1.0), w.Mean("y", window="24h"))], name="g")(lambda t: t.x + 1)
    with pytest.raises(ConfigError, match="two different features called 'x'"):
        closure(FeatureService("m", [view(), g]))


def test_kernel_is_part_of_it(monkeypatch):
    """A kernel that gives other values is another version."""
    ours = closure_hash(service())
    monkeypatch.setattr(module, "VERSION", 99)
    assert closure_hash(service()) != ours


def test_model_of_another_closure_is_refused_with_both_hashes():
    """In whatever case it writes them, and whole or in the 12 digits that commands print."""
    ours, theirs = closure_hash(service()), closure_hash(service(ttl="5h"))
    for sent in (ours.upper(), f" {ours} ", ours[:12], ours[:40]):
        check_closure(service(), sent)
    for sent in (theirs, theirs[:12], ours[:11], "", f"{ours}0"):
        with pytest.raises(ClosureMismatch, match=f"'{sent}'.*m@1 is {ours}") as caught:
            check_closure(service(), sent)
        assert (caught.value.sent, caught.value.served) == (sent, ours)


def test_hash_is_the_same_in_another_process():
    """However strings hash there."""
    program = (
        "import polars as pl\n"
        "from dataplat.feature_store.closure import closure_hash\n"
        "from dataplat.feature_store.definitions import *\n"
        "v = FeatureView('v', source='s', timestamp='at', ttl='6h', features=['x'], where=pl.col('x') > 1)\n"
        "f = on_demand(inputs=[v, Request({'d': 'float64'})], name='f')(lambda t: t.x / t.d)\n"
        "print(closure_hash(FeatureService('m', [v, f])))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashing in ("1", "2")
    }
    v = FeatureView("v", source="s", timestamp="at", ttl="6h", features=["x"], where=pl.col("x") > 1)
    f = on_demand(inputs=[v, Request({"d": "float64"})], name="f")(lambda t: t.x / t.d)
    assert told == {closure_hash(FeatureService("m", [v, f])) + "\n"}
