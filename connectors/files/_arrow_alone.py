"""Keep pyarrow from importing pandas before anybody asked for pandas.

The first `pa.array([...])` of a process imports pandas where it is installed, to see whether its argument is a
Series: 0.5 s and 40 MB, more than a small ingestion takes. pyarrow looks once; if pandas cannot be imported at
that moment it goes on without, and tries again when a conversion to pandas is asked for.
"""

from __future__ import annotations

import sys
import threading
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    """Finds no pandas, for the thread that made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("not now", name="pandas")
        return None


def keep_pandas_out() -> None:
    """Let pyarrow's one look find no pandas; does nothing where pandas is loaded already."""
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


def let_pandas_in() -> None:
    """Make pyarrow know pandas, so that it recognises Series and frames as arguments."""
    pa.table({"a": [0]}).to_pandas()
