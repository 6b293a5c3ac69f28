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

_ABOUT: Final = ("choices", "datetime", "number", "pairwise", "rating", "taxonomy", "textarea")
"""Types of items that say something of a region that another item draws."""

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
    """Return whose each region is, where, in which control (`scope`), and with what label; `at` and `by` are numbers."""
    if "rotation" in place:
        turned = pl.col("rotation").fill_null(0.0) if "rotation" in regions.columns else pl.lit(0.0)
        regions = regions.with_columns(rotation=turned)
    there = _whole(regions.filter(pl.all_horizontal(pl.col("task", "annotator", *place).is_not_null())), place)
    codes = (pl.col(name).rank("dense").alias(code) for name, code in _CODES)
    return there.with_columns(pl.col("scope", "label").rank("dense"), *codes).with_row_index("n")


def _whole(items: pl.DataFrame, place: tuple[str, ...]) -> pl.DataFrame:
    """Return one row a region: a result has an item for each control that says something of it, all with its place.

    It is of the control that drew it: one without labels, where there is one beside that of its labels.
    """
    if "type" in items.columns:
        items = items.filter(~pl.col("type").fill_null("").is_in(_ABOUT))
    names = [name for name in ("to_name", "from_name") if name in items.columns]
    scope = pl.concat_str([pl.col(name).fill_null("") for name in names], separator="\x1f") if names else pl.lit("")
    known = "region" in items.columns and "annotation" in items.columns
    numbered = items.with_row_index("item_")
    plain = numbered.select(
        pl.col("task", "annotator").cast(pl.String),
        pl.col(place).cast(pl.Float64),
        "item_",
        scope=scope,
        label=_labels(items),
        key=pl.when(pl.col("region").is_not_null()).then(pl.concat_str("annotation", "region", separator="\x1f")) if known else pl.lit(None, pl.String),
    )  # fmt: skip
    key = pl.coalesce("key", pl.concat_str(pl.lit("\x1f"), pl.col("item_").cast(pl.String))).alias("key")
    joined = pl.col("label").list.explode(keep_nulls=False, empty_as_null=False).unique().sort().str.join("\x1f")
    return plain.group_by(key, maintain_order=True).agg(
        pl.col("task", "annotator", *place).first(),
        scope=pl.coalesce(pl.col("scope").filter(pl.col("label").is_null()).min(), pl.col("scope").min()),
        label=joined,
    ).drop("key")  # fmt: skip


def _labels(items: pl.DataFrame) -> pl.Expr:
    """Return the labels of each item as a list."""
    if "labels" not in items.columns:
        return pl.lit(None, pl.List(pl.String))
    if items.schema["labels"].base_type() == pl.List:
        return pl.col("labels").cast(pl.List(pl.String))
    return pl.concat_list(pl.col("labels").cast(pl.String))


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
