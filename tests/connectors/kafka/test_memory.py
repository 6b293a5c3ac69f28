"""Arrow is told to give freed memory back, by what it reads when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TELL = "import os; from dataplat.connectors.kafka._memory import give_freed_memory_back as give; {}give(); "
ASK = "print(os.environ.get('MIMALLOC_PURGE_DELAY'))"


@pytest.mark.parametrize(
    ("before", "given", "told"),
    [("", None, "0"), ("", "100", "100"), ("import pyarrow; ", None, "None")],
    ids=["before Arrow", "by the user", "too late"],
)
def test_told(before, given, told):
    """It is told before Arrow is loaded; what the user says stays, and what comes too late is left alone."""
    kept = {name: value for name, value in os.environ.items() if name != "MIMALLOC_PURGE_DELAY"}
    environment = kept if given is None else {**kept, "MIMALLOC_PURGE_DELAY": given}
    command = [sys.executable, "-c", TELL.format(before) + ASK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
