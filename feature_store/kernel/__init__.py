"""The one kernel that computes features: pure functions of sorted Arrow batches, in process, in Spark and at serving."""

from typing import Final

VERSION: Final = 1
"""Part of the closure hash of every service (PIT 26): it rises when the kernel gives another value for anything."""
