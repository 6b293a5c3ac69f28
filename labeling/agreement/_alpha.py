"""Krippendorff's α."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataplat.labeling.agreement._coincidences import Coincidences
from dataplat.labeling.agreement._levels import Level
from dataplat.labeling.agreement._ratings import Value


def krippendorff_alpha(ratings: Any, level: Level = "nominal", *, categories: Sequence[Value] | None = None) -> float:
    """Return Krippendorff's α: 1 is perfect agreement, 0 what chance alone would give, less is systematic disagreement.

    It takes any number of raters, gaps, and every level of measurement (K. Krippendorff, Content Analysis, 4th ed. 2019,
    chapter 12; Computing Krippendorff's Alpha-Reliability, 2011). Units that fewer than two people rated are not
    pairable and are left out.

    Args:
        ratings: raters x units: one row for each rater, as lists or as an array. None and NaN are missing. Values are
            numbers or texts.
        level: `nominal` (equal or not), `ordinal` (ranks), `interval` (differences), `ratio` (differences in relation
            to the sum; no negative numbers). Texts that are numbers are read as such for all but the first.
        categories: the order of the scale, least first, for ordinal texts.

    Returns:
        α, at most 1. NaN where it is not defined: no unit is pairable, or all pairable ratings are the same. The
        formula is 0/0 there: without variation there is nothing that says whether people can tell the categories
        apart, and Krippendorff calls such data uninformative of reliability. (Programs differ: some give 1, some 0,
        some fail.)

    Raises:
        ConfigError: There is no such level, ratings are no table, or values are not of that level.

    Example:
        >>> round(krippendorff_alpha([["a", "b", "b", None], ["a", "b", "a", "b"]]), 3)
        0.444
    """
    return Coincidences.of(ratings).alpha(level, categories=categories)
