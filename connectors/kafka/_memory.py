"""How much memory a process keeps that follows a topic for months."""

from __future__ import annotations

import os
import sys


def give_freed_memory_back() -> None:
    """Let Arrow give back at once what it frees, where it is not loaded yet; else it keeps some 80 MB for another time.

    Its allocator reads that from the environment, once.
    """
    if "pyarrow" not in sys.modules:
        os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")
