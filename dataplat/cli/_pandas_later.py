"""Keep pyarrow from importing pandas: half a second that no command line ever uses.

With pandas installed, pyarrow imports it at the first array that it makes from anything, to see whether it was handed
a Series, and remembers the answer. Asked once while pandas cannot be found, it remembers "none" and takes frames by the
Arrow interface instead; `to_pandas` looks again, so nothing is lost (tests/cli/test_pandas_later.py).
Only for a process of our own, before it has threads: an import of pandas elsewhere would fail meanwhile.
"""

from __future__ import annotations

import sys
from typing import Any


class _Absent:
    """A finder that does not find pandas."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("put off: see dataplat.cli._pandas_later", name=name)


def put_off_pandas() -> None:
    """Import pyarrow, and let it conclude that there is no pandas, unless it is loaded already."""
    if "pandas" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        import pyarrow as pa

        pa.array([])
    finally:
        sys.meta_path.remove(absent)
