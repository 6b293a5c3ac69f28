"""The measured tables can be made: every side runs and every figure of the issue has its line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("DATAPLAT_BENCHMARKS"), reason="long; part of `make proofs`")
def test_every_table_is_made():
    """A small run of all groups prints each table with its ratios, and no side breaks."""
    small = ["--small", "2000", "--large", "3000", "--repeat", "1", "--no-slow", "--dry"]
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "startup", "ingest", "again", "upsert", *small],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "ended with" not in ran.stderr
    assert "not measured" not in ran.stdout
    for title in ("Start-up", "Ingest CSV, 2,000", "Ingest NDJSON, 3,000", "Ingest Parquet", "Again, CSV", "Upsert"):
        assert f"### {title}" in ran.stdout
    assert ran.stdout.count("new data bytes, versions | **0, 1** | 0, 1 | met") == 2
