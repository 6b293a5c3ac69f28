"""Training–serving skew: whether models are served what they were trained on, as a whole and row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from dataplat.errors import BadColumn, ConfigError, KeyViolation
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.validation.drift.report import DriftReport

WORST: Final = 20
"""Rows of each feature that are shown."""


@dataclass(frozen=True, slots=True)
class FeatureSkew:
    """One feature, in rows that are on both sides.

    `differing` rows of `rows` differ, by more than the tolerance where they are numbers. `error` is the mean difference
    of those numbers, `worst` the rows that differ most: entity, times, both values and the difference.
    """

    feature: str
    rows: int
    differing: int
    error: float | None = None
    worst: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def share(self) -> float:
        """The share of rows that differ."""
        return self.differing / self.rows if self.rows else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "feature": self.feature,
            "rows": self.rows,
            "differing": self.differing,
            "share": self.share,
            "error": self.error,
            "worst": list(self.worst),
        }


@dataclass(frozen=True, slots=True, repr=False)
class SkewReport:
    """Skew between what models were trained on and what they are served.

    `drift` compares the distributions; `features` the rows of one entity and time; `joined` of the `served` rows have a
    row of training beside them. `unserved` columns are in training alone: labels, or features that are missing.
    """

    drift: DriftReport
    features: tuple[FeatureSkew, ...] = ()
    served: int = 0
    joined: int = 0
    max_share: float = 0.0
    unserved: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no distribution drifts, all could be compared, and no feature differs in more rows than it may.

        Rows that were to be joined and have nothing beside them at all are not ok: nothing was compared.
        """
        compared = not self.features or self.joined > 0
        return self.drift.ok and compared and all(each.share <= self.max_share for each in self.features)

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        found = self.drift.lines()
        if self.features:
            found.append(f"row by row: {self.joined:,} of {self.served:,} served rows have one of training beside them")
        for each in sorted(self.features, key=lambda feature: -feature.share):
            error = "" if each.error is None else f", by {each.error:.4g} in the mean"
            found.append(f"  {'skew' if each.share > self.max_share else 'none'}  {each.feature}: differs in "
                         f"{each.differing:,} rows ({each.share:.2%}){error}")  # fmt: skip
            if each.share > self.max_share and each.worst:
                found.append("        worst: " + ", ".join(f"{name}={value}" for name, value in each.worst[0].items()))
        return [*found, *(f"  not served: {name}" for name in self.unserved)]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "ok": self.ok,
            "drift": self.drift.to_dict(),
            "served": self.served,
            "joined": self.joined,
            "max_share": self.max_share,
            "unserved": list(self.unserved),
            "features": [each.to_dict() for each in self.features],
        }

    def to_html(self) -> str:
        """Return it as one page that needs no network."""
        from dataplat.validation.drift._page import skew_page

        return skew_page(self)

    def _repr_html_(self) -> str:
        from dataplat.validation.drift._page import skew_fragment

        return skew_fragment(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which rows belong together.

    Args:
        on: columns that name the entity.
        time: column of the time on both sides; a served row goes with the latest row of training of its entity that is
            not later, as a point-in-time join has it. None: there is one row of an entity in training.
        within: how much older that row may be.
        tolerance: relative difference up to which numbers are equal (0: they are equal exactly), NaN being equal to NaN
            and null to null.
        worst: rows of each feature that are shown.
    """

    on: Sequence[str]
    time: str | None = None
    within: timedelta | None = None
    tolerance: float = 0.0
    worst: int = WORST

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not self.on:
            raise ConfigError("say by which columns rows belong together: on=['customer_id']")
        if not self.tolerance >= 0:
            raise ConfigError(f"a tolerance is a share of 0 or more, not {self.tolerance}")
        if self.within is not None and self.time is None:
            raise ConfigError("`within` is a length of time: name the column of the time, too")


def row_skew(
    training: pa.Table, serving: pa.Table, pairing: Pairing, features: Sequence[str] | None = None
) -> tuple[tuple[FeatureSkew, ...], int]:
    """Compare the rows of one entity and time.

    Args:
        training: what models were trained on.
        serving: what was served.
        pairing: which rows belong together.
        features: columns to compare; None is all that both have.

    Returns:
        One `FeatureSkew` per feature, and how many served rows have one of training beside them.

    Raises:
        BadColumn: A column is not on both sides.
        KeyViolation: There is no time, and several rows of training are of one entity.
    """
    keys = [*pairing.on, *([pairing.time] if pairing.time else [])]
    for name in (*keys, *(features or ())):
        for side, table in (("training", training), ("serving", serving)):
            if name not in table.column_names:
                raise BadColumn(f"no column {name!r} in {side}{did_you_mean(name, table.column_names)}")
    both = [name for name in serving.column_names if name in training.column_names and name not in keys]
    names = list(dict.fromkeys(both if features is None else features))
    joined = _joined(_frame(training, [*keys, *names]), _frame(serving, [*keys, *names]), pairing)
    return tuple(_feature(joined, name, pairing) for name in names), joined.height


def _frame(table: pa.Table, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(table.select(list(dict.fromkeys(names))))


def _joined(training: pl.DataFrame, serving: pl.DataFrame, pairing: Pairing) -> pl.DataFrame:
    """Return served rows with what training has beside them under `training:NAME`."""
    on = list(pairing.on)
    training = training.drop_nulls(on)
    if pairing.time is None:
        if training.select(on).is_duplicated().any():
            repeated = training.filter(training.select(on).is_duplicated()).row(0, named=True)
            said = ", ".join(f"{name}={repeated[name]!r}" for name in on)
            raise KeyViolation(f"training has several rows of {said}: name the column of the time, time='…'")
        beside = training.select(*on, *(pl.col(n).alias(f"training:{n}") for n in training.columns if n not in on))
        return serving.join(beside, on=on, how="inner", maintain_order="left")
    time = pairing.time
    beside = training.drop_nulls(time).select(
        *on, time, *(pl.col(name).alias(f"training:{name}") for name in training.columns if name not in on)
    )
    found = (
        serving.drop_nulls([*on, time])
        .sort(time)
        .join_asof(
            beside.sort(time), on=time, by=on, strategy="backward", tolerance=pairing.within, check_sortedness=False
        )
    )
    return found.filter(pl.col(f"training:{time}").is_not_null())


def _feature(joined: pl.DataFrame, name: str, pairing: Pairing) -> FeatureSkew:
    one, two = pl.col(f"training:{name}"), pl.col(name)
    numeric = joined.schema[name].is_numeric() and joined.schema[f"training:{name}"].is_numeric()
    error = None
    if numeric:
        away = (one.cast(pl.Float64) - two.cast(pl.Float64)).abs().fill_nan(None)
        most = pl.max_horizontal(one.cast(pl.Float64).abs(), two.cast(pl.Float64).abs()) * pairing.tolerance
        differs = one.ne_missing(two) & (away > most).fill_null(value=True)
    else:
        differs, away = one.cast(pl.String).ne_missing(two.cast(pl.String)), pl.lit(None, pl.Float64)
    out = joined.filter(differs)
    if numeric and out.height:
        error = out.select(away.filter(away.is_finite()).mean()).item()
    times = [] if pairing.time is None else [pl.col(pairing.time), pl.col(f"training:{pairing.time}")]
    shown = out.select(*pairing.on, *times, training=one, serving=two, difference=away)
    rows = shown.sort("difference", descending=True, nulls_last=True, maintain_order=True).head(pairing.worst)
    return FeatureSkew(name, joined.height, out.height, error, tuple(rows.to_dicts()))
