"""Load pyarrow without pandas behind it: half a second that no command needs."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec


class _NoPandas:
    """Answers an import of pandas as if it were not installed."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None


def load_arrow() -> None:
    """Import pyarrow, and let its one look for pandas find none.

    pyarrow imports pandas, where it is installed, at the first array that comes from or goes to numpy, only to
    know whether a value might be pandas' (measured: 0.4 s alone, 1 to 2 s on a busy machine). No command is given
    a value of pandas'. This is for the process of a command only: in a user's process pandas may come later.
    """
    if "pandas" in sys.modules:
        return
    lib = importlib.import_module("pyarrow.lib")  # not in pyarrow's types
    sys.meta_path.insert(0, _NoPandas)
    try:
        _ = lib._pandas_api.have_pandas  # noqa: SLF001  (the look, and its answer stays)
    finally:
        sys.meta_path.remove(_NoPandas)
