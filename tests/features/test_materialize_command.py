"""`dataplat features materialize`, as somebody types it: contracts, drift, and to follow."""

from __future__ import annotations

import os
import signal
import threading
import uuid

import pytest

from dataplat.cli import main

FEATURES = """
import dataplat as dp

one = dp.FeatureView(
    "one", source="weather", entity=dp.Entity("airport"), timestamp="seen", ttl=None, drift=0.2, features=["temp"]
)
other = dp.FeatureView(
    "other", source="landings", entity=dp.Entity("airport"), timestamp="seen", ttl=None, features=["temp"]
)
model = dp.FeatureService("model", [one])
both = dp.FeatureService("both", [one, other])
"""
CHECKS = """
import dataplat as dp

few = dp.Contract(checks=[dp.row_count(max=600)])
many = dp.Contract(checks=[dp.row_count(max=60_000)])
"""


def rows(hour, temp):
    """Return weather of six hundred airports, as CSV."""
    lines = "".join(f"A{at:03},2026-01-01T{hour:02d}:00:00Z,{temp + at % 7}\n" for at in range(600))
    return f"airport,seen,temp\n{lines}"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line on a lake with weather, and services that are applied."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url = f"memory://{uuid.uuid4().hex}"
    (tmp_path / "weather.csv").write_text(rows(1, 0.0))
    (tmp_path / "later.csv").write_text(rows(2, 50.0))
    (tmp_path / "features.py").write_text(FEATURES)
    (tmp_path / "checks.py").write_text(CHECKS)

    def go(*words, code=0):
        ended = main([*words, "--lake", url])
        out, err = capsys.readouterr()
        assert ended == code, err or out
        return out + err

    go("init")
    for name in ("weather", "landings"):
        go("ingest", "weather.csv", "--into", name)
    go("features", "apply", "features.py")
    return go


def make(run, *words, code=0):
    """Run materialize."""
    return run("features", "materialize", *words, code=code)


def test_contracts_and_drift(run):
    """What breaks a contract or moves too far is not served, ends with an error, and is let through where that is said."""
    make(run, "model", "--contract", "checks.py:few")
    run("ingest", "later.csv", "--into", "weather")
    assert "does not meet contract" in make(run, "model", "-c", "weather=checks.py:few", code=1)
    told = make(run, "model", "-c", "checks.py:many", code=1)
    assert "view one: temp moves by 1.0" in told
    assert "--accept-drift" in told
    assert "600 records written" in make(run, "model", "-c", "checks.py:many", "--accept-drift")


def test_contracts_are_of_what_they_say(run):
    """Of a service of two sources it is said of which; a file that is not there is an error before anything is made."""
    assert "both has the sources landings, weather: say of which one" in make(
        run, "both", "-c", "checks.py:few", code=2
    )
    make(run, "both", "-c", "landings=checks.py:few", "-c", "weather=checks.py:many")
    twice = make(run, "both", "-c", "landings=checks.py:few", "-c", "landings=checks.py:many", code=2)
    assert "two contracts are given for landings" in twice
    assert "there is no file nowhere.py" in make(run, "model", "-c", "nowhere.py:few", code=2)
    assert "--follow makes many" in make(run, "model", "--follow", "--full", code=2)


def test_following_goes_on(run):
    """What fails is said with when it is tried again; SIGTERM ends it in order."""
    make(run, "model")
    run("ingest", "later.csv", "--into", "weather")
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    told = make(run, "model", "--follow", "--every", "200ms")
    assert told.count("ContractFailed: model@1 goes on to serve snapshot") >= 2
    assert "tried again in " in told
    assert "what is live is served" in told
