"""Regions of people side by side: those that share enough, and how many of them are one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from dataplat.labeling.agreement._matching import matched
from dataplat.labeling.agreement._ratings import Array

_AT_ONCE: Final = 1 << 21
"""Pairs of regions that are compared at once."""

_PAIR: Final = ("task", "one", "other")
_CODES: Final = (("task", "at"), ("annotator", "by"))
"""Texts, and the numbers that stand for them while regions are compared."""

_CODED: Final = ("at", "one", "other")
_SUMS: Final[dict[str, Any]] = {"matched": pl.Int64, "same": pl.Int64, "iou": pl.Float64}


def compared(
    regions: pl.DataFrame,
    answers: pl.DataFrame | None,
    place: tuple[str, ...],
    share: Callable[[Array, Array], Array],
    threshold: float,
) -> pl.DataFrame:
    """Return for each task and each two people: `regions` of both, `matched` ones, those of `same` label, and their `iou`.

    Args:
        regions: of everybody; those without a place are passed over.
        answers: who answered what, though they may have drawn nothing.
        place: the columns that say where a region is.
        share: what each two regions share, given the places of both.
        threshold: what two regions share at least to be one.
    """
    drawn = _drawn(regions, place)
    people = _people(drawn, answers)
    ones = people.rename({"annotator": "one", "drawn": "ones"})
    others = people.rename({"annotator": "other", "drawn": "others"})
    pairs = ones.join(others, on="task").filter(pl.col("one") < pl.col("other"))
    counted = pl.concat([_empty(), *(_counted(part, place, share, threshold) for part in _parts(drawn))])
    found = pairs.join(counted, on=_PAIR, how="left").with_columns(pl.col(name).fill_null(0) for name in _SUMS)
    return found.select(*_PAIR, *_SUMS, regions=pl.col("ones") + pl.col("others")).sort(_PAIR)


def _empty() -> pl.DataFrame:
    texts: dict[str, Any] = dict.fromkeys(_PAIR, pl.String)
    return pl.DataFrame(schema=texts | _SUMS)


def _drawn(regions: pl.DataFrame, place: tuple[str, ...]) -> pl.DataFrame:
    """Return whose each region is, where, in which control (`scope`), and with what label."""
    if "rotation" in place:
        turned = pl.col("rotation").fill_null(0.0) if "rotation" in regions.columns else pl.lit(0.0)
        regions = regions.with_columns(rotation=turned)
    there = regions.filter(pl.all_horizontal(pl.col("task", "annotator", *place).is_not_null()))
    scope = [pl.col(name).fill_null("") for name in ("from_name", "to_name") if name in regions.columns]
    return (
        there.select(
            pl.col("task", "annotator").cast(pl.String),
            pl.col(place).cast(pl.Float64),
            scope=pl.concat_str(scope, separator="\x1f") if scope else pl.lit(""),
            label=_label(there),
        )
        .with_columns(
            pl.col("scope", "label").rank("dense"), *(pl.col(name).rank("dense").alias(code) for name, code in _CODES)
        )
        .with_row_index("n")
    )


def _label(regions: pl.DataFrame) -> pl.Expr:
    """Return the labels of each region as one text, whatever their order."""
    if "labels" not in regions.columns:
        return pl.lit("")
    if regions.schema["labels"].base_type() == pl.List:
        return pl.col("labels").list.sort().list.join("\x1f").fill_null("")
    return pl.col("labels").cast(pl.String).fill_null("")


def _people(drawn: pl.DataFrame, answers: pl.DataFrame | None) -> pl.DataFrame:
    """Return who answered which task, and how many regions they have there."""
    found = drawn.select("task", "annotator", drawn=pl.lit(1, pl.Int64))
    if answers is not None:
        silent = answers.select(pl.col("task", "annotator").cast(pl.String), drawn=pl.lit(0, pl.Int64))
        found = pl.concat((found, silent.drop_nulls()))
    return found.group_by("task", "annotator").agg(pl.col("drawn").sum())


def _parts(drawn: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the regions of some tasks at a time, that all pairs of them fit into memory."""
    sizes = drawn.group_by("task", maintain_order=True).len()
    part = (pl.col("len").cast(pl.Int64).pow(2).cum_sum() // _AT_ONCE).alias("part")
    yield from drawn.join(sizes.select("task", part), on="task").partition_by("part")


def _counted(
    drawn: pl.DataFrame, place: tuple[str, ...], share: Callable[[Array, Array], Array], threshold: float
) -> pl.DataFrame:
    """Return how many regions of each two people are one."""
    coded = drawn.select("n", "at", "by", "scope", "label", *place)
    both = coded.join(coded, on=["at", "scope"]).filter(pl.col("by") < pl.col("by_right"))
    shares = share(both.select(place).to_numpy(), both.select(f"{name}_right" for name in place).to_numpy())
    near = both.select(
        "at",
        i="n",
        j="n_right",
        one="by",
        other="by_right",
        same=pl.col("label") == pl.col("label_right"),
        share=pl.Series(shares, dtype=pl.Float64),
    ).filter(pl.col("share") > 0, pl.col("share") >= threshold)
    rivals = (pl.len().over("i", "other") > 1) | (pl.len().over("j", "one") > 1)
    near = near.with_columns(rivals=rivals).with_columns(pl.col("rivals").any().over(_CODED))
    plain = near.filter(~pl.col("rivals")).group_by(_CODED).agg(
        pl.len().cast(pl.Int64).alias("matched"),
        pl.col("same").sum().cast(pl.Int64),
        pl.col("share").sum().alias("iou"),
    )  # fmt: skip
    found = pl.concat((plain, _best(near.filter("rivals"), threshold)))
    tasks, people = (drawn.select(code, name).unique() for name, code in _CODES)
    named = found.join(tasks, on="at").join(people.rename({"by": "one", "annotator": "first"}), on="one")
    named = named.join(people.rename({"by": "other", "annotator": "second"}), on="other")
    return named.select("task", *_SUMS, one="first", other="second").select(*_PAIR, *_SUMS)


def _best(near: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the sums of the best matching for people of whom a region has several near ones of the other's."""
    near = near.sort(_CODED)
    codes = near.select(_CODED).to_numpy()
    starts = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]).any(axis=1)][: near.height])
    bounds = np.append(starts, near.height)
    ones, others, same, shares = (near[name].to_numpy() for name in ("i", "j", "same", "share"))
    sums = []
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        here = slice(start, stop)
        sums.append(_matched(ones[here], others[here], same[here], shares[here], threshold))
    columns = list(zip(*sums, strict=True)) or [(), (), ()]
    found = [pl.Series(name, column, kind) for (name, kind), column in zip(_SUMS.items(), columns, strict=True)]
    return near[starts.tolist()].select(_CODED).with_columns(found)


def _matched(ones: Array, others: Array, same: Array, shares: Array, threshold: float) -> tuple[int, int, float]:
    """Return how many regions of two people are one, how many of these have equal labels, and what they share."""
    first, row = np.unique(ones, return_inverse=True)
    second, column = np.unique(others, return_inverse=True)
    table, alike = np.zeros((len(first), len(second))), np.zeros((len(first), len(second)), bool)
    table[row, column], alike[row, column] = shares, same
    chosen = matched(table, alike, threshold)
    return len(chosen[0]), int(alike[chosen].sum()), float(table[chosen].sum())
