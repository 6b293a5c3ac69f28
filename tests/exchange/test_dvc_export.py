"""What is exported to DVC is taken by the real DVC, with no dataplat where it runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import dataplat as dp
from dataplat.lake.memos import Memos
from dataplat.versioning.export import _dvc

pytestmark = pytest.mark.slow


def _repository(git, lake: dp.Lake, folder: Path, name: str = "t") -> None:
    """Export into a Git repository, and commit."""
    if not folder.exists():
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
    lake[name].export(folder, to="dvc")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"export {lake[name].id[:12]}")


def test_pull_status_and_diff_take_two_versions(git, dvc, numbers, in_order, lake: dp.Lake, tmp_path: Path) -> None:
    """`dvc pull` brings equal rows, `dvc status` finds nothing to do, and `dvc diff` names the files that changed."""
    repository = tmp_path / "repository"
    lake.ingest(numbers(0, 1000), "t", key="id")
    _repository(git, lake, repository)
    dvc(repository, "pull", "-q")
    assert in_order(repository / "t") == in_order(lake["t"])
    assert "up to date" in dvc(repository, "status")
    lake.ingest(numbers(990, 1010, "new"), "t", mode="upsert")
    _repository(git, lake, repository)
    dvc(repository, "pull", "-q")
    assert in_order(repository / "t") == in_order(lake["t"])
    assert "up to date" in dvc(repository, "status")
    assert git(repository, "status", "--porcelain") == ""
    found = json.loads(dvc(repository, "diff", "--json", "HEAD~1"))
    first = lake["t"].parts[0].place
    assert f"t/part-{first:012d}.parquet" in [entry["path"] for entry in found["modified"]]
    assert [entry["path"] for entry in found["added"]] == [f"t/part-{lake['t'].parts[1].place:012d}.parquet"]
    assert found["deleted"] == []


def test_get_and_import_take_it(git, dvc, numbers, in_order, lake: dp.Lake, tmp_path: Path) -> None:
    """`dvc get` and `dvc import` bring the data out of the repository; an import is up to date afterwards."""
    lake.ingest(numbers(0, 10), "sales/orders", key="id")
    _repository(git, lake, tmp_path / "repository", "sales/orders")
    dvc(tmp_path, "get", "-q", str(tmp_path / "repository"), "sales/orders", "-o", "got")
    assert in_order(tmp_path / "got") == in_order(lake["sales/orders"])
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    dvc(other, "init", "-q")
    dvc(other, "import", "-q", str(tmp_path / "repository"), "sales/orders", "-o", "orders")
    assert in_order(other / "orders") == in_order(lake["sales/orders"])
    assert "up to date" in dvc(other, "status")


def test_files_come_back_as_they_were(git, dvc, lake: dp.Lake, tmp_path: Path) -> None:
    """A tree of files, hidden and large ones too, is pulled byte for byte, into a repository that had a remote."""
    files = {"a.txt": b"a", "deep/b.bin": bytes(range(256)) * 8000, "deep/é ü.txt": b"", ".hidden": b"x"}
    for name, content in files.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    lake.ingest(str(tmp_path / "files"), "t", source_format="tree")
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    dvc(repository, "init", "-q")
    dvc(repository, "remote", "add", "-q", "-d", "own", str(tmp_path / "own"))
    lake["t"].export(repository, to="dvc", remote=tmp_path / "remote of ours")
    dvc(repository, "pull", "-q")
    found = {
        path.relative_to(repository / "t").as_posix(): path.read_bytes()
        for path in (repository / "t").rglob("*")
        if path.is_file()
    }
    assert found == files
    assert "up to date" in dvc(repository, "status")


def test_a_damaged_object_is_refused_by_pull(git, dvc, numbers, lake: dp.Lake, tmp_path: Path) -> None:
    """The remote is set up so that `dvc pull` checks what it takes."""
    lake.ingest(numbers(0, 10), "t", key="id")
    _repository(git, lake, tmp_path / "repository")
    for path in (tmp_path / "repository" / ".dvc-remote").rglob("*"):
        if path.is_file() and not path.name.endswith(".dir"):
            path.chmod(0o600)
            path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(AssertionError, match="failed to pull"):
        dvc(tmp_path / "repository", "pull")


def test_another_export_hashes_only_new_parts(
    numbers, lake: dp.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a version with one part more, one part is written and hashed; the same version again writes nothing."""
    lake.ingest(numbers(0, 1000), "t")
    assert lake["t"].export(tmp_path / "out", to="dvc").notes[0].startswith("2 new objects")
    lake.ingest(numbers(1000, 1010), "t")
    written = []
    write = _dvc.write_piece
    monkeypatch.setattr(_dvc, "write_piece", lambda *args, **more: written.append(args[1]) or write(*args, **more))
    assert lake["t"].export(tmp_path / "out", to="dvc").notes[0].startswith("2 new objects")
    assert written == [lake["t"].parts[1]]
    before = (tmp_path / "out" / "t.dvc").read_bytes()
    assert lake["t"].export(tmp_path / "out", to="dvc").notes[0].startswith("0 new objects")
    assert written == [lake["t"].parts[1]]
    assert (tmp_path / "out" / "t.dvc").read_bytes() == before


def test_a_kill_leaves_the_version_before(
    numbers, lake: dp.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the last step the `.dvc` file is that of the version before, and its objects are there."""
    lake.ingest(numbers(0, 10), "t")
    lake["t"].export(tmp_path / "out", to="dvc")
    before = (tmp_path / "out" / "t.dvc").read_bytes()
    lake.ingest(numbers(10, 20), "t")

    class Killed(BaseException):
        pass

    def put(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Memos, "put", put)
    with pytest.raises(Killed):
        lake["t"].export(tmp_path / "out", to="dvc")
    assert (tmp_path / "out" / "t.dvc").read_bytes() == before
    monkeypatch.undo()
    lake["t"].export(tmp_path / "out", to="dvc")
    assert lake["t"].id in (tmp_path / "out" / "t.dvc").read_text()


def test_what_is_refused(numbers, lake: dp.Lake, tmp_path: Path) -> None:
    """The lake's own folder, another remote than the repository has, a remote for what has none, and an empty tree."""
    lake.ingest(numbers(0, 10), "t")
    with pytest.raises(dp.ConfigError, match="the lake's own folder"):
        lake["t"].export(tmp_path / "lake" / "objects", to="dvc")
    lake["t"].export(tmp_path / "out", to="dvc")
    with pytest.raises(dp.ConfigError, match="has a remote 'dataplat' at"):
        lake["t"].export(tmp_path / "out", to="dvc", remote=tmp_path / "elsewhere")
    with pytest.raises(dp.ConfigError, match="does not go with an export to csv"):
        lake["t"].export(tmp_path / "csv", to="csv", remote=tmp_path / "elsewhere")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("a")
    lake.ingest(str(tmp_path / "files"), "f", source_format="tree")
    lake.delete("f", "size > 0")
    with pytest.raises(dp.SchemaError, match="cannot track an empty folder"):
        lake["f"].export(tmp_path / "out", to="dvc")


def test_the_environment_has_no_dataplat(dvc_python: Path, dvc_version: str) -> None:
    """What the tests above run is the real DVC of the version that we name, alone."""
    code = "import dvc, importlib.util as u; print(dvc.__version__, u.find_spec('dataplat'))"
    done = subprocess.run([str(dvc_python), "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [dvc_version, "None"]
