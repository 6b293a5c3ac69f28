"""A training set: the rows of a spine with features as they were known, and all that is needed to make it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat.errors import BadColumn, ConfigError
from dataplat.feature_store.closure import closure_hash, used_views
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat._features._training import Recipe
    from dataplat.ingest import IngestResult


@dataclass(frozen=True, slots=True)
class Report:
    """What happened on the way to a training set.

    Attributes:
        rows: of the set.
        immature: rows of the spine that were left out, since their labels could not be known yet (PIT 27).
        ties: by view: for how many rows the newest row agreed in event time with another one (PIT 6).
        statuses: by column: how many cells have which status.
    """

    rows: int
    immature: int
    ties: Mapping[str, int]
    statuses: Mapping[str, Mapping[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        statuses = {name: dict(each) for name, each in self.statuses.items()}
        return {"rows": self.rows, "immature": self.immature, "ties": dict(self.ties), "statuses": statuses}


@dataclass(frozen=True)
class TrainingSet:
    """Features of a service for the rows of a spine, as they were known at each row's time; pinned.

    Attributes:
        recipe: what was asked for, of which versions.
        table: the spine's columns, labels, then `view__feature` for each feature.
        report: what happened on the way.
    """

    recipe: Recipe
    table: pa.Table
    report: Report
    _store: FeatureStore

    @property
    def pins(self) -> dict[str, str]:
        """Version ids of all datasets that features were made of, by name."""
        return dict(self.recipe.pins)

    @property
    def closure(self) -> str:
        """The hash of the service's definitions: a model remembers it, and sends it with its lookups (PIT 26)."""
        return closure_hash(self.recipe.service)

    @cached_property
    def id(self) -> str:
        """The hash of all that the set depends on: equal ids, equal bytes."""
        from dataplat.lake.content_id import content_id, digest

        spine = self.recipe.spine.table
        told = self.recipe
        about = {
            "closure": self.closure,
            "pins": sorted(told.pins.items()),
            "spine": [content_id(digest(spine.to_batches(), spine.schema), spine.schema), _order(spine)],
            "labels": None if told.labels is None else [told.labels.dataset, told.labels.id, list(told.label_on)],
            "asked": [told.timestamp, told.horizon, told.as_known, told.statuses, told.ages],
        }
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table."""
        return self.table

    def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame."""
        from dataplat._frames import to_polars

        return to_polars(self.table)

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame with Arrow-backed columns."""
        from dataplat._frames import to_pandas

        return to_pandas(self.table)

    def rebuild(self) -> TrainingSet:
        """Make it again, of the same versions: it is the same to the last byte."""
        from dataplat._features._training import build

        return build(self._store, self.recipe)

    def split(
        self, *, by: str | Sequence[str] | None = None, holdout: float | datetime = 0.2, seed: str = ""
    ) -> tuple[TrainingSet, TrainingSet]:
        """Return what to train on, and what to hold out.

        Args:
            by: columns of which equal values stay together, on one side; by default the spine's keys.
            holdout: the share of groups that are held out, chosen by a hash of their values, so that a group is on the
                same side in every set; or a time: rows from then on are.
            seed: another seed chooses others.

        Raises:
            BadColumn: There is no such column.
            ConfigError: The share is none.
        """
        if isinstance(holdout, datetime):
            from dataplat._features._spine import times_of

            if holdout.tzinfo is None:
                raise ConfigError(f"holdout={holdout} has no time zone, and could be any time")
            held = times_of(self.table, self.recipe.timestamp) >= int(holdout.timestamp() * 1_000_000)
        else:
            if not 0 < holdout < 1:
                raise ConfigError(f"holdout is a share between 0 and 1, or a time, and not {holdout!r}")
            held = self._shares(self._columns(by), seed) < holdout
        import pyarrow as pa

        return self._some(pa.array(~held)), self._some(pa.array(held))

    def save(self, into: str, *, message: str | None = None, contract: Any = None) -> IngestResult:
        """Make it a version of the dataset `into`; its lineage names the versions that it was made of.

        Where nothing differs from the newest version there is no new one.
        """
        from dataplat._features._lineage import note

        recipe = self.recipe
        named = f"{recipe.service.name}@{recipe.service.version}"
        lineage = [*recipe.lineage, *recipe.spine.pins]
        if recipe.labels is not None:
            lineage.append((recipe.labels.dataset, recipe.labels.id))
        result = self._store.lake.ingest(
            self.table,
            into=into,
            mode="replace",
            branch=self._store.branch,
            message=message or f"training set of {named}, closure {self.closure[:12]}, id {self.id[:12]}",
            lineage=sorted(set(lineage)),
            contract=contract,
        )
        assert result.version is not None
        note(self._store, self, into, result.version.id)
        return result

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        service = self.recipe.service
        pins = ", ".join(f"{name} = {version[:12]}" for name, version in sorted(self.pins.items()))
        return f"TrainingSet({service.name}@{service.version}, {len(self):,} rows x {self.table.num_columns} columns; {pins})"

    def _columns(self, by: str | Sequence[str] | None) -> list[str]:
        if by is None:
            views = used_views(self.recipe.service)
            names = list(dict.fromkeys(name for view in views for name in view.spine_keys))
        else:
            names = [by] if isinstance(by, str) else list(by)
        there = self.table.schema.names
        for name in names:
            if name not in there:
                raise BadColumn(f"the training set has no column {name!r}{did_you_mean(name, there)}")
        return names

    def _shares(self, columns: Sequence[str], seed: str) -> Any:
        """Return a number from 0 to 1 for each row, equal where the columns are."""
        from dataplat.lake._hashing import mix
        from dataplat.lake.content_id import row_digests

        words = np.ascontiguousarray(row_digests(self.table.select(list(columns)))[:, 0])
        salt = int.from_bytes(hashlib.sha256(f"split {seed}".encode()).digest()[:8], "little")
        return mix(0, words ^ np.uint64(salt)) / 2.0**64

    def _some(self, rows: Any) -> TrainingSet:
        table = self.table.filter(rows)
        return replace(self, table=table, report=replace(self.report, rows=table.num_rows))


def _order(spine: pa.Table) -> str:
    """Return a hash of rows in their order, which the content id leaves out."""
    from dataplat.lake.content_id import row_digests

    return hashlib.sha256(np.ascontiguousarray(row_digests(spine)).tobytes()).hexdigest()
