"""Thousands of small files: a bounded number of tasks reads them, and a bounded number of parts comes of it.

DATAPLAT_SPARK_FILES says how many (500; `make proofs` takes 20,000).
"""

from __future__ import annotations

import os
import pickle
from dataclasses import replace

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._read import Parts, grouped

FILES = int(os.environ.get("DATAPLAT_SPARK_FILES", "500"))
AT_ONCE = 256
"""Files, or parts, of one task at most."""
TASKS = -(-FILES // AT_ONCE)


def test_tens_of_thousands_of_parts_are_few_tasks(memory_lake):
    """However small parts are, a task reads 256 at most, and what it is sent of each is a few hundred bytes."""
    memory_lake.ingest(pa.table({"k": [1], "v": [2]}), into="t")
    [part] = memory_lake["t"].parts
    groups = list(grouped([part] * 20_000))
    assert sum(map(len, groups)) == 20_000
    assert max(map(len, groups)) <= AT_ONCE
    assert len(groups) <= 2 * 20_000 / AT_ONCE
    sent = Parts([replace(part, id=f"{at:064x}", footer=f"{at:064x}", stats={}) for at in range(AT_ONCE)])
    assert 64 * AT_ONCE < len(pickle.dumps(sent)) < 600 * AT_ONCE


@pytest.mark.slow
def test_thousands_of_files_are_landed_by_few_tasks(spark, tmp_path):
    """Files of text by `engine="spark"`: one task for 256 of them, each keeps its position, and again lands nothing."""
    lake = dp.open(tmp_path / "lake")
    (tmp_path / "files").mkdir()
    for at in range(FILES):
        (tmp_path / "files" / f"{at:05}.csv").write_text(f"k,v\n{2 * at},{at % 7}\n{2 * at + 1},{at % 7}\n", "utf-8")
    landed = lake.ingest(tmp_path / "files", into="t", engine="spark")
    assert landed.rows_added == lake["t"].rows == 2 * FILES
    assert len(lake["t"].parts) <= 2 * TASKS
    rows = pa.table({"k": range(2 * FILES), "v": [at // 2 % 7 for at in range(2 * FILES)]})
    assert lake.ingest(rows, into="here").version.content_id == lake["t"].content_id
    (tmp_path / "files" / "new.csv").write_text("k,v\n-1,0\n", "utf-8")
    assert lake.ingest(tmp_path / "files", into="t", engine="spark").rows_added == 1
