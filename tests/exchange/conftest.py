"""Lakes with real tables, Git repositories, and the real DVC."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))
_spec = importlib.util.spec_from_file_location("real_dvc", ROOT / "scripts" / "real_dvc.py")
assert _spec is not None
assert _spec.loader is not None
real_dvc = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(real_dvc)
DVC = real_dvc.program()  # before the tests have a cache of their own

ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHON"))},
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "DVC_NO_ANALYTICS": "1",
    "NO_COLOR": "1",
}

Run = Callable[..., str]


def _run(command: list[str], folder: Path, home: Path) -> str:
    env = {**ENV, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "DVC_SITE_CACHE_DIR": str(home / "site")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def git(tmp_path: Path) -> Run:
    """Run git in a folder."""
    return lambda folder, *arguments: _run(["git", *arguments], folder, tmp_path)


@pytest.fixture
def dvc(tmp_path: Path) -> Run:
    """Run the real DVC, which knows nothing of dataplat; it has to be there in CI."""
    if DVC is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI has to prove exports to DVC with the real one: `make dvc` before the tests")
        pytest.skip("the real DVC is not installed: `make dvc` puts it into the cache")
    return lambda folder, *arguments: _run([str(DVC), *arguments], folder, tmp_path)


@pytest.fixture
def lake(tmp_path: Path) -> dp.Lake:
    """Return a lake in a folder."""
    return dp.open(tmp_path / "lake")


@pytest.fixture
def numbers() -> Callable[..., pa.Table]:
    """Return a function that makes rows of an id and a text."""

    def rows(first: int, last: int, text: str = "row") -> pa.Table:
        ids = range(first, last)
        return pa.table({"id": pa.array(ids, pa.int64()), "name": [f"{text} {i}" for i in ids]})

    return rows


@pytest.fixture
def in_order() -> Callable[..., list[dict[str, object]]]:
    """Return a function that gives the rows of a table, of Parquet files or of a version in order."""

    def rows(table: object, by: str = "id") -> list[dict[str, object]]:
        if isinstance(table, Path):
            table = pq.read_table(table)
        return (table.to_arrow() if isinstance(table, dp.Version) else table).sort_by(by).to_pylist()

    return rows


@pytest.fixture
def dvc_version() -> str:
    """Return the version of DVC that is tested against."""
    return str(real_dvc.VERSION)


@pytest.fixture
def dvc_python(dvc: Run) -> Path:
    """Return the Python that the real DVC runs in."""
    return Path(str(DVC)).parent / "python"
