"""A training set: the rows of a spine with features as they were known, and all that is needed to make it again.

A part of it, as `split` makes them, is a training set as well: with an id, a report and statuses of its own, and made again as
that part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from dataplat._features._history import micros_of
from dataplat.errors import BadColumn, ConfigError
from dataplat.feature_store.closure import closure_hash, used_views
from dataplat.feature_store.status import NAMES
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat._features._training import Recipe
    from dataplat._transaction import Transaction
    from dataplat.ingest import IngestResult
    from dataplat.ingest._request import IngestOptions


@dataclass(frozen=True, slots=True)
class Report:
    """What happened on the way to a training set.

    Attributes:
        rows: of the set.
        immature: rows of the spine that were left out, since their labels could not be known yet (PIT 27); of a part of a
            set, those of all of it.
        ties: by view: for how many rows the newest row agreed in event time with another one (PIT 6); likewise.
        statuses: by column: how many cells have which status.
        unlabelled: rows that no label was found for.
    """

    rows: int
    immature: int
    ties: Mapping[str, int]
    statuses: Mapping[str, Mapping[str, int]]
    unlabelled: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        statuses = {name: dict(each) for name, each in self.statuses.items()}
        return {
            "rows": self.rows,
            "immature": self.immature,
            "unlabelled": self.unlabelled,
            "ties": dict(self.ties),
            "statuses": statuses,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a split.

    Attributes:
        by: columns of which equal values are on one side; none: the side is one of time.
        holdout: the share of groups that are held out, or the time from which on rows are, microseconds.
        seed: another one chooses others.
        held: whether this is what is held out.
    """

    by: tuple[str, ...]
    holdout: float | int
    seed: str
    held: bool


@dataclass(frozen=True, slots=True)
class Codes:
    """The status of each cell, as codes, and whether each row has a label."""

    statuses: Mapping[str, NDArray[np.int8]]
    labelled: NDArray[np.bool_] | None = None

    def take(self, rows: NDArray[np.bool_]) -> Codes:
        """Return those of some rows."""
        statuses = {name: codes[rows] for name, codes in self.statuses.items()}
        return Codes(statuses, None if self.labelled is None else self.labelled[rows])

    def report(self, rows: int, immature: int, ties: Mapping[str, int]) -> Report:
        """Count them."""
        statuses = {
            name: {NAMES[code]: int(count) for code, count in enumerate(np.bincount(codes)) if count}
            for name, codes in self.statuses.items()
        }
        unlabelled = 0 if self.labelled is None else int((~self.labelled).sum())
        return Report(rows, immature, ties, statuses, unlabelled)


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
    _codes: Codes = field(repr=False, compare=False)

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
        told = self.recipe
        about: dict[str, Any] = {
            "closure": self.closure,
            "pins": sorted(told.pins.items()),
            "spine": list(self._spine_words()),
            "labels": None if told.labels is None else [told.labels.dataset, told.labels.id, list(told.label_on)],
            "asked": [told.timestamp, told.horizon, told.as_known, told.statuses, told.ages],
        }
        about |= {"label_known_at": told.label_known_at} if told.label_known_at else {}
        about |= {"sides": [asdict(side) for side in told.sides]} if told.sides else {}
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def land(self, tx: Transaction, into: str, **options: Unpack[IngestOptions]) -> IngestResult:
        """Have its rows become a dataset within a transaction; `save` is what users call."""
        return tx.ingest(self.table, into, **options)

    def _spine_words(self) -> list[str]:
        return self.recipe.spine.words

    def _schema(self) -> pa.Schema:
        return self.table.schema

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

    def to_html(self) -> str:
        """Return one page that needs no network: of what it is made, how its cells came to be, what its columns hold."""
        from dataplat._features._training_page import page

        return page(self)

    def _repr_html_(self) -> str:
        from dataplat._features._training_page import fragment

        return fragment(self)

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
            ConfigError: The share is none; the time has no zone; or both a time and columns are given.
        """
        side = self._sides(by, holdout, seed)
        there = held(self.table, side, self.recipe.timestamp)
        return self._some(~there, replace(side, held=False)), self._some(there, side)

    def side(self, side: Side) -> TrainingSet:
        """Return one side of a split."""
        there = held(self.table, side, self.recipe.timestamp)
        return self._some(there if side.held else ~there, side)

    def save(self, into: str, *, message: str | None = None, contract: Any = None) -> IngestResult:
        """Make it a version of the dataset `into`; its lineage names the versions that it was made of.

        Where nothing differs from the newest version there is no new one. `FeatureStore.save` saves several in one commit.
        """
        from dataplat._features._saved import save

        return save(self._store, {into: self}, message, contract)[into]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        service = self.recipe.service
        pins = ", ".join(f"{name} = {version[:12]}" for name, version in sorted(self.pins.items()))
        return f"TrainingSet({service.reference}, {len(self):,} rows x {len(self._schema())} columns; {pins})"

    def _columns(self, by: str | Sequence[str] | None) -> list[str]:
        if by is None:
            views = used_views(self.recipe.service)
            names = list(dict.fromkeys(name for view in views for name in view.spine_keys))
        else:
            names = [by] if isinstance(by, str) else list(by)
        there = self._schema().names
        for name in names:
            if name not in there:
                raise BadColumn(f"the training set has no column {name!r}{did_you_mean(name, there)}")
        return names

    def _sides(self, by: str | Sequence[str] | None, holdout: float | datetime, seed: str) -> Side:
        """Return what is held out."""
        if isinstance(holdout, datetime):
            if by is not None or seed:
                raise ConfigError(
                    "holdout= is a time, from which on all rows are held out: by= and seed= are of a share"
                )
            return Side((), micros_of(holdout, "holdout"), "", held=True)
        share: Any = holdout
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ConfigError(f"holdout is a share between 0 and 1, or a time, and not {holdout!r}")
        columns = tuple(self._columns(by))
        if not columns:
            raise ConfigError("its views have no entity: say with by= which rows stay together, or give a time")
        return Side(columns, float(holdout), seed, held=True)

    def _some(self, rows: NDArray[np.bool_], side: Side) -> TrainingSet:
        import pyarrow as pa

        table, codes = self.table.filter(pa.array(rows)), self._codes.take(rows)
        report = codes.report(table.num_rows, self.report.immature, self.report.ties)
        return replace(
            self,
            recipe=replace(self.recipe, sides=(*self.recipe.sides, side)),
            table=table,
            report=report,
            _codes=codes,
        )


def held(table: pa.Table, side: Side, timestamp: str) -> NDArray[np.bool_]:
    """Return which rows of a training set a split holds out; each row is looked at by itself."""
    if not side.by:
        from dataplat._features._spine import times_of

        return times_of(table, timestamp) >= side.holdout
    found: NDArray[np.bool_] = _shares(table, side.by, side.seed) < side.holdout
    return found


def _shares(table: pa.Table, columns: Sequence[str], seed: str) -> Any:
    """Return a number from 0 to 1 for each row, equal where the columns are."""
    from dataplat.lake._hashing import mix
    from dataplat.lake.content_id import row_digests

    words = np.ascontiguousarray(row_digests(table.select(list(columns)))[:, 0])
    salt = int.from_bytes(hashlib.sha256(f"split {seed}".encode()).digest()[:8], "little")
    return mix(0, words ^ np.uint64(salt)) / 2.0**64
