"""Keep pyarrow from importing pandas before anybody asked for pandas.

The first `pa.array([...])` or `to_numpy()` of a process imports pandas where it is installed, to see whether a value
is a Series: 0.5 s and 40 MB, more than a small ingestion takes. pyarrow looks once; if pandas cannot be imported at
that moment it goes on without. When pandas is imported later, by whomever, pyarrow is told, so that a Series is a
Series again (else its NaN would no longer be null).
"""

from __future__ import annotations

import sys
import threading
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
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


class _WhenPandasComes(MetaPathFinder):
    """Lets the real finders find pandas, and tells pyarrow once it is loaded."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != "pandas":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader, load = spec.loader, spec.loader.exec_module

        def load_and_tell(module: ModuleType) -> None:
            load(module)
            let_pandas_in()

        loader.exec_module = load_and_tell  # type: ignore[method-assign]  # of this one loader
        return spec


def keep_pandas_out() -> None:
    """Let pyarrow's one look find no pandas; does nothing where pandas is loaded, or was kept out, already."""
    if "pandas" in sys.modules or any(isinstance(finder, _WhenPandasComes) for finder in sys.meta_path):
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
    sys.meta_path.insert(0, _WhenPandasComes())


def let_pandas_in() -> None:
    """Make pyarrow know pandas, so that it recognises Series and frames as arguments."""
    pa.table({"a": [0]}).to_pandas()
