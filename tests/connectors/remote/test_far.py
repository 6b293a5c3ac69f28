"""Files on S3, GCS and HDFS as sources: the same rows, rejects and positions as from a folder, and no byte twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.connectors.files import open_source
from dataplat.errors import ConfigError, SourceError, SourceNotFound
from servers.folders import FAR, Folder
from servers.process import Server
from servers.proxy import Proxy
from servers.s3 import S3Server

FORMATS = ["csv", "csv.gz", "csv.zip", "ndjson", "ndjson.bz2", "parquet", "arrow"]


def _rejects(landed: Any, root: str) -> list[dict[str, Any]]:
    return [{**row, "source": row["source"].replace(root, "").removeprefix("file:")} for row in landed.rejects]


@pytest.mark.parametrize("kind", FAR)
def test_every_format_gives_what_it_gives_here(
    kind: str, here: Path, far_folder: Callable[[str], Folder], read_source: Callable[..., Any]
) -> None:
    """Rows, types and rejects with their place are those of the same files in a folder of this machine."""
    far = far_folder(kind)
    far.put_all(here)
    for kind_of_file in FORMATS:
        mine = read_source(open_source(str(here / kind_of_file)))
        there = read_source(open_source(f"{far.url}/{kind_of_file}/"))
        assert there.table.equals(mine.table)
        assert _rejects(there, far.url) == _rejects(mine, str(here))
        assert all(source.startswith(far.url) for source in there.positions)


@pytest.mark.parametrize("kind", FAR)
def test_an_ingest_lands_new_files_alone(kind: str, tmp_path: Path, far_folder: Callable[[str], Folder]) -> None:
    """What is held is not read again, a file that is added lands alone, and the id is that of local files."""
    far = far_folder(kind)
    far.write("a.csv", b"id,word\n1,one\n")
    lake = dp.open(tmp_path / "lake")
    assert lake.ingest(f"{far.url}/*.csv", into="t").rows_added == 1
    assert lake.ingest(f"{far.url}/*.csv", into="t").nothing_to_do
    far.write("b.csv", b"id,word\n2,two\n")
    last = lake.ingest(f"{far.url}/*.csv", into="t")
    assert last.rows_in == 1
    (tmp_path / "a.csv").write_bytes(b"id,word\n1,one\n2,two\n")
    mine = lake.ingest(tmp_path / "a.csv", into="u")
    assert last.version is not None
    assert mine.version is not None
    assert last.version.content_id == mine.version.content_id


@pytest.mark.parametrize("kind", FAR)
def test_a_file_that_changes_meanwhile_is_refused(
    kind: str, far_folder: Callable[[str], Folder], read_source: Callable[..., Any]
) -> None:
    """A file that is written anew after it was found is an error, even where it is as long as before."""
    far = far_folder(kind)
    far.write("a.csv", b"id\n1\n")
    source = open_source(f"{far.url}/a.csv")
    far.write("a.csv", b"id\n2\n")
    with pytest.raises(SourceError, match="changed while it was read"):
        read_source(source)


@pytest.mark.parametrize("kind", FAR)
def test_what_is_not_there_is_said_at_once(kind: str, far_folder: Callable[[str], Folder]) -> None:
    """A file, a pattern, a folder and a bucket that are missing are not found."""
    far = far_folder(kind)
    far.write("x/a.csv", b"id\n1\n")
    for name in ("none.csv", "*.parquet", "none/"):
        with pytest.raises(SourceNotFound):
            open_source(f"{far.url}/{name}")
    if kind != "hdfs":
        with pytest.raises(SourceNotFound, match="no such bucket"):
            open_source(f"{far.url.partition('://')[0]}://no-such-bucket-of-anybody/*.csv")


@pytest.mark.parametrize("kind", FAR)
def test_names_that_no_lake_would_use(
    kind: str, far_folder: Callable[[str], Folder], read_source: Callable[..., Any]
) -> None:
    """Spaces, letters of other scripts, plus and percent signs stand for themselves."""
    far = far_folder(kind)
    names = ["größe und mehr.csv", "a+b%20c.csv", "日本/x.csv"]
    for number, name in enumerate(names):
        far.write(name, f"id\n{number}\n".encode())
    for number, name in enumerate(names):
        assert read_source(open_source(f"{far.url}/{name}")).rows == [{"id": number}]
    assert len(read_source(open_source(f"{far.url}/**/*.csv")).rows) == 3


def test_what_is_held_is_not_asked_for_a_byte(
    tmp_path: Path,
    far_folder: Callable[[str], Folder],
    s3_server: S3Server,
    proxy_to: Callable[[Server], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second ingest lists, and sends no request for a file."""
    far = far_folder("s3")
    for number in range(3):
        far.write(f"{number}.csv", f"id\n{number}\n".encode())
    proxy = proxy_to(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    lake = dp.open(tmp_path / "lake")
    lake.ingest(f"{far.url}/*.csv", into="t")
    assert any(".csv" in request.target for request in proxy.requests)
    proxy.requests.clear()
    assert lake.ingest(f"{far.url}/*.csv", into="t").nothing_to_do
    assert proxy.requests
    assert all("list-type=2" in request.target for request in proxy.requests)


def test_a_cut_in_the_middle_is_read_on_from_there(
    far_folder: Callable[[str], Folder],
    read_source: Callable[..., Any],
    s3_server: S3Server,
    proxy_to: Callable[[Server], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where connections are reset, only the pieces that were under way are asked for again, and rows come once."""
    far = far_folder("s3")
    text = "id,word\n" + "".join(f"{number},{'x' * 90}\n" for number in range(300_000))
    far.write("a.csv", text.encode())
    proxy = proxy_to(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    source = open_source(f"{far.url}/a.csv")
    source.plan({})
    source.schema()
    proxy.cut_after(received=12 << 20)
    landed = read_source(source)
    assert landed.table["id"].to_pylist() == list(range(300_000))
    assert len(text) < proxy.received < 2 * len(text)


def test_parquet_is_not_read_whole_to_be_planned(
    tmp_path: Path,
    far_folder: Callable[[str], Folder],
    read_source: Callable[..., Any],
    s3_server: S3Server,
    proxy_to: Callable[[Server], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The types of a Parquet file cost its beginning and its end; all of it costs each byte about once."""
    far = far_folder("s3")
    table = pa.table({name: np.random.default_rng(7).random(1_000_000) for name in "abcd"})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=200_000, compression="none", use_dictionary=False)
    data = (tmp_path / "a.parquet").read_bytes()
    far.write("a.parquet", data)
    proxy = proxy_to(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    source = open_source(f"{far.url}/a.parquet")
    source.plan({})
    source.schema()
    assert proxy.received < 2 << 20
    assert read_source(source).table.equals(table)
    assert proxy.received < 1.3 * len(data)


def test_no_secret_is_told(
    tmp_path: Path, far_folder: Callable[[str], Folder], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of a store count for sources; a wrong key is refused at once, and neither it nor a URL's is shown."""
    far = far_folder("s3")
    far.write("a.csv", b"id\n1\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MY_KEY", s3_server.access_key)
    monkeypatch.setenv("MY_SECRET", s3_server.secret_key)
    place = far.url.removesuffix("/in")
    (tmp_path / "dataplat.toml").write_text(f'[stores."{place}"]\nkey = "env:MY_KEY"\nsecret = "env:MY_SECRET"\n')
    source = open_source(f"{far.url}/a.csv")
    assert s3_server.secret_key not in repr([split.position for split in source.plan({})]) + repr(source)
    monkeypatch.setenv("MY_SECRET", "planted-and-wrong")
    with pytest.raises(SourceError) as refused:
        open_source(f"{far.url}/a.csv")
    assert "planted" not in str(refused.value)
    with pytest.raises(ConfigError) as refused_url:
        open_source("s3://" + "key:planted@bucket/a.csv")
    assert "planted" not in str(refused_url.value)
