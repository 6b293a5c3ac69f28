"""The command `dataplat`: one module per family of commands, loaded when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return its exit code."""
    if argv is None and any(word.lower().startswith("kafka://") for word in sys.argv):
        _end_in_order()
    from dataplat.cli._run import run

    return run(argv)


def _end_in_order() -> None:
    """Let SIGTERM end a stream's process with 0 from its first moment: before it reads, nothing is under way."""
    import os
    import signal

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
