"""pyarrow without pandas, until pandas is asked for."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import io, sys
from dataplat.connectors.files import open_source
source = open_source("-", stdin=io.BytesIO(b"a,b\\n1,x\\n"))
(split,) = source.plan({})
source.schema()
batches = list(source.read(split))
assert "pandas" not in sys.modules, "reading a file loaded pandas"
assert list(batches[0].to_pandas()["a"]) == [1]
import pandas as pd
frame = pd.DataFrame({"t": pd.to_datetime(["2024-01-01"]).tz_localize("Europe/Berlin"), "c": pd.Categorical(["x"])})
source = open_source(frame)
print(source.schema())
"""


def test_reading_files_leaves_pandas_alone() -> None:
    """A file is read without loading pandas; conversions to it and from its frames work afterwards."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "timestamp" in done.stdout
    assert "tz=Europe/Berlin" in done.stdout
    assert "c: string" in done.stdout
