"""Labelling functions vote as people do; what they cover, share and contradict is counted; failures name row and function."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import BadColumn, ConfigError, KeyViolation, LabelError
from dataplat.labeling.consensus import consensus
from dataplat.labeling.task import task_ids
from dataplat.labeling.weak import labeling_function, weak_labels

FLIGHTS = pa.table(
    {
        "flight": ["f0", "f1", "f2", "f3", "f4"],
        "delay": [200, 5, 90, 20, None],
        "wind": [3.0, 50.0, 45.0, 2.0, None],
        "cause": ["carrier", "weather", "weather", None, None],
    }
)


@labeling_function
def long_delay(row):
    """Say that the carrier is at fault where it took hours."""
    return "carrier" if (row["delay"] or 0) > 60 else None


storm = labeling_function(pl.col("wind") > 40, label="weather", name="storm")
by_size = labeling_function(pl.when(pl.col("delay") < 30).then(pl.lit("other")).alias("by_size"))


def test_functions_vote_and_what_they_do_is_counted():
    """Votes are those of annotators; coverage, overlap, conflict are shares of all rows, accuracy of known ones."""
    found = weak_labels(FLIGHTS, [long_delay, storm, by_size], gold="cause")
    assert found.votes.to_pylist() == [
        {"task": row, "annotator": name, "label": label}
        for name, label, rows in (("long_delay", "carrier", [0, 2]), ("storm", "weather", [1, 2]), ("by_size", "other", [1, 3]))
        for row in rows
    ]  # fmt: skip
    assert found.table.to_pylist() == [
        {"function": "long_delay", "labels": ["carrier"], "votes": 2, "coverage": 0.4, "overlap": 0.2, "conflict": 0.2, "gold": 2, "accuracy": 0.5},
        {"function": "storm", "labels": ["weather"], "votes": 2, "coverage": 0.4, "overlap": 0.4, "conflict": 0.4, "gold": 2, "accuracy": 1.0},
        {"function": "by_size", "labels": ["other"], "votes": 2, "coverage": 0.4, "overlap": 0.2, "conflict": 0.2, "gold": 1, "accuracy": 0.0},
    ]  # fmt: skip
    assert (found.tasks, found.covered) == (5, 4)
    assert found.summary == "3 functions, 6 votes on 4 of 5 tasks (80.0%)"
    assert "accuracy  50.0% of 2" in str(found)


def test_rows_may_be_named_by_a_column_or_as_a_queue_does():
    """Votes then are on those tasks, so that they can be counted beside people's; equal rows are one task."""
    assert weak_labels(FLIGHTS, [storm], task="flight").votes["task"].to_pylist() == ["f1", "f2"]
    twice = pa.concat_tables([FLIGHTS, FLIGHTS])

    def queued(batch):
        return task_ids(batch, ["flight", "delay"], "delays")

    found = weak_labels(twice, [storm], task=queued, gold={queued(twice.to_batches()[0])[1].as_py(): "weather"})
    assert (found.tasks, found.votes.num_rows) == (5, 2)
    assert found.table["accuracy"].to_pylist() == [1.0]
    people = found.votes.set_column(1, "annotator", pa.array(["ann", "ann"]))
    both = consensus(pa.concat_tables([found.votes, people]), "dawid-skene", abstaining=found.functions)
    assert both.table["votes"].to_pylist() == [2, 2]
    with pytest.raises(KeyViolation, match="row 5: flight 'f0' is there before"):
        weak_labels(twice, [storm], task="flight")
    with pytest.raises(KeyViolation, match="row 4 has no task"):
        weak_labels(FLIGHTS, [storm], task="delay")


@pytest.mark.parametrize("make", [pl.from_arrow, pa.Table.to_batches, pa.Table.to_reader, pa.Table.to_pandas, lambda table: [table.slice(0, 2).to_batches()[0], table.slice(2).to_batches()[0]]])  # fmt: skip
def test_data_may_be_any_frame_or_batches(make):
    """Whatever holds the rows and however they are cut, the answer is the same."""
    functions = [storm, by_size]
    whole = weak_labels(FLIGHTS, functions, gold={1: "weather"})
    found = weak_labels(make(FLIGHTS), functions, gold={1: "weather"})
    assert found.votes.sort_by([("annotator", "ascending"), ("task", "ascending")]) == whole.votes.sort_by(
        [("annotator", "ascending"), ("task", "ascending")]
    )
    assert found.table == whole.table


def failing(row):
    """Fail where the wind is strong."""
    return "x" if row["wind"] is None else ["x", None][int(row["wind"] // 30)]


def test_a_function_that_fails_names_itself_and_the_row():
    """Python functions and expressions alike, also in a later batch, with the row's name where it has one."""
    far = [FLIGHTS.slice(0, 1).to_batches()[0], FLIGHTS.slice(3, 1).to_batches()[0]]
    bad = pa.table({"delay": [1, 2], "wind": [1.0, 99.0], "flight": ["a", "b"]}).to_batches()[0]
    with pytest.raises(LabelError, match="'failing' failed at row 3: IndexError: list index out of range") as caught:
        weak_labels([*far, bad], [failing])
    assert isinstance(caught.value.__cause__, IndexError)
    with pytest.raises(LabelError, match=r"'failing' failed at row 1 \(flight 'b'\)"):
        weak_labels(bad, [failing], task="flight")
    dates = pa.table({"day": [*["2026-01-01"] * 700, "soon", *["2026-01-01"] * 300]})
    strict = labeling_function(pl.col("day").str.to_date("%Y-%m-%d").dt.year() > 2020, label="new", name="year")
    with pytest.raises(LabelError, match="'year' failed at row 700: "):
        weak_labels(dates, [strict])


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (lambda row: row["delay"] == 5, "False is no label"),
        (lambda row: 0.5, "0.5 is no label"),
        (labeling_function(lambda row: "yes", label="x"), "'yes' is neither true nor false"),
        (pl.col("wind") > 3, "gives Boolean: say label="),
        (pl.col("wind"), "gives Float64, not texts"),
        (labeling_function(pl.col("delay"), label="x"), "gives Int64: leave out label="),
        (pl.col("dely"), "asks for a column 'dely' that is not there; did you mean 'delay'"),
        (labeling_function(lambda row: None, columns=["wnd"]), "asks for a column 'wnd'"),
        (pl.col("flight").head(2), "gives 2 values for 5 rows"),
    ],
)
def test_what_is_no_label_is_refused(rule, match):
    """True, halves, columns that are not there: each says what is meant instead."""
    with pytest.raises(LabelError, match=match):
        weak_labels(FLIGHTS, [rule])


def test_labels_may_be_held_to_a_list():
    """A label that was mistyped is refused where it is first given."""
    with pytest.raises(LabelError, match="'storm' gives 'weather' at row 1; did you mean 'wether'"):
        weak_labels(FLIGHTS, [storm], labels=["wether"])


def test_bad_questions_are_refused():
    """No functions, two of one name, something else, columns that are not there, expressions over batches."""
    for functions, match in (([], "no labeling functions"), ([storm, storm], "two .* 'storm'"), ([3], "not 3")):
        with pytest.raises(ConfigError, match=match):
            weak_labels(FLIGHTS, functions)
    with pytest.raises(BadColumn, match="did you mean 'flight'"):
        weak_labels(FLIGHTS, [storm], task="fligth")
    windy = labeling_function(pl.col("wind") > pl.col("wind").mean(), label="w", name="windy")
    assert weak_labels(FLIGHTS, [windy]).votes.num_rows == 2
    with pytest.raises(LabelError, match="'windy' may look at other rows"):
        weak_labels(iter(FLIGHTS.to_batches()), [windy])


def test_a_function_can_be_called_by_itself():
    """The decorated function says of a row what it will vote; an expression, too."""
    assert long_delay({"delay": 100}) == "carrier"
    assert long_delay({"delay": 1}) is None
    assert storm({"wind": 41.0}) == "weather"
    named = labeling_function(name="n", label="x", columns=["wind"])(lambda row: "delay" in row)
    assert (named.name, named({"delay": 1})) == ("n", "x")
    assert weak_labels(FLIGHTS, [named]).votes.num_rows == 0


def test_expressions_may_find_columns_by_pattern():
    """A regular expression is no name of a column."""
    assert weak_labels(FLIGHTS, [labeling_function(pl.col("^wi.*$") > 40, label="x", name="w")]).votes.num_rows == 2


def test_no_rows_are_no_votes():
    """Empty data come to a table of functions that did nothing, and to no labels."""
    for data in (FLIGHTS.slice(0, 0), iter([])):
        found = weak_labels(data, [storm, long_delay])
        assert found.table["coverage"].to_pylist() == [0.0, 0.0]
        assert found.model().table.num_rows == 0


def rules_of_thumb(truth, seed):
    """Return votes and functions: each votes for one label only, mostly where it is true; one of them nearly everywhere."""
    draw = np.random.default_rng(seed)
    rates = [
        (0, 0.6, 0.05),
        (1, 0.5, 0.05),
        (2, 0.5, 0.03),
        (0, 0.3, 0.05),
        (1, 0.3, 0.02),
        (2, 0.4, 0.1),
        (0, 0.8, 0.7),
    ]
    columns = {
        f"f{n}": draw.random(len(truth)) < np.where(truth == label, hit, slip)
        for n, (label, hit, slip) in enumerate(rates)
    }
    functions = [
        labeling_function(pl.col(f"f{n}"), label="abc"[label], name=f"r{n}") for n, (label, *_) in enumerate(rates)
    ]
    return pa.table(columns), functions


def test_the_model_learns_from_silence():
    """Functions that vote for one label only are told apart by when they are silent; counting votes believes the loud one."""
    truth = np.random.default_rng(0).choice(3, 3000, p=[0.3, 0.4, 0.3])
    found = weak_labels(*rules_of_thumb(truth, 1))
    right = {}
    for method in ("majority", "dawid-skene"):
        table = found.model(method).table
        said = np.array(["abc".index(label) for label in table["label"].to_pylist()])
        right[method] = (said == truth[table["task"].to_numpy()]).mean()
    assert right["dawid-skene"] > right["majority"] + 0.05
    model = found.model()
    silence = {
        (row["annotator"], row["truth"]): row["probability"]
        for row in model.confusion.to_pylist()
        if row["label"] is None
    }
    assert silence["r1", "a"] > 0.85 > silence["r1", "b"]
    for name in found.functions:
        for label in "abc":
            row = [
                each["probability"]
                for each in model.confusion.to_pylist()
                if (each["annotator"], each["truth"]) == (name, label)
            ]
            assert sum(row) == pytest.approx(1, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(*[st.sampled_from(["p", "q", None])] * 3, st.sampled_from(["p", "q", None])), max_size=20),
    st.integers(1, 5),
)
def test_counts_are_those_of_counting_by_hand(rows, size):
    """However the rows are cut into batches."""
    table = pa.table(
        {name: pa.array([row[n] for row in rows], pa.string()) for n, name in enumerate(["a", "b", "c", "gold"])}
    )
    batches = [batch for at in range(0, len(rows), size) for batch in table.slice(at, size).to_batches()]
    found = weak_labels(batches, [pl.col("a"), pl.col("b"), pl.col("c")], gold="gold")
    for n, row in enumerate(found.table.to_pylist()):
        voted = [each for each in rows if each[n] is not None]
        others = [[each[m] for m in range(3) if m != n and each[m] is not None] for each in voted]
        known = [each for each in voted if each[3] is not None]
        assert row["votes"] == len(voted)
        assert row["overlap"] * len(rows) == pytest.approx(sum(bool(each) for each in others))
        assert row["conflict"] * len(rows) == pytest.approx(
            sum(set(said) - {each[n]} != set() for each, said in zip(voted, others, strict=True))
        )
        assert row["gold"] == len(known)
        assert row["accuracy"] == (sum(each[n] == each[3] for each in known) / len(known) if known else None)
    assert found.covered == sum(any(each[:3]) for each in rows)
