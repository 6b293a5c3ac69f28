"""The command line does not pay for pandas, and loses nothing by it."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from dataplat.cli._pandas_later import put_off_pandas
put_off_pandas()
import pyarrow as pa
import pyarrow.compute as pc
assert pc.greater(pa.array([1, 20]), 15).to_pylist() == [False, True]
assert "pandas" not in sys.modules
import pandas
frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]})
assert pa.table(frame)["b"].to_pylist() == ["x", None]
assert pa.array(frame["a"]).to_pylist() == [1, 2]
assert pa.table({"a": [1, 2]}).to_pandas().equals(frame[["a"]])
"""


def test_pandas_is_put_off_and_found_when_needed():
    """Arrays cost no pandas; frames are taken and given as ever."""
    pytest.importorskip("pandas", reason="an extra")
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
