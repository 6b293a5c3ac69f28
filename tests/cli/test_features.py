"""`dataplat features`: from a Python file to what is served and audited, as somebody types it."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from click.testing import CliRunner

import dataplat as dp
from dataplat._features._served import ServedLog
from dataplat.cli import main
from dataplat.cli._app import app
from dataplat.feature_store import verify

WEATHER = "airport,seen,temp\n" + "".join(
    f"{name},2026-01-01T{hour:02d}:00:00Z,{base + hour}\n"
    for name, base in (("JFK", 0), ("LGA", 20))
    for hour in range(6)
)
FEATURES = """
import dataplat as dp

weather = dp.FeatureView(
    "weather", source="weather", entity=dp.Entity("airport"), timestamp="seen", ttl=None,
    features=["temp", dp.Count(window="3h")],
)

@dp.on_demand(inputs=[weather, dp.Request({"extra": "float64"})])
def warmer(t):
    return t.temp + t.extra

model = dp.FeatureService("model", [weather, warmer])
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line on a lake with weather, and features.py in the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("DATAPLAT_LAKE", "DATAPLAT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    url = f"memory://{uuid.uuid4().hex}"
    (tmp_path / "weather.csv").write_text(WEATHER)
    (tmp_path / "features.py").write_text(FEATURES)

    def go(*words, code=0, err=False):
        ended = main([*words, "--lake", url])
        out, told = capsys.readouterr()
        assert ended == code, told or out
        return out + told if code or err else out

    go.url = url
    go.json = lambda *words, code=0: json.loads(go(*words, "--json", code=code))
    go("init")
    go("ingest", "weather.csv", "--into", "weather")
    return go


@pytest.fixture
def applied(run):
    """The same, with features.py applied."""
    run("features", "apply", "features.py")
    return run


@pytest.fixture
def served(applied):
    """The same, materialised."""
    applied("features", "materialize", "model")
    return applied


def test_a_plan_says_what_apply_would_do_and_apply_does_it_once(run):
    """New, then the same; the plan counts rows, keys and bytes, and changes nothing."""
    planned = run("features", "plan", "features.py")
    assert planned.startswith("model@1: new, closure ")
    assert "weather  weather" in planned
    assert "snapshot: 2 keys" in planned
    assert run.json("features", "list") == []
    assert "applied, commit" in run("features", "apply", "features.py")
    assert "is there already, the same" in run("features", "apply", "features.py")
    assert run.json("features", "plan", "features.py")[0]["state"] == "same"
    assert [each["service"] for each in run.json("features", "list")] == ["model"]
    assert run("features", "list").splitlines()[1].split()[:2] == ["model@1", "3"]


def test_one_service_of_a_file_is_named_behind_a_colon(run, tmp_path):
    """By its variable or its name; another is none of it, and a near one is suggested."""
    more = FEATURES + "\nother = dp.FeatureService('second', [weather])\nboth = [model, other]\n"
    (tmp_path / "features.py").write_text(more)
    assert [each["service"] for each in run.json("features", "plan", "features.py")] == ["model@1", "second@1"]
    assert [each["service"] for each in run.json("features", "plan", "features.py:other")] == ["second@1"]
    assert [each["service"] for each in run.json("features", "plan", "features.py:second")] == ["second@1"]
    assert "did you mean 'second'" in run("features", "plan", "features.py:secnd", code=2)


WRONG = [
    ("timestamp=", "timestmap=", "features.py:4: ", "FeatureView(", 2),
    ("ttl=None", "ttl='soon'", "features.py:4: ", "ttl is a number", 2),
    ("import dataplat as dp", "import datplat as dp", "features.py:2: ", "No module named 'datplat'", 2),
    ("t.temp + t.extra", "t.tmp + t.extra", "features.py:11: ", "did you mean 'temp'", 2),
    ("def warmer(t):", "def warmer(t)", "features.py:10: ", "expected ':'", 2),
    ('model = dp.FeatureService("model", [weather, warmer])', "", "features.py declares no feature service", "", 2),
    ("    return t.temp + t.extra", "    return t.count_3h + t.extra", "refused", "'tmep'", 1),
    ("t.temp + t.extra", "t.temp.sum() + t.extra", "not row-local", "warmer", 1),
    ('source="weather"', 'source="wether"', "no dataset 'wether'", "did you mean 'weather'", 1),
]


@pytest.mark.parametrize(("old", "new", "place", "why", "code"), WRONG)
def test_what_is_wrong_is_said_with_its_place_and_nothing_is_applied(run, tmp_path, old, new, place, why, code):
    """A mistake of the file with its line, one of the data with the view; the exit code tells which."""
    assert old in FEATURES
    wrong = FEATURES.replace(old, new)
    (tmp_path / "features.py").write_text(wrong.replace('"temp", dp', '"tmep", dp') if why == "'tmep'" else wrong)
    told = run("features", "apply", "features.py", code=code)
    assert place in told
    assert why in told
    assert "Traceback" not in told
    assert run.json("features", "list") == []


def test_none_of_a_file_is_applied_where_one_is_refused(run, tmp_path):
    """A good service beside one whose source is missing stays out, too."""
    more = "\nbad = dp.FeatureService('bad', [dp.FeatureView('v', source='none', timestamp='t', ttl=None, features=['x'])])"
    (tmp_path / "features.py").write_text(FEATURES + more)
    assert "bad@1 is refused, and nothing was applied" in run("features", "apply", "features.py", code=1)
    assert run.json("features", "list") == []


def test_another_definition_of_a_version_is_refused(applied, tmp_path):
    """The version to take is named."""
    (tmp_path / "features.py").write_text(FEATURES.replace("3h", "2h"))
    assert "version=2" in applied("features", "apply", "features.py", code=1)


def test_a_file_that_is_not_there_is_suggested(run):
    """A near name in the same folder; a folder is no file."""
    assert "did you mean features.py?" in run("features", "apply", "feature.py", code=2)
    assert "is a folder" in run("features", "apply", ".", code=2)


def test_a_training_set_is_shown_landed_or_written(applied, tmp_path):
    """Rows in, rows out; what was not there is counted; the id stands for the bytes."""
    spine = "select * from (values ('JFK', timestamptz '2026-01-01 02:30Z', 1.5), ('XXX', '2026-01-01 03:00Z', 0)) s(airport, t, extra)"
    shown = applied("features", "train", spine, "--service", "model")
    assert shown.splitlines()[1].split() == ["JFK", "2026-01-01", "02:30:00+00:00", "1.5", "2", "3", "3.5"]
    assert ["weather__temp", "1", "missing_key"] in [line.split() for line in shown.splitlines()]
    told = applied.json("features", "train", spine, "--service", "model", "--statuses")
    assert told["table"][1]["weather__temp__status"] == "missing_key"
    assert "train@main  +2 -0 rows" in applied("features", "train", spine, "-s", "model", "--out", "train")
    applied("features", "train", spine, "-s", "model", "--out", "train.parquet")
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "train.parquet").num_rows == 2
    assert "no column" in applied("features", "train", "select 1 as airport", "-s", "model", code=1)
    assert "no feature service 'modle'" in applied("features", "train", spine, "-s", "modle", code=3)


def test_a_part_is_held_out_and_a_page_is_written(applied, tmp_path):
    """By a share of groups or from a time on, as two datasets or files; the page says how cells came to be."""
    spine = "select airport, seen as t, 1.0 as extra from weather"
    train = ("features", "train", spine, "-s", "model")
    told = applied(*train, "--out", "train", "--holdout", "2026-01-01T04:00Z", "--report", "train.html")
    assert "train@main  +8 -0 rows" in told
    assert "train_holdout@main  +4 -0 rows" in told
    assert len({line for line in told.splitlines() if line.startswith("version ")}) == 2
    assert len({line.partition("commit ")[2] for line in told.splitlines() if line.startswith("version ")}) == 1
    assert "Training set of model@1" in (tmp_path / "train.html").read_text()
    both = applied.json(*train, "--out", "part.parquet", "--holdout", "0.5", "--by", "airport")
    assert both["train"]["id"] != both["holdout"]["id"]
    assert both["train"]["rows"] + both["holdout"]["rows"] == 12
    assert (tmp_path / "part_holdout.parquet").is_file()
    assert applied.json(*train, "--out", "train")["dataset"] == "train"
    assert "with --out what they are called" in applied(*train, "--holdout", "0.5", code=2)
    assert "--holdout 0.2" in applied(*train, "--by", "airport", code=2)
    assert "is no time" in applied(*train, "--out", "x", "--holdout", "half", code=2)


def test_history_and_reasons(applied):
    """A view over time, and the rows behind a value."""
    rows = applied.json("features", "history", "weather", "--from", "2026-01-01T04:00Z", "--to", "2026-01-01T06:00Z")
    assert [(row["airport"], row["weather__temp"]) for row in rows if row["airport"] == "LGA"] == [
        ("LGA", 24),
        ("LGA", 25),
    ]
    told = applied("features", "explain", "model", "airport=JFK", "--at", "2026-01-01T02:30Z", "-n", "3")
    assert "the newest: served" in told
    assert "weather__temp      2      present  30 min" in told
    assert "not known yet" in told
    asked = applied.json("features", "explain", "model", "airport=JFK", "--at", "2026-01-01T02:30Z")
    assert asked["views"][0]["features"]["temp"]["value"] == 2
    assert "no feature 'tmp'" in applied("features", "explain", "model", "airport=JFK", "--feature", "tmp", code=2)
    assert "whose features? model is asked by airport" in applied("features", "explain", "model", code=1)
    assert "did you mean 'airport'" in applied("features", "explain", "model", "airprt=JFK", code=2)
    computed = applied("features", "explain", "model", "airport=JFK", "--feature", "warmer")
    assert "weather__temp" in computed
    assert "weather__count_3h" not in computed
    assert "warmer is computed of them" in computed


def test_what_is_served_is_made_looked_up_pushed_and_rolled_back(applied, monkeypatch):
    """From nothing materialised to a pushed row that is served, landed, and the snapshot before."""
    assert "materialise it" in applied("features", "get", "model", "airport=JFK", "extra=1", code=3)
    assert "would write 2 records (all of it)" in applied("features", "materialize", "model", "--plan")
    assert "2 records written" in applied("features", "materialize", "model")
    assert "nothing changed" in applied("features", "materialize", "model")
    shown = applied("features", "get", "model", "airport=JFK,LGA", "extra=1,2")
    assert shown.splitlines()[0].split() == ["feature", "JFK,", "1.0", "LGA,", "2.0"]
    assert shown.splitlines()[1].split() == ["weather__temp", "5", "25"]
    told = applied.json("features", "get", "model", "airport=XXX", "extra=1", "--statuses")
    assert told["features"]["weather__temp__status"] == ["missing_key"]
    now = datetime.now(UTC).isoformat()
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"airport": "JFK", "seen": now, "temp": 50})))
    assert "1 row pushed" in applied("features", "push", "weather", "-")
    assert applied.json("features", "get", "model", "airport=JFK", "extra=1")["features"]["warmer"] == [51.0]
    assert "1 pushed row" in applied("features", "materialize", "model")
    planned = applied.json("features", "rollback", "model", "--plan")
    told = applied("features", "rollback", "model", "--plan")
    assert f"model@1: would serve snapshot {planned['snapshot']} of " in told
    assert f"in the place of {planned['live']}; other versions: weather" in told
    assert applied.json("features", "list")[0]["snapshot"] == planned["live"]
    assert "is served again" in applied("features", "rollback", "model")
    assert applied.json("features", "list")[0]["snapshot"] == planned["snapshot"]
    assert "no snapshot before" in applied("features", "rollback", "model", "--plan", code=3)
    assert "no snapshot before" in applied("features", "rollback", "model", code=3)
    told = applied("features", "retire", "model@1", "--plan")
    assert "model@1: would be retired, closure " in told
    assert f"  snapshot {planned['snapshot']} would be served no longer (2 keys, " in told
    assert "1 pushed row would be served no longer; they land in their dataset" in told
    assert applied.json("features", "get", "model", "airport=JFK", "extra=1")["features"]["warmer"] == [51.0]
    assert "retired, commit" in applied("features", "retire", "model@1")
    assert "was applied on branch" in applied("features", "retire", "model@1", "--plan", code=3)


def test_keys_on_the_command_line_are_typed_and_checked(served):
    """A missing one, an unknown one and one of another type are named."""
    assert "also needed: extra=VALUE" in served("features", "get", "model", "airport=JFK", code=2)
    assert "did you mean 'airport'" in served("features", "get", "model", "airprt=JFK", code=2)
    assert "extra=much is no float64" in served("features", "get", "model", "airport=JFK", "extra=much", code=2)
    assert "KEY=VALUE" in served("features", "get", "model", "JFK", code=2)


def test_pushed_rows_have_to_be_json_in_the_types_of_the_dataset(served, tmp_path):
    """What is none is refused, and nothing is served of it."""
    (tmp_path / "rows.json").write_text('[{"airport": "JFK", "seen": "2026-02-01T00:00:00Z", "temp": "hot"}]')
    assert "temp" in served("features", "push", "weather", "rows.json", code=1)
    (tmp_path / "rows.json").write_text("{nothing")
    assert "rows are JSON" in served("features", "push", "weather", "rows.json", code=2)
    assert "there is no file" in served("features", "push", "weather", "none.json", code=3)
    assert served.json("features", "freshness", "model")[0]["pushed"] == 0


def test_lineage_is_a_tree_from_source_to_training_set(served, tmp_path):
    """Source, view, service, and what was made of it; a view shows what its features are."""
    served("features", "train", "select airport, seen as t, 1.0 as extra from weather", "-s", "model", "--out", "train")
    lines = served("features", "lineage", "weather").splitlines()
    assert [line.lstrip("│├└─ ").split()[0] for line in lines] == [
        "dataset",
        "view",
        "service",
        "on",
        "snapshot",
        "training",
    ]
    assert lines[2].startswith("   └─ service model@1")
    assert served.json("features", "lineage", "model")[0]["kind"] == "dataset"
    assert "report: lineage.html" in served("features", "lineage", "model", "--report", "lineage.html", err=True)
    assert "service model@1 leads to" in (tmp_path / "lineage.html").read_text()
    shown = served("features", "show", "weather")
    assert "count over 3h" in shown
    assert served.json("features", "show", "model")["name"] == "model@1"


def test_stale_is_said_and_ends_in_one(run, tmp_path):
    """A view with a limit of a microsecond is stale at once."""
    (tmp_path / "features.py").write_text(FEATURES.replace("ttl=None,", "ttl=None, freshness='1us',"))
    run("features", "apply", "features.py")
    run("features", "materialize", "model")
    assert "stale" in run("features", "freshness", "model", code=1)


def test_an_audit_of_what_was_served_ends_in_zero_and_of_a_lie_in_one(served, tmp_path):
    """Logged lookups are answered again; one value changed in the log is told with its cause."""
    store = dp.open(served.url).features
    with ServedLog.of(store, most=None) as log:
        for airport in ("JFK", "LGA", "XXX"):
            asked = {"airport": [airport], "extra": [1.0]}
            looked = store.lookup("model", asked)
            log.record("model@1", asked, asked, 1, looked.t, looked.served)
    told = served("features", "audit", "model", "--report", "good.html")
    assert "as served: 9 cells, 0 differences" in told
    assert "as it should have been" in (tmp_path / "good.html").read_text()
    assert "stale: none" in told
    assert served.json("features", "audit", "model")["ok"] is True
    lake = store.lake
    rows = lake["features.served"].to_arrow().to_pylist()
    rows[0]["features"] = rows[0]["features"].replace('"weather__temp":', '"weather__temp":1')
    lake.ingest(lake["features.served"].to_arrow().from_pylist(rows, lake["features.served"].schema),
                into="features.served", mode="upsert", key=["id"])  # fmt: skip
    told = served("features", "audit", "model", "--report", "bad.html", code=1)
    assert "as served: 9 cells, 1 difference\n" in told
    assert "not as it should have been" in (tmp_path / "bad.html").read_text()
    assert "the online store held something else, or the log does" in told
    assert served.json("features", "audit", "model", "--until", "2026-01-01T00:00Z")["rows"] == 0


def test_definitions_are_verified_before_anything_is_served(applied, monkeypatch):
    """On drawn rows: 0 where all ways agree, 1 where one does not, and each difference is printed."""
    assert "5 worlds" in applied("features", "verify", "model", "--worlds", "5")
    told = applied.json("features", "verify", "model", "--worlds", "2", "--seed", "7")
    assert (told["ok"], told["worlds"], told["differences"]) == (True, 2, [])
    pack = verify.pack
    monkeypatch.setattr(verify, "pack", lambda *given: list(pack(*given))[1:])
    assert "in training" in applied("features", "verify", "model", "--worlds", "5", code=1)


def test_a_version_is_retired(served):
    """It is not served any more, and another retiring of it is refused."""
    assert "retired" in served("features", "retire", "model@1")
    assert served.json("features", "list") == []
    assert "model" in served("features", "retire", "model@1", code=3)


def test_names_are_completed(served, monkeypatch):
    """Services, views, and both where both may stand."""
    words = {
        "get ": {"model", "model@1"},
        "history ": {"weather"},
        "show ": {"model", "model@1", "weather"},
        "audit mod": {"model", "model@1"},
        "train x --service ": {"model", "model@1"},
        "get model ": {"airport=", "extra="},
        "get model airport=JFK ": {"extra="},
        "explain model ": {"airport="},
        "explain model --feature weather__": {"weather__temp", "weather__count_3h"},
        "explain none ": set(),
    }
    monkeypatch.setenv("DATAPLAT_LAKE", served.url)
    for typed, expected in words.items():
        line = f"dataplat features {typed}"
        count = len(line.split()) - (0 if line.endswith(" ") else 1)
        env = {"_DATAPLAT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(count)}
        done = CliRunner().invoke(app, [], env=env, prog_name="dataplat")
        assert {each.split(",", 1)[1] for each in done.output.split()} == expected, typed


def test_every_command_has_an_example_and_json():
    """The help of each shows how it is typed, and --json."""
    from dataplat.cli.features import COMMANDS

    for name in COMMANDS:
        shown = CliRunner().invoke(app, ["features", name, "--help"]).output
        assert "Example:" in shown, name
        assert "--json" in shown, name


def test_how_long_ago_is_as_good_as_a_time():
    """2h is two hours ago; a time without a zone is UTC; anything else is told."""
    from dataplat.cli._features_options import Moment

    ago = datetime.now(UTC) - Moment().convert("2h", None, None)
    assert abs(ago - timedelta(hours=2)) < timedelta(seconds=5)
    assert Moment().convert("2026-01-01T00:00", None, None) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_definition_of_another_version_of_dataplat_is_listed_as_that(applied):
    """Beside others, and said once."""
    lake = dp.open(applied.url)
    rows = lake["features.definitions"].to_arrow().to_pylist()
    rows[0]["definition"] = rows[0]["definition"].replace('"ttl"', '"time_to_live"')
    lake.ingest(pa.Table.from_pylist(rows), into="features.definitions", mode="replace")
    ended = CliRunner().invoke(app, ["features", "list", "--lake", applied.url])
    assert ended.exit_code == 0
    assert "model@1" in ended.stdout
    assert "was kept by another version of dataplat" in ended.stderr
    assert "another version" in applied.json("features", "list")[0]["unreadable"]


def test_limits_are_applied_again_and_several_mistakes_told_at_once(applied, tmp_path):
    """A freshness is no new version; of two services what is wrong with each is said."""
    limited = FEATURES.replace("ttl=None", "ttl=None, freshness='2h', drift=0.2")
    (tmp_path / "features.py").write_text(limited)
    told = applied("features", "apply", "features.py")
    assert "applied, commit" in told
    assert "~ view weather: freshness is 2h, and was not limited" in told
    assert "drift" in applied("features", "show", "weather")
    (tmp_path / "features.py").write_text(
        limited.replace('"temp", dp', '"temp", dp.Mean("airport", window="1h"), dp')
        + 'other = dp.FeatureService("other", [dp.FeatureView("v", source="wether", timestamp="t", ttl=None, features=["x"])])'
    )
    told = applied("features", "apply", "features.py", code=1)
    for each in ("airport holds string", "with airport_mean_1h", "version=2", "did you mean 'weather'"):
        assert each in told
    assert [each["service"] for each in applied.json("features", "list")] == ["model"]


def test_a_plan_says_what_memory_serving_takes(run):
    """And how that was estimated."""
    assert "memory: up to " in run("features", "plan", "features.py")
    [planned] = run.json("features", "plan", "features.py")
    assert planned["memory"] > 2 * planned["nbytes"]
    assert "LMDB" in planned["memory_is"]
