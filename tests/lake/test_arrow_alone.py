"""pyarrow is kept from loading pandas, and knows it as soon as somebody else loads it."""

import subprocess
import sys

import pytest

pytest.importorskip("pandas")

ALONE = "from dataplat.lake.arrow_alone import keep_pandas_out; keep_pandas_out(); keep_pandas_out()\n"
LOOK = "import sys, numpy as np, pyarrow as pa; pa.array(np.arange(3)).to_numpy(); loaded = 'pandas' in sys.modules\n"
SERIES = "import pandas as pd; assert pa.array(pd.Series([1.0, None])).null_count == 1\n"
FRAME = "import pandas as pd; assert pa.table(pd.DataFrame({'a': [1.0, None]}))['a'].null_count == 1\n"


def run(code):
    """Run `code` in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_arrays_load_no_pandas():
    """Arrays from and to numpy leave pandas where it is; without the guard they load it (then this module can go)."""
    run(ALONE + LOOK + "assert not loaded")
    run(LOOK + "assert loaded")


@pytest.mark.parametrize("later", [SERIES, FRAME], ids=["series", "frame"])
def test_pandas_that_comes_later_is_known(later):
    """A Series or frame of a pandas that was imported later is one: NaN is null, as without the guard."""
    run(LOOK + later)
    run(ALONE + LOOK + later)


def test_a_conversion_to_pandas_works():
    """to_pandas loads pandas when it is asked for, and then a Series is known too."""
    run(ALONE + LOOK + "assert pa.table({'a': [1]}).to_pandas().shape == (1, 1)\n" + SERIES)


def test_pandas_that_was_there_is_left_alone():
    """Where pandas is loaded already nothing is kept out, and no finder is left behind."""
    run(
        "import pandas, sys; before = list(sys.meta_path)\n"
        + ALONE
        + "assert sys.meta_path == before\n"
        + LOOK
        + SERIES
    )


def test_an_ingestion_leaves_pyarrow_as_it_was():
    """After landing rows a user's own Series keeps its nulls."""
    ingest = (
        "import dataplat as dp; dp.open('memory://x').ingest(__import__('polars').DataFrame({'a': [1]}), into='t')\n"
    )
    run(ingest + LOOK + "assert not loaded\n" + SERIES)
