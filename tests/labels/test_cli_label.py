"""`dataplat label`: a queue from its making to its labels, as somebody types it."""

from __future__ import annotations

import json
import uuid

import pytest

import dataplat as dp
from dataplat._labels._state import State
from dataplat.cli import main

FLIGHTS = "flight_id,carrier,dep_delay\n0,AA,0\n1,BB,10\n2,AA,20\n3,BB,30\n"


@pytest.fixture
def run(site, capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line on a lake of flights, with a server that has three accounts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LABEL_STUDIO_URL", site.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", site.token)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    url = f"memory://{uuid.uuid4().hex}"
    (tmp_path / "flights.csv").write_text(FLIGHTS)

    def go(*words, code=0):
        ended = main([*words, "--lake", url])
        out, err = capsys.readouterr()
        assert ended == code, err or out
        return out if not code else err or out

    go.url = url
    go("init")
    go("ingest", "flights.csv", "--into", "flights", "--key", "flight_id")
    return go


@pytest.fixture
def asked(run):
    """The same with a queue that two people were asked by."""
    run("label", "queue", "create", "delays", "--from", "flights", "--show", "carrier,dep_delay",
        "--choices", "carrier,weather", "--overlap", "2", "--annotators", "anna,bob", "--adjudicator", "cy")  # fmt: skip
    run("label", "push", "delays")
    return run


@pytest.fixture
def answered(asked, site):
    """The same, answered: they disagree on the last flight."""
    people = {name: site.add_user(name) for name in ("anna", "bob", "cy")}
    lake = dp.open(asked.url)
    state = State.at_head(lake, "delays", "main")
    delay = {row["task"]: json.loads(row["data"])["dep_delay"] for row in state.tasks.to_pylist()}
    for row in sorted(state.placements.to_pylist(), key=lambda row: row["annotator"]):
        label = (
            "carrier" if delay[row["task"]] < 20 or (row["annotator"], delay[row["task"]]) == ("bob", 30) else "weather"
        )
        site.answer(row["id"], people[row["annotator"]], state.config.result_of(label), lead_time=3.0)
    asked("label", "pull", "delays")
    return asked


def test_a_queue_is_made_listed_shown_and_changed(run):
    """Create says what comes next, list counts, show has the config, set changes whom it asks."""
    made = run("label", "queue", "create", "delays", "--from", "flights", "--show", "carrier",
               "--choices", "carrier,weather")  # fmt: skip
    assert "all who have an account" in made
    assert made.splitlines()[-1] == "made; next: dataplat label push delays"
    assert run("label", "queue", "list").splitlines()[1].split() == ["delays", "flights", "0", "0"]
    assert "<Choice value=" in run("label", "queue", "show", "delays")
    run("label", "queue", "set", "delays", "--annotators", "anna", "--order", "random")
    shown = json.loads(run("label", "queue", "show", "delays", "--json"))
    assert shown["annotators"] == ["anna"]
    assert shown["order"]["order"] == "random"


def test_push_pull_status_next_close(asked, site):
    """Tasks go out once, answers come home once, and each annotator has a page."""
    assert "nothing new" in asked("label", "pull", "delays") or "0 new" in asked("label", "pull", "delays")
    assert "0 new tasks, 0 placed" in asked("label", "push", "delays")
    status = json.loads(asked("label", "status", "delays", "--json"))
    assert [each["open"] for each in status["annotators"]] == [4, 4]
    assert asked("label", "next", "delays", "--annotator", "anna").startswith(site.url)
    assert "is closed: 0 of 4 tasks done" in asked("label", "close", "delays")
    assert "is closed" in asked("label", "push", "delays", code=1)


def test_agreement_and_adjudication(answered):
    """Agreement tells alpha and pairs; what is disputed goes before cy."""
    told = answered("label", "agreement", "delays", "--bootstrap", "20")
    assert told.startswith("delays: alpha 0.")
    assert "anna  bob       4    75%" in told
    assert json.loads(answered("label", "agreement", "delays", "--json", "--bootstrap", "0"))["tasks"] == 4
    assert "1 task would be placed before cy" in answered("label", "adjudicate", "delays", "--plan")
    assert "1 task placed before cy" in answered("label", "adjudicate", "delays")


def test_consensus_becomes_a_dataset_and_versions_of_it_are_compared(answered):
    """Labels land under the key of the rows; another weighing is another version, and diff says what moved."""
    assert "4 tasks" in answered("label", "consensus", "delays", "--method", "dawid-skene")
    heavy = ("--method", "weighted", "--weight", "anna=2", "--weight", "bob=1")
    assert "+4 -0 rows" in answered("label", "consensus", "delays", "--into", "labels", *heavy)
    turned = ("--method", "weighted", "--weight", "anna=1", "--weight", "bob=2")
    answered("label", "consensus", "delays", "--into", "labels", *turned)
    told = answered("label", "diff", "labels~1", "labels")
    assert told.splitlines()[0] == "1 label changed, 0 rows added, 0 removed"
    assert "weather  carrier     1" in told
    assert "--weight x is no NAME=NUMBER" in answered(
        "label", "consensus", "delays", "--method", "weighted", "--weight", "x", code=2
    )


def test_blame_and_cost(answered):
    """Who said what about a row; how long it took."""
    told = answered("label", "blame", "delays", "flight_id=3").splitlines()
    assert [line.split()[1:4] for line in told[1:]] == [["anna", "answered", "weather"], ["bob", "answered", "carrier"]]
    assert len(json.loads(answered("label", "blame", "delays", "carrier=BB", "--json"))) == 4
    assert "no task of flight_id=9" in answered("label", "blame", "delays", "flight_id=9", code=1)
    assert "no COLUMN=VALUE" in answered("label", "blame", "delays", "a=1", "b", code=2)
    assert "4 tasks, 6.0 s each" in answered("label", "cost", "delays")
    assert json.loads(answered("label", "cost", "delays", "--per-hour", "3600", "--json"))["price"] == 24.0


def test_errors_are_found_by_predictions(answered, tmp_path):
    """A model that is sure of another label points at the wrong one; its columns are called p_LABEL."""
    pytest.importorskip("cleanlab")
    lines = [f"{n},{'carrier' if n % 2 or n == 10 else 'weather'},{0.95 if n % 2 else 0.05}" for n in range(40)]
    rows = "\n".join(f"{line},{1 - float(line.split(',')[2])}" for line in lines)
    (tmp_path / "made.csv").write_text(f"id,label,p_carrier,p_weather\n{rows}\n")
    answered("ingest", "made.csv", "--into", "made", "--key", "id")
    told = answered("label", "errors", "made").splitlines()
    assert told[0].startswith("1 of 40 labels are in doubt")
    assert told[2].split()[:3] == ["10", "carrier", "weather"]
    assert json.loads(answered("label", "errors", "made", "--json"))["doubted"] == 1


def test_export_and_report(answered, tmp_path):
    """Labels and a page are written where they are asked for."""
    told = answered("label", "export", "delays", "--to", "csv", "out", "--consensus")
    assert told.startswith("csv: 4 answers")
    assert (tmp_path / "out" / "labels.csv").exists()
    assert json.loads(answered("label", "export", "delays", "out", "--to", "csv", "--json"))["answers"] == 8
    assert "give one" in answered(
        "label", "export", "delays", "out", "--to", "csv", "--annotator", "anna", "--consensus", code=2
    )
    assert answered("label", "report", "delays", "page.html").strip() == "report: page.html"
    page = (tmp_path / "page.html").read_text()
    assert "people differ on" in page
    assert "α (nominal)" in page


def test_a_queue_that_is_not_there_is_told(run):
    """The error names those that are."""
    assert "there is no queue 'nope'" in run("label", "status", "nope", code=3)
