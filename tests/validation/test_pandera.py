"""pandera beside Spark."""

from __future__ import annotations

import os
import subprocess
import sys

LOAD = """
import os, sys
import dataplat.validation.contract
assert "pandera" in sys.modules
print("pyspark.pandas" in sys.modules, os.environ.get("SPARK_LOCAL_IP"))
"""


def loaded(**more: str) -> list[str]:
    """Return whether pandas on Spark is loaded with contracts, and the address that Spark is told."""
    surroundings = {name: value for name, value in os.environ.items() if name != "SPARK_LOCAL_IP"} | more
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD], env=surroundings, check=True, capture_output=True, text=True
    )
    return found.stdout.split()


def test_contracts_load_no_pandas_on_spark():
    """It takes seconds and warns of pandas 3; and a driver that listens on this machine alone has no cluster."""
    assert loaded() == ["False", "None"]


def test_an_address_that_was_chosen_stays():
    """Whoever sets it means it."""
    assert loaded(SPARK_LOCAL_IP="10.0.0.7") == ["False", "10.0.0.7"]
