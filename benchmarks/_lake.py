"""Lakes that a comparison starts from: made by the command line, not measured."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks._measure import DATAPLAT


def init(folder: Path) -> None:
    """Make an empty lake."""
    subprocess.run([DATAPLAT, "init", str(folder)], check=True, stdout=subprocess.DEVNULL)


def fresh(folder: Path, source: Path, *options: str) -> None:
    """Make a lake anew whose dataset `rows` holds a file."""
    shutil.rmtree(folder, ignore_errors=True)
    init(folder)
    command = [DATAPLAT, "ingest", str(source), "--into", "rows", "--lake", str(folder), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
