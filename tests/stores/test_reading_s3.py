"""Reading from a real S3 server: columns, row groups and queries cost the bytes that they need, on the wire."""

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp

ROWS = 200_000


@pytest.fixture
def far(s3_server, monkeypatch, tmp_path):
    """A lake on S3 with thirty columns in one part, opened on a machine without copies."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    url = f"s3://{s3_server.new_bucket()}/lake"
    rng = np.random.default_rng(5)
    rows = pa.table({"k": np.arange(ROWS), **{f"c{i}": rng.random(ROWS) for i in range(29)}})
    dp.open(url).ingest(rows, "wide", key="k")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return url, rows


@pytest.fixture
def fetched(monkeypatch):
    """The bytes that each request has brought."""
    from dataplat.lake.stores._s3 import S3Wire

    sizes: list[int] = []
    original = S3Wire.get

    def noting(self, key, start, stop):
        got = original(self, key, start, stop)
        sizes.append(len(got.data))
        return got

    monkeypatch.setattr(S3Wire, "get", noting)
    return sizes


def test_columns_and_queries_are_pruned_on_the_wire(far, fetched):
    """Two of thirty columns, a key, and SQL over two columns cost a tenth of the part or less each."""
    url, rows = far
    version = dp.open(url)["wide"]
    fetched.clear()
    assert version.to_arrow(columns=["k", "c7"]).equals(rows.select(["k", "c7"]))
    assert sum(fetched) < 0.1 * version.nbytes
    fetched.clear()
    assert version.to_polars(columns=["c7"], where="k = 123456")["c7"].to_list() == [rows["c7"][123_456].as_py()]
    assert sum(fetched) < 0.1 * version.nbytes
    lake = dp.open(url)
    fetched.clear()
    found = lake.sql("select count(*) as n, max(c3) as most from wide where k >= 150000").to_arrow().to_pylist()
    assert found == [{"n": 50_000, "most": max(rows["c3"].to_pylist()[150_000:])}]
    assert sum(fetched) < 0.1 * version.nbytes


def test_all_of_it_comes_once(far, fetched):
    """A whole version comes in pieces of 8 MB, is kept, and a process after this one fetches no byte of it."""
    url, rows = far
    version = dp.open(url)["wide"]
    fetched.clear()
    assert version.to_arrow().equals(rows)
    assert version.nbytes <= sum(fetched) <= version.nbytes + 100_000
    assert max(fetched) <= 8 << 20
    again = dp.open(url)["wide"]
    fetched.clear()
    assert again.to_arrow().equals(rows)
    assert sum(fetched) < 100_000
