"""Lookups of many rows: a key that comes again is read once, and each of its rows is answered as alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading
from dataplat.testing._agreement_cases import Cases, Stage

SEEDS = (1006, 1024, 1029, 1045, 1050)  # with rows that are pushed, some with on-demand features


class Reader:
    """Reads the records of a stage, and keeps in mind which."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.asked: list[bytes] = []
        self.pushed: Mapping[bytes, tuple[bytes, ...]] = {
            row.key: tuple(
                other.row for other in sorted(stage.pushed, key=lambda one: (one.e, one.k)) if other.key == row.key
            )
            for row in stage.pushed
        }

    def __call__(self, keys: Sequence[bytes]) -> Reading:
        """Return records and pushed rows."""
        self.asked = list(keys)
        records = [self.stage.records.get(key) for key in keys]
        return Reading(self.stage.snapshot, 0, records, [self.pushed.get(key, ()) for key in keys])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("times", [2, 20])
def test_rows_of_a_key_are_answered_as_each_alone(seed: int, times: int) -> None:
    """Values, statuses and ages, few rows or so many that columns are arrays; each key is read once for each of its entities."""
    cases = Cases.drawn(seed, events=150, rows=30)
    serving = Serving(cases.plan)
    for stage in cases.stages:
        read = Reader(stage)
        for batch in stage.batches[:3]:
            rows = cases.rows(batch)[:3]
            many = serving.answer(*cases.columns(rows * times), batch.t, read)
            assert len(read.asked) <= len(rows) * len(cases.plan.asks)
            told = [dict(many.raw), many.statuses, many.ages]
            for at, row in enumerate(rows):
                alone = serving.answer(*cases.columns([row]), batch.t, read)
                for found, wanted in zip(told, (alone.raw, alone.statuses, alone.ages), strict=True):
                    for name in cases.plan.columns:
                        assert repr(list(found[name])[at :: len(rows)]) == repr(list(wanted[name]) * times)
