"""Folders of files here, and on every kind of server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from servers.folders import KINDS, Folder


@pytest.fixture
def far_folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Folder]:
    """Return a function from a kind of server to a new folder there, which this process's own chain can read."""

    def made(kind: str) -> Folder:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)
        server = request.getfixturevalue(f"{kind}_server")
        if kind != "hdfs":
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
        return KINDS[kind](server)

    return made


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a folder of this machine with one file of each format, some of them compressed, and bad records."""
    return write_formats(tmp_path / "here")


def write_formats(root: Path) -> Path:
    """Write files of every format."""
    import bz2
    import gzip
    import json
    import zipfile

    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    rows = [{"id": number, "word": f"w{number}"} for number in range(3000)]
    table = pa.Table.from_pylist(rows)
    csv = "id,word\n" + "".join(f"{row['id']},{row['word']}\n" for row in rows)
    csv = csv.replace("\n1500,", "\nbad,line,of three\n1500,")
    lines = "".join(json.dumps(row) + "\n" for row in rows) + "{broken\n"
    for kind in ("csv", "csv.gz", "csv.zip", "ndjson", "ndjson.bz2", "parquet", "arrow"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    (root / "csv" / "a.csv").write_text(csv)
    (root / "csv" / "b.csv").write_text("id,word\n7,last\n")
    (root / "csv.gz" / "a.csv.gz").write_bytes(gzip.compress(csv.encode(), mtime=0))
    with zipfile.ZipFile(root / "csv.zip" / "a.csv.zip", "w") as archive:
        archive.writestr("one.csv", csv)
        archive.writestr("two.csv", "id,word\n9,two\n")
    (root / "ndjson" / "a.ndjson").write_text(lines)
    (root / "ndjson.bz2" / "a.jsonl.bz2").write_bytes(bz2.compress(lines.encode()))
    pq.write_table(table, root / "parquet" / "a.parquet", row_group_size=1000)
    pyarrow.feather.write_feather(table, root / "arrow" / "a.feather", compression="lz4")
    return root
