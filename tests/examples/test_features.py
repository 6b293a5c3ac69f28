"""The features demo: from real flights to an audit that finds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples" / "features"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]


def test_the_demo_runs_on_real_flights_and_its_audit_finds_nothing(tmp_path):
    """All steps print what they did; 2,000 served rows are answered again without a difference."""
    command = [sys.executable, str(FOLDER / "demo.py"), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "327,346 landings" in done.stdout
    assert "336,776 rows" in done.stdout
    assert "at JFK it is 41.5 now" in done.stdout
    assert "delay_model@1: 2,000 served rows, 18,000 cells, 0 differences" in done.stdout
