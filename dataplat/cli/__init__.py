"""The command `dataplat`: one module per family of commands, loaded when it is called."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return its exit code."""
    from dataplat.cli._run import run

    return run(argv)
