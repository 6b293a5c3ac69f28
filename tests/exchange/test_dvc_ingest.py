"""What the real DVC tracks lands with its history."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import dataplat as dp
from dataplat.connectors.tables import revisions


@pytest.fixture
def history(git, tmp_path: Path):
    """Return a function that makes a Git repository with three states of a CSV file, as DVC tracks one, and more."""

    def make(tracked: str = "data/t.csv") -> Path:
        repository = tmp_path / "repository"
        (repository / ".dvc").mkdir(parents=True)
        git(repository, "init", "-q", "-b", "main")
        (repository / ".dvc" / "config").write_text("[core]\n    remote = r\n['remote \"r\"']\n    url = ../remote\n")
        for number in (1, 2, 3):
            _track(repository, tracked, "a,b\n" + "".join(f"{i},{number}\n" for i in range(number)))
            git(repository, "add", "-A")
            git(
                repository,
                "commit",
                "-q",
                "-m",
                f"state {number}\n\nwith more to say",
                "--date",
                f"2024-01-0{number}T00:00:00Z",
            )
            (repository / "README").write_text(f"{number}")
            git(repository, "add", "-A")
            git(repository, "commit", "-q", "-m", "something else")
        return repository

    return make


def _track(repository: Path, path: str, text: str) -> str:
    """Do what `dvc add` and `dvc push` do."""
    import hashlib

    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    stored = repository / "remote" / "files" / "md5" / md5[:2] / md5[2:]
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(text)
    (repository / ".gitignore").write_text("/remote\n")
    file = repository / f"{path}.dvc"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"outs:\n- md5: {md5}\n  size: {len(text)}\n  hash: md5\n  path: {file.stem}\n")
    return md5


def test_every_revision_becomes_a_version(history, lake: dp.Lake) -> None:
    """Oldest first, with message, author and time; revisions that left the data alone make none."""
    repository = history()
    result = lake.ingest(f"dvc://{repository}/data/t.csv", "t")
    assert result.rows_in == 6
    log = lake.log("t")[::-1]
    assert [entry.message for entry in log] == [f"state {n}\n\nwith more to say" for n in (1, 2, 3)]
    assert [lake[f"t@main~{back}"].to_arrow().to_pylist() for back in (2, 1, 0)] == [
        [{"a": i, "b": n} for i in range(n)] for n in (1, 2, 3)
    ]
    (made,) = lake["t"].commit.changes["t"].lineage
    assert (made.kind, made.name) == ("dvc", f"{repository}/data/t.csv")
    assert made.detail["author"] == "Ada <ada@example.org>"
    assert made.detail["time"].startswith("2024-01-03T00:00:00")
    assert result.version is not None
    assert result.version.id == lake["t"].id


def test_a_second_ingest_goes_on_where_the_first_stopped(history, git, lake: dp.Lake) -> None:
    """Nothing to do at first; then a new revision makes one version more; a stop in between loses nothing."""
    repository = history()
    first = revisions(f"dvc://{repository}/data/t.csv")
    lake.ingest(first[0].text, "t")
    assert lake["t"].rows == 1
    lake.ingest(f"dvc://{repository}/data/t.csv", "t")
    assert len(lake.log("t")) == 3
    assert lake.ingest(f"dvc://{repository}/data/t.csv", "t").nothing_to_do
    _track(repository, "data/t.csv", "a,b\n9,9\n")
    git(repository, "commit", "-q", "-a", "-m", "four")
    lake.ingest(f"dvc://{repository}/data/t.csv", "t")
    assert len(lake.log("t")) == 4
    assert lake["t"].to_arrow().to_pylist() == [{"a": 9, "b": 9}]


def test_revisions_that_are_named(history, git, lake: dp.Lake) -> None:
    """`@REV` lands that one, `@A..B` what lies between, both included; a revision that is not there is said."""
    repository = history()
    git(repository, "tag", "two", revisions(f"dvc://{repository}/data/t.csv")[1].id)
    lake.ingest(f"dvc://{repository}/data/t.csv@two", "t")
    assert lake["t"].rows == 2
    assert len(lake.log("t")) == 1
    lake.ingest(f"dvc://{repository}/data/t.csv@two..main", "u")
    assert [entry.message.split("\n")[0] for entry in lake.log("u")] == ["state 3", "state 2"]
    with pytest.raises(dp.SourceNotFound, match="no revision 'seven'"):
        lake.ingest(f"dvc://{repository}/data/t.csv@seven", "t")
    with pytest.raises(dp.SourceNotFound, match="not tracked by DVC"):
        lake.ingest(f"dvc://{repository}/data/other.csv", "t")


def test_a_git_url_and_a_damaged_object(history, git, lake: dp.Lake, tmp_path: Path) -> None:
    """A repository elsewhere is copied; an object whose MD5 is another is refused, and named."""
    repository = history()
    config = repository / ".dvc" / "config"
    config.write_text(config.read_text().replace("../remote", str(repository / "remote")))
    git(repository, "commit", "-q", "-a", "-m", "an absolute remote")
    url = f"dvc://file://{repository}//data/t.csv"
    lake.ingest(url, "t")
    assert len(lake.log("t")) == 3
    assert lake.ingest(url, "t").nothing_to_do
    for path in (repository / "remote").rglob("*"):
        if path.is_file():
            path.write_text("a,b\n0,0\n")
    with pytest.raises(dp.SourceError, match="is damaged: its MD5 is"):
        lake.ingest(url, "u")
    shutil.rmtree(repository / "remote")
    with pytest.raises(dp.SourceNotFound, match="dvc push"):
        lake.ingest(url, "u")


def test_outs_of_a_pipeline(history, git, lake: dp.Lake) -> None:
    """What `dvc.lock` names is tracked, below the folder that its stage runs in."""
    repository = history()
    md5 = _track(repository, "made", "x\n1\n")
    (repository / "made.dvc").unlink()
    (repository / "dvc.yaml").write_text("stages:\n  s:\n    cmd: make\n    wdir: deep\n    outs: [made.csv]\n")
    (repository / "dvc.lock").write_text(
        f"schema: '2.0'\nstages:\n  s:\n    cmd: make\n    outs:\n    - path: made.csv\n      hash: md5\n      md5: {md5}\n"
    )
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "pipeline")
    lake.ingest(f"dvc://{repository}/deep/made.csv", "t")
    assert lake["t"].to_arrow().to_pylist() == [{"x": 1}]


@pytest.mark.slow
def test_what_the_real_dvc_tracks(git, dvc, numbers, in_order, lake: dp.Lake, tmp_path: Path) -> None:
    """A folder of Parquet files and a tree of images that `dvc add` took land from its cache, equal to what it took."""
    import pyarrow.parquet as pq

    repository = tmp_path / "repository"
    (repository / "rows").mkdir(parents=True)
    (repository / "images" / "deep").mkdir(parents=True)
    git(repository, "init", "-q")
    dvc(repository, "init", "-q")
    for number in range(3):
        pq.write_table(numbers(number * 10, number * 10 + 10), repository / "rows" / f"{number}.parquet")
    (repository / "images" / "deep" / "a.png").write_bytes(b"\x89PNG" + os.urandom(2_000_000))
    (repository / "images" / "b.jpg").write_bytes(b"jpg")
    dvc(repository, "add", "-q", "rows", "images")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "one")
    (repository / "rows" / "1.parquet").unlink()
    dvc(repository, "add", "-q", "rows")
    git(repository, "commit", "-q", "-a", "-m", "two")
    lake.ingest(f"dvc://{repository}/rows", "t", key="id")
    assert in_order(lake["t@main~1"]) == in_order(numbers(0, 30))
    assert [row["id"] for row in in_order(lake["t"])] == [*range(10), *range(20, 30)]
    lake.ingest(f"dvc://{repository}/rows/2.parquet", "one file")
    assert in_order(lake["one file"]) == in_order(numbers(20, 30))
    lake.ingest(f"dvc://{repository}/images", "i")
    lake["i"].export(tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "a.png").read_bytes() == (repository / "images" / "deep" / "a.png").read_bytes()
    assert (tmp_path / "out" / "b.jpg").read_bytes() == b"jpg"


def test_an_export_lands_again(git, numbers, in_order, lake: dp.Lake, tmp_path: Path) -> None:
    """Two versions that were exported to DVC come back as two versions with the same content ids."""
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    for number in range(2):
        lake.ingest(numbers(number * 100, number * 100 + 100), "t", key="id")
        lake["t"].export(repository, to="dvc")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", f"{number}")
    lake.ingest(f"dvc://{repository}/t", "back", key="id")
    assert [lake[f"back@main~{back}"].content_id for back in (1, 0)] == [
        lake[f"t@main~{back}"].content_id for back in (1, 0)
    ]
