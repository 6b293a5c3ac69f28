"""Training sets: spines of any kind, labels, splits, what is saved, what is refused; history and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features._lineage_page import page as lineage_page
from dataplat.errors import BadColumn, ConfigError, SchemaError
from dataplat.feature_store.runs import Runs

COLUMN = "airport_weather__temp"


def hour(number):
    """Return a time, hours after the start of the weather."""
    return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=number)


def spine(**more):
    """Return three rows, two of them equal."""
    return {"airport": ["JFK", "LGA", "JFK"], "t": [hour(2), hour(3), hour(2)], **more}


def test_rows_stay_as_they_are(desk):
    """N in, N out, in their order, equal ones too, with all their columns (PIT 5)."""
    made = desk.store.training_set(spine(note=["a", "b", "c"]), desk.service)
    assert made.table.schema.names[:3] == ["airport", "t", "note"]
    assert made.table["note"].to_pylist() == ["a", "b", "c"]
    assert made.table[COLUMN].to_pylist() == [2.0, 103.0, 2.0]


@pytest.mark.parametrize(
    "kind", ["arrow", "batches", "polars", "lazy", "duckdb", "pandas", "dict", "rows", "reference", "query"]
)
def test_a_spine_of_any_kind(desk, kind):
    """Frames, references and queries give the same."""
    table = pa.table(spine())
    desk.lake.ingest(table, into="spine")
    given = {
        "arrow": table,
        "batches": table.to_reader(1),
        "polars": pl.DataFrame(table),
        "lazy": pl.LazyFrame(table),
        "duckdb": duckdb.from_arrow(table),
        "pandas": table.to_pandas(),
        "dict": spine(),
        "rows": table.to_pylist(),
        "reference": "spine",
        "query": "select * from spine",
    }[kind]
    made = desk.store.training_set(given, desk.service)
    assert made.table[COLUMN].to_pylist() == [2.0, 103.0, 2.0]
    if kind in {"reference", "query"}:
        assert made.recipe.spine.pins[0][0] == "spine"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"airport": ["JFK"], "t": []}, SchemaError, "no table.*length"),
        ([{"airport": "JFK"}, {"airport": 7}], SchemaError, "no table"),
        (7, ConfigError, "a list of dictionaries.*and not int"),
        ([7], ConfigError, "and not list"),
    ],
)
def test_what_is_no_table_is_refused(desk, given, error, said):
    """As an error of ours, which says what may be given."""
    with pytest.raises(error, match=said):
        desk.store.training_set(given, desk.service)


def test_rows_lack_what_others_have(desk):
    """Of a list of rows each may leave columns out: they are null there."""
    rows = [{"airport": "JFK", "t": hour(2)}, {"airport": "LGA", "t": hour(3), "note": "x"}]
    assert desk.store.training_set(rows, desk.service).table["note"].to_pylist() == [None, "x"]


def test_pinned_and_rebuilt(desk):
    """What comes later changes nothing: the set is of the versions of then, to the last byte; a new set is another."""
    made = desk.store.training_set(spine(), desk.service)
    desk.lake.ingest(desk.weather([1.5]), into="weather")
    again, fresh = made.rebuild(), desk.store.training_set(spine(), desk.service)
    assert again.table.equals(made.table)
    assert again.id == made.id
    assert fresh.id != made.id
    assert fresh.table["airport_weather__count_3h"].to_pylist() == [4, 4, 4]


def test_a_late_row_is_unknown_until_it_comes(desk):
    """By default as it was known; as_known="now" is explicit (PIT 8)."""
    desk.lake.ingest(desk.weather(range(6), late=5), into="late")
    service = dp.FeatureService("late", [desk.view_of(source="late")])
    assert desk.store.training_set(spine(), service).table[COLUMN].null_count == 3
    assert desk.store.training_set(spine(), service, as_known="now").table[COLUMN].to_pylist() == [2.0, 103.0, 2.0]
    with pytest.raises(ConfigError, match="as_known"):
        desk.store.training_set(spine(), service, as_known="then")


def test_labels_are_joined_and_immature_ones_left_out(desk):
    """By key, in order; rows whose label could not be known yet are counted (PIT 27)."""
    desk.lake.ingest(pa.table({"id": [1, 2, 3], "late": [True, False, True]}), into="labels", key=["id"])
    made = desk.store.training_set(spine(id=[3, 1, 9]), desk.service, labels="labels")
    assert made.table["late"].to_pylist() == [True, True, None]
    far = spine(id=[1, 2, 3]) | {"t": [hour(2), hour(10**6), hour(3)]}
    made = desk.store.training_set(far, desk.service, labels="labels", label_on="id", horizon="1h")
    assert (len(made), made.report.immature) == (2, 1)
    desk.lake.ingest(pa.table({"id": [1, 1], "late": [True, False]}), into="twice")
    with pytest.raises(SchemaError, match="two labels of id=1"):
        desk.store.training_set(spine(id=[1, 2, 3]), desk.service, labels="twice", label_on="id")
    with pytest.raises(BadColumn, match="no column 'idd'"):
        desk.store.training_set(spine(id=[1, 2, 3]), desk.service, labels="labels", label_on="idd")


def test_a_group_is_on_one_side_in_every_set(desk):
    """Groups are held out by a hash of their values; by time all from then on."""
    keys = [f"A{number}" for number in range(200)]
    made = desk.store.training_set({"airport": keys * 2, "t": [hour(2)] * 400}, desk.service)
    train, held = made.split(by="airport", holdout=0.25)
    assert len(train) + len(held) == 400
    assert 60 <= len(held) <= 140
    assert not set(train.table["airport"].to_pylist()) & set(held.table["airport"].to_pylist())
    other = desk.store.training_set({"airport": keys, "t": [hour(3)] * 200}, desk.service)
    assert set(other.split(by="airport", holdout=0.25)[1].table["airport"].to_pylist()) == set(
        held.table["airport"].to_pylist()
    )
    assert len(made.split(holdout=hour(2))[1]) == 400
    with pytest.raises(ConfigError, match="share"):
        made.split(holdout=2)


def test_saved_with_its_lineage(desk):
    """A version of a dataset, which says of which versions; the same again is no new one."""
    desk.store.apply(desk.service)
    made = desk.store.training_set(spine(), "delays")
    first, second = made.save("train"), made.save("train")
    assert first.version == second.version
    lineage = desk.lake["train"].commit.changes["train"].lineage
    assert ("weather", desk.lake["weather"].id) in [(each.name, each.version) for each in lineage]


def test_statuses_are_counted(desk):
    """How many cells have which status, in the report."""
    made = desk.store.training_set({"airport": ["JFK", "XXX"], "t": [hour(2)] * 2}, desk.service, statuses=True)
    assert made.report.statuses[COLUMN] == {"present": 1, "missing_key": 1}
    assert json.dumps(made.report.to_dict())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"airport": ["JFK"]}, "no column 't'"),
        ({"airport": ["JFK"], "t": [None]}, "no times|null in row 0"),
        ({"airport": ["JFK"], "t": [hour(1).replace(tzinfo=None)]}, "without a zone"),
        ({"airport": [7], "t": [hour(1)]}, "no key of entity airport"),
        ({"air": ["JFK"], "t": [hour(1)]}, "no column 'airport'"),
        ({"airport": ["JFK"], "t": [hour(1)], COLUMN: [1.0]}, "rename that of the spine"),
    ],
)
def test_a_spine_that_says_too_little(desk, given, said):
    """Named: the column, the row, and what to do."""
    with pytest.raises(SchemaError, match=said):
        desk.store.training_set(given, desk.service)


def test_what_is_remembered_is_never_wrong(desk, tmp_path):
    """Sorted rows that are damaged, cut or taken away are made again; a folder that cannot be written costs time only."""
    wanted = desk.store.training_set(spine(), desk.service).table
    folder = tmp_path / "runs"
    desk.store.__dict__["runs"] = Runs(folder)
    assert desk.store.training_set(spine(), desk.service).table.equals(wanted)
    [file] = folder.glob("*/*.run")
    whole = file.read_bytes()
    for broken in (whole[:-1], whole[: len(whole) // 2], b"", whole[:400] + bytes([whole[400] ^ 1]) + whole[401:]):
        file.write_bytes(broken)
        assert desk.store.training_set(spine(), desk.service).table.equals(wanted)
        assert file.read_bytes() == whole
    desk.store.__dict__["runs"] = Runs(tmp_path / "no" / "folder", size=0)
    assert desk.store.training_set(spine(), desk.service).table.equals(wanted)
    (tmp_path / "file").write_text("in the way")
    desk.store.__dict__["runs"] = Runs(tmp_path / "file")
    assert desk.store.training_set(spine(), desk.service).table.equals(wanted)


def test_history_without_a_spine(desk):
    """A row for each key and time at which something became known."""
    found = desk.store.history(desk.view_of(), hour(1), hour(3))
    assert found.num_rows == 4
    assert sorted(found[COLUMN].to_pylist()) == [1.0, 2.0, 101.0, 102.0]


def test_why_a_value_is_what_it_is(desk):
    """The rows that could be served, the newest last, each with what became of it."""
    told = desk.store.explain(desk.service, {"airport": "JFK"}, hour(2.5))
    [view] = told.views
    assert view.features["temp"][:2] == (2.0, "present")
    verdicts = [each.verdict for each in view.candidates]
    assert "the newest: served" in verdicts
    assert any("not known yet" in each for each in verdicts)
    assert "the newest: served" in repr(told)
    assert json.dumps(told.to_dict())


def test_a_side_of_a_split_is_a_set_of_its_own(desk):
    """With another id and its own counts, and made again as that side, split after split; pins are those of the whole."""
    keys = ["JFK", "LGA", *(f"A{number}" for number in range(30))]
    made = desk.store.training_set({"airport": keys, "t": [hour(2)] * len(keys)}, desk.service)
    desk.lake.ingest(desk.weather([1.5]), into="weather")
    train, held = made.split(holdout=0.4)
    inner = train.split(holdout=0.5, seed="validation")
    sets = [made, train, held, *inner]
    assert len({each.id for each in sets}) == len(sets)
    for each in sets:
        again = each.rebuild()
        assert (again.id, again.pins) == (each.id, made.pins)
        assert again.table.equals(each.table)
        assert again.report == each.report
        assert sum(each.report.statuses[COLUMN].values()) == each.report.rows == len(each)
    late = made.split(holdout=hour(2))
    assert [len(each) for each in late] == [0, len(keys)]
    assert late[1].id != made.id


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"holdout": 0.0}, "share between 0 and 1"),
        ({"holdout": True}, "share between 0 and 1"),
        ({"holdout": "2026-01-05"}, "share between 0 and 1, or a time"),
        ({"holdout": datetime(2026, 1, 5)}, "no time zone"),  # noqa: DTZ001
        ({"holdout": hour(2), "by": "airport"}, "by= and seed= are of a share"),
    ],
)
def test_what_cannot_be_held_out(desk, options, said):
    """Neither a share nor a time, or both: nothing of what was asked for is left aside in silence."""
    with pytest.raises(ConfigError, match=said):
        desk.store.training_set(spine(), desk.service).split(**options)


def test_rows_without_a_key_are_split_by_what_is_said(desk):
    """A service of views without an entity has no keys that could keep rows together."""
    service = dp.FeatureService("all", [desk.view_of(entity=None, keys=None)])
    made = desk.store.training_set(spine(), service)
    with pytest.raises(ConfigError, match="by= which rows stay together"):
        made.split(holdout=0.5)
    assert sum(map(len, made.split(by="airport", holdout=0.5))) == 3


def test_labels_may_say_when_they_were_known(desk):
    """Of labels that were committed long after, the newest known time ends what is mature (PIT 27); it is no column then."""
    labels = {"id": [1, 2, 3], "late": [True, False, True], "told": [hour(1), hour(3), hour(2)]}
    desk.lake.ingest(pa.table(labels), into="labels", key=["id"])
    given = {"labels": "labels", "label_on": "id", "horizon": "1h"}
    asked = spine(id=[1, 2, 9])
    assert desk.store.training_set(asked, desk.service, **given).report.immature == 0
    made = desk.store.training_set(asked, desk.service, label_known_at="told", **given)
    assert made.table.select(["id", "late"]).to_pydict() == {"id": [1, 9], "late": [True, None]}
    assert (made.report.immature, made.report.unlabelled) == (1, 1)
    assert "told" not in made.table.schema.names
    assert made.rebuild().id == made.id != desk.store.training_set(asked, desk.service, **given).id
    assert (
        made.split(by="id", holdout=0.5)[0].report.unlabelled + made.split(by="id", holdout=0.5)[1].report.unlabelled
        == 1
    )
    with pytest.raises(BadColumn, match="no column 'tld'.*told"):
        desk.store.training_set(asked, desk.service, label_known_at="tld", **given)
    with pytest.raises(ConfigError, match="horizon"):
        desk.store.training_set(asked, desk.service, labels="labels", label_on="id", label_known_at="told")


def test_progress_is_told_view_by_view(desk):
    """What is done, and how many rows that is."""
    told = []
    desk.store.training_set(spine(), desk.service, progress=told.append)
    assert [each.stage for each in told][-1] == "joining airport_weather:"
    assert told[0].stage == "reading the spine"


def test_why_of_some_keys_only(desk):
    """Views of which a key is missing are left out, and told; without any key the question is whose."""
    sites = desk.view_of(entity=dp.Entity("carrier"), keys={"origin": "carrier"})
    per = dp.on_demand(inputs=[desk.view_of(), dp.Request({"by": "float64"})], name="per")(lambda t: t.temp / t.by)
    other = sites.alias("other", on={"carrier": "carrier"})
    service = dp.FeatureService("both", [desk.view_of(), other, per])
    told = desk.store.explain(service, {"airport": "JFK"}, hour(2))
    assert [each.view for each in told.views] == ["airport_weather"]
    assert told.left == {"other": ["carrier"]}
    assert "temp" in told.computed["per"]
    assert "other is not looked at: it wants carrier" in repr(told)
    with pytest.raises(SchemaError, match="whose features.*airport, carrier"):
        desk.store.explain(service, {}, hour(2))


def test_why_says_which_windows_a_row_counts_in(desk):
    """Each row with the windows that it is in at that time; last values of a window are of the last rows; what was corrected is told."""
    rows = pa.concat_tables([desk.weather(range(6), ["JFK"]), desk.weather([5], ["JFK"], late=1)])
    desk.lake.ingest(rows.append_column("id", pa.array([0, 1, 2, 3, 4, 5, 4])), into="keyed")
    features = [dp.Count(window="3h"), dp.Sum("temp", window=None), dp.LastN("temp", 2), dp.First("temp", window="4h")]
    view = desk.view_of(source="keyed", features=features, row_key=["id"])
    [told] = desk.store.explain(dp.FeatureService("w", [view]), {"airport": "JFK"}, hour(6)).views
    found = {(each.e, each.k): (each.verdict, each.windows) for each in told.candidates}
    lifetime = "temp_sum_lifetime"
    assert found[hour(0), hour(0)] == ("older", (lifetime,))
    assert found[hour(3), hour(3)] == ("older", (lifetime, "temp_first_4h"))
    assert found[hour(4), hour(4)] == ("corrected: a newer row of its row key is known", ())
    assert found[hour(5), hour(5)] == ("older", ("count_3h", lifetime, "temp_last_2"))
    assert found[hour(5), hour(6)] == ("the newest: served", ("count_3h", lifetime, "temp_last_2"))
    counts = {name: sum(name in windows for _, windows in found.values()) for name in ("count_3h", lifetime)}
    assert {name: told.features[name][0] for name in ("count_3h",)} == {"count_3h": counts["count_3h"]}
    expired = desk.view_of(source="keyed", features=features, ttl="1h")
    [told] = desk.store.explain(dp.FeatureService("x", [expired]), {"airport": "JFK"}, hour(99)).views
    assert not any(each.windows for each in told.candidates)


def test_pages_of_sets_and_lineage_say_what_there_is(desk):
    """One page each, which asks no network; text of data is no markup; a notebook shows the head of it."""
    desk.store.apply(desk.service)
    made = desk.store.training_set(spine(note=["<b>", "x", "y"]), "delays", statuses=True)
    made.save("train")
    page = made.to_html()
    assert "Training set of delays@1" in page
    assert "&lt;b&gt;" in page
    assert "airport_weather__temp__status" not in page
    for each in (page, lineage_page("delays", desk.store.lineage("delays"))):
        assert "http" not in each.replace("http://www.w3.org", "")
        assert "<script" not in each
    assert "present" in made._repr_html_()
    picture = lineage_page("delays", desk.store.lineage("delays"))
    assert "dataset weather leads to airport_weather" in picture
    assert f"train@id:{desk.lake['train'].id[:12]}" in picture
