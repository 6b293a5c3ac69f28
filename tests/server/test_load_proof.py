"""Lookups while snapshots are swapped and workers are killed: `make proofs` does it for ten minutes."""

import os

from benchmarks.features_load import prove

SECONDS = float(os.environ.get("DATAPLAT_SERVE_SECONDS", "6"))
LONG = SECONDS >= 60


def test_no_wrong_value_and_no_failed_request():
    """Every answer is whole, of the snapshot that it names, which was live; only a killed worker's requests are lost."""
    found = prove(SECONDS, swap=5.0 if LONG else 1.0, kill=30.0 if LONG else 2.5, workers=2, connections=16)
    assert (found.wrong, found.unexplained, found.seen.other, found.seen.refused) == (0, 0, {}, 0)
    assert found.kills >= 1
    assert found.swaps >= 2
    assert found.snapshots > 1
    assert found.seen.answered > 100
    assert found.seen.lost <= 16 * found.kills
