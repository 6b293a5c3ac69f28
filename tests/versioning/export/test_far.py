"""An export to a URL lies there, read back by others over the network; nothing is made on this machine."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp

pytestmark = pytest.mark.slow


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """Return a lake of three rows, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    lake = dp.open("lake")
    lake.ingest(pa.table({"n": [1, 2, 3]}), "rows")
    return lake


def test_parquet(s3_server, lake, monkeypatch, tmp_path):
    """Files are at the URL, and no folder of that name is here; where something lies already nothing is sent."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    url = f"s3://{s3_server.new_bucket()}/out"
    made = lake["rows"].export(url)
    assert (made.directory, made.files, made.rows) == (url, 1, 3)
    import s3fs

    files = s3fs.S3FileSystem(**s3_server.options())
    names = [name for name in files.find(url) if name.endswith(".parquet")]
    table = pa.concat_tables(pq.read_table(io.BytesIO(files.cat_file(name))) for name in names)
    assert table.column("n").to_pylist() == [1, 2, 3]
    assert not Path("s3:").exists()
    with pytest.raises(dp.AlreadyExists, match="holds something already"):
        lake["rows"].export(url)


@pytest.mark.parametrize("to", ["dvc", "iceberg"])
def test_formats_that_stay_in_folders(lake, to):
    """What only makes sense in a folder is refused before anything is written."""
    with pytest.raises(dp.ConfigError, match="goes into a folder"):
        lake["rows"].export("s3://bucket/out", to=to)
    assert sorted(path.name for path in Path().iterdir()) == ["lake"]


def test_a_file_url(lake, tmp_path):
    """A file:// URL is the folder that it names."""
    lake["rows"].export(f"file://{tmp_path}/out")
    assert pq.read_table(tmp_path / "out").num_rows == 3
