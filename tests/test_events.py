"""Events: what changed under a dataset is noticed, told once to each channel, tried again, and holds up no ingest."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, get_args

import pandera.polars as pdr
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dataplat as dp
from dataplat import config
from dataplat.cli import main
from dataplat.events._deliver import Channel, channels, deliver
from dataplat.events._derive import Kind, Place, of_columns
from dataplat.events._outbox import Outbox


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dp.Lake:
    """A lake whose events go to a log, beside a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataplat.toml").write_text('[notify]\nlog = "events.ndjson"\n[depends]\nd = ["polars", "airlines"]\n')
    lake = dp.open(tmp_path / ".dataplat")
    lake.ingest(pa.table({"a": [1], "b": ["x"]}), "d")
    return lake


def told(lake: dp.Lake) -> list[tuple[str, str | None, str | None]]:
    """Deliver what waits, and return what the log holds."""
    _quiet(lake)
    deliver(Outbox.of(lake.id), channels(config.load()))
    path = Path("events.ndjson")
    lines = path.read_text().splitlines() if path.exists() else []
    return [(each["kind"], each["before"], each["after"]) for each in map(json.loads, lines)]


def _quiet(lake: dp.Lake) -> None:
    """Wait until the processes that ingests started have told what they were to tell."""
    del lake
    for thread in threading.enumerate():
        if thread.name == "dataplat-events":
            thread.join(60)


def test_columns_of_a_source_that_change_are_told_once(lake: dp.Lake) -> None:
    """New, gone, renamed and retyped columns each make one event, however often the same source comes again."""
    assert told(lake) == []
    lake.ingest(pa.table({"a": [2], "b": ["y"], "c": [1.0]}), "d")
    for _ in range(2):  # what keeps an ingest from landing is told, too
        with pytest.raises(dp.SchemaMismatch):
            lake.ingest(pa.table({"a": [3], "b": ["z"]}), "d")
    lake.ingest(pa.table({"a": [5.5]}), "d", mode="replace")
    found = told(lake)
    assert sorted(found, key=str) == [
        ("column gone", "float64", None),
        ("column gone", "string", None),
        ("column new", None, "float64"),
        ("column retyped", "int64", "float64"),
    ]
    lake.ingest(pa.table({"z": [6.5]}), "d", mode="replace")
    assert told(lake)[len(found) :] == [("column renamed", "a", "z")]


def test_a_file_that_lacks_a_column_is_told(lake: dp.Lake, tmp_path: Path) -> None:
    """Text is read by the dataset's types, and still its own columns are told; none is retyped by a look."""
    (tmp_path / "t.csv").write_text("a,d\n01,1.5\n")
    with pytest.raises(dp.SchemaMismatch, match="lacks the columns"):
        lake.ingest(str(tmp_path / "t.csv"), "d")
    assert sorted(told(lake), key=str) == [("column gone", "string", None), ("column new", None, "float64")]


def test_values_that_a_contract_does_not_list_are_told(lake: dp.Lake) -> None:
    """A value that an enum does not have is an event, though its row waits in quarantine, and though nothing lands."""
    contract = pdr.DataFrameSchema({"b": pdr.Column(str, pdr.Check.isin(["x"]))}, name="s")
    lake.ingest(pa.table({"a": [1, 2], "b": ["x", "new"]}), "d", contract=contract)
    with pytest.raises(dp.ContractFailed):
        lake.ingest(pa.table({"a": [3], "b": ["other"]}), "d", contract=contract, on_error="fail")
    assert sorted(told(lake), key=str) == [("value new", None, "new"), ("value new", None, "other")]


def test_a_dependency_of_another_version_is_told(lake: dp.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared dataset, and a declared library, of another version than at the last ingest."""
    lake.ingest(pa.table({"c": ["AA"]}), "airlines")
    lake.ingest(pa.table({"a": [2], "b": ["x"]}), "d")
    before = lake["airlines"].id
    lake.ingest(pa.table({"c": ["UA"]}), "airlines")
    lake.ingest(pa.table({"a": [3], "b": ["x"]}), "d")
    found = told(lake)
    assert ("dependency changed", before, lake["airlines"].id) in found
    monkeypatch.setattr("importlib.metadata.version", lambda _: "99")
    lake.ingest(pa.table({"a": [4], "b": ["x"]}), "d")
    assert [each[2] for each in told(lake)[len(found) :]] == ["99"]


def test_what_fails_is_tried_again_and_others_are_told(lake: dp.Lake) -> None:
    """A channel that fails does not keep others from being told; it gets each event once, when it works again."""
    lake.ingest(pa.table({"a": [2], "b": ["y"], "c": [1.0]}), "d")
    _quiet(lake)
    works: list[Any] = []
    down = Channel("down", lambda _: (_ for _ in ()).throw(OSError("no route")))
    outbox = Outbox.of(lake.id)
    assert deliver(outbox, [down, Channel("up", works.append)], tries=2, wait=0) == 1
    assert len(works) == 1
    (waiting,) = outbox.all()
    assert (waiting.failed, waiting.error) == (2, "down: OSError: no route")
    again: list[Any] = []
    assert deliver(outbox, [Channel("down", again.append), Channel("up", works.append)], tries=1) == 0
    assert (len(again), len(works)) == (1, 1)


def test_a_command_and_apprise_are_told(
    lake: dp.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: Any
) -> None:
    """A command gets the event on its standard input, apprise posts it (here to a real HTTP server); no address is shown."""
    script = tmp_path / "on-event.sh"
    script.write_text("#!/bin/sh\ncat > got.json\n")
    script.chmod(0o755)
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{hook.port}/secret-path")
    (tmp_path / "dataplat.toml").write_text('[notify]\ncommand = ["./on-event.sh"]\napprise = ["env:HOOK"]\n')
    lake.ingest(pa.table({"a": [2], "b": ["y"], "c": [1.0]}), "d")
    _quiet(lake)
    assert main(["events", "deliver"]) == 0
    assert json.loads((tmp_path / "got.json").read_text())["kind"] == "column new"
    assert [body["message"] for body in hook.bodies] == ["d@main: the source has a new column c (float64)"]
    (waiting,) = Outbox.of(lake.id).all()
    assert "secret-path" not in waiting.path.read_text()


@pytest.fixture
def hook() -> Iterator[Any]:
    """An HTTP server that keeps what is posted."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server: Any = HTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.port = [], server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_nobody_told_nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without [notify] nothing is written, and nothing is started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": [1]}), "d")
    lake.ingest(pa.table({"a": [1], "c": [2]}), "d")
    assert not (tmp_path / "state").exists()


def test_wrong_settings_are_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown channel, an address written down, and a list that is none are refused with the setting's name."""
    monkeypatch.chdir(tmp_path)
    for text, said in [
        ('[notify]\nmail = "x"\n', "'mail'"),
        ('[notify]\napprise = ["mailto://me:pw@x"]\n', "by reference"),
        ('[depends]\nd = "polars"\n', "depends.d"),
    ]:
        (tmp_path / "dataplat.toml").write_text(text)
        with pytest.raises(dp.ConfigError, match=said):
            channels(config.load())


COLUMNS = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["int64", "string"]), max_size=5)


@given(COLUMNS, COLUMNS)
def test_events_say_all_that_differs(held: dict[str, str], came: dict[str, str]) -> None:
    """Whoever applies the events to what was has what came; equal columns make no event, and ids are stable."""
    place = Place("lake", "d", "main", "v", 0)
    found = list(of_columns(place, held, came))
    assert found == list(of_columns(place, held, came))
    assert len({event.id for event in found}) == len(found)
    columns = dict(held)
    for event in found:
        if event.kind == "column renamed":
            columns[str(event.after)] = columns.pop(str(event.before))
        elif event.kind == "column gone":
            del columns[event.subject]
        else:
            columns[event.subject] = str(event.after)
    assert columns == came


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_event_is_a_sentence(kind: Kind) -> None:
    """Whoever tells one is not to fail by it, whatever it says."""
    event = Place("lake", "orders", "main", "1", 2).event(kind, "{subject}", None, "what {came}")
    assert event.to_dict()["text"].startswith("orders")
