"""The flights demo: each step runs on the real data, and the commands that it prints do the same by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dataplat as dp
from servers.installed import needs

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples" / "flights"
STEPS = sorted(FOLDER.glob("[0-9]_*.py"))

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo once, as `make demo` does; return (its folder, what it printed)."""
    output = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, str(FOLDER / "demo.py"), str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return output, done.stdout


def test_every_step_tells_what_it_did(demo):
    """Each step has its title, its time, and the commands to do it by hand."""
    _, printed = demo
    for number, _ in enumerate(STEPS, 1):
        assert f"\n{number}. " in printed
    assert printed.count(" s)\n") == len(STEPS)
    assert "336,776" in printed


def test_the_lake_holds_what_the_steps_say(demo):
    """All rows landed, the correction changed what it should, the training table is pinned, the export is whole."""
    import pyarrow.parquet as pq

    output, _ = demo
    lake = dp.open(output / "lake", create=False)
    assert {d.name: d.rows for d in lake.datasets()} == {
        "flights": 336_775,
        "weather": 26_115,
        "planes": 3_322,
        "airports": 1_458,
        "airlines": 16,
        "training": lake["training"].rows,
    }
    assert lake["flights@main~1"].rows == 336_776
    diff = lake.diff("flights@main~1", "flights")
    assert (diff.summary.added, diff.summary.removed) == (1, 2)
    assert diff.summary.changed == diff.changed.num_rows > 1000
    exported = sum(pq.read_metadata(path).num_rows for path in (output / "training").rglob("*.parquet"))
    assert exported == lake["training"].rows > 300_000


def test_the_branch_is_merged_and_what_went_is_gone(demo):
    """Columns of the branch and rows of both are on main in one part, the page shows it, the old versions are freed."""
    output, _ = demo
    lake = dp.open(output / "lake", create=False)
    planes = lake["planes"]
    assert {"retired", "cruise_speed"} <= set(planes.schema.names)
    old = planes.to_polars(where="retired = true")
    assert len(planes.parts) == 1
    diff = lake.diff("planes@v1", "planes")
    assert set(diff.changed.column("changed").to_pylist()[0]) == {"seats", "retired"}
    assert diff.summary.changed == old.height > 0
    assert "cruise_speed" in (output / "planes.html").read_text("utf-8")
    assert [branch.branch for branch in lake.branches()] == ["main"]
    with pytest.raises(dp.VersionNotFound, match="was collected"):
        lake["planes@main~1"].to_arrow()


def test_the_commands_by_hand_do_the_same(demo, tmp_path):
    """The printed commands, run in a shell on a new lake, give datasets with the same content ids."""
    output, _ = demo
    script = (output / "commands.sh").read_text().replace(str(output), str(tmp_path))
    for name in ("corrected_week.csv", "retired.csv", "seats.csv"):
        (tmp_path / name).write_bytes((output / name).read_bytes())
    ids = {name: dp.open(output / "lake")[f"{name}@v1"].id[:16] for name in ("flights", "weather", "planes")}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    env = {**os.environ, "PATH": path, "DATAPLAT_LAKE": str(tmp_path / "lake")}
    before, training = script.split("dataplat sql", 1)
    subprocess.run(["bash", "-euo", "pipefail", "-c", before], cwd=ROOT, env=env, check=True, capture_output=True)
    lake = dp.open(tmp_path / "lake", create=False)
    query = (output / "training.sql").read_text()
    for name, there in ids.items():
        query = query.replace(f"{name}@id:{there}", f"{name}@id:{lake[f'{name}@v1'].id[:16]}")
    (tmp_path / "training.sql").write_text(query)
    after = f"dataplat sql{training}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", after], cwd=ROOT, env=env, check=True, capture_output=True)
    by_script = dp.open(output / "lake", create=False)
    for dataset in by_script.datasets():
        assert lake[dataset.name].content_id == by_script[dataset.name].content_id, dataset.name


HDFS = pytest.param("hdfs", marks=pytest.mark.xdist_group("hdfs"))


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["s3", "gcs", HDFS])
def test_the_demo_is_the_same_far_away(kind, demo, request, tmp_path, monkeypatch):
    """With LAKE=s3://…, gs://… or hdfs://… every step runs unchanged and makes the same versions as in a folder."""
    server = request.getfixturevalue(f"{kind}_server")
    if kind == "hdfs":
        place = f"{server.url}{server.new_folder()}"
    else:
        place = f"{'gs' if kind == 'gcs' else kind}://{server.new_bucket()}"
    for name, value in ({} if kind == "hdfs" else server.environment()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKE", f"{place}/demo")
    command = [sys.executable, str(FOLDER / "demo.py"), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"export DATAPLAT_LAKE={place}/demo\n" in done.stdout
    here, there = dp.open(demo[0] / "lake", create=False), dp.open(f"{place}/demo", create=False)
    assert [(d.name, d.version) for d in there.datasets()] == [(d.name, d.version) for d in here.datasets()]
    assert there.verify().ok
    assert not (tmp_path / "out" / "lake").exists()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert f"there is a lake already at {place}/demo" in again.stderr


@pytest.mark.proof
def test_a_topic_lands_live(tmp_path, monkeypatch):
    """With KAFKA=1 a real topic is followed, stopped by SIGTERM and read on: each flight once, bad messages beside."""
    needs("kafka")
    monkeypatch.setenv("KAFKA", "1")
    command = [sys.executable, str(FOLDER / "demo.py"), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"\n{len(STEPS) + 1}. Stream" in done.stdout
    assert "stopped by SIGTERM, it ends with 0:\n   live@main  +1,785 -0 rows, now 1,785" in done.stdout
    assert "nothing to do for live@main" in done.stdout
    assert "every offset is held once" in done.stdout
    lake = dp.open(tmp_path / "out" / "lake", create=False)
    assert lake.verify_ingest("live").ok
    assert lake["live.rejects"].rows == 5
    live = lake["live"].to_polars().drop("_partition", "_offset")
    there = lake["flights@v1"].to_polars(where="month = 1 and day <= 3")
    names = [name for name in live.columns if name != "time_hour"]  # text in JSON
    assert live.select(names).sort(names).equals(there.select(names).cast(live.select(names).schema).sort(names))
