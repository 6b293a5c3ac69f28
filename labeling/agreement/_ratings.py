"""Ratings as they are given (lists, arrays, texts, numbers, with gaps) as codes of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import ConfigError

Array: TypeAlias = np.ndarray[Any, Any]
Value: TypeAlias = "int | float | str"

MISSING = -1
_NEAR = 1 << 16  # whole numbers this near to each other are their own codes


@dataclass(frozen=True, slots=True)
class Codes:
    """Values by number: `values` are the distinct ones in ascending order, `codes` the place of each, -1 where missing."""

    values: tuple[Value, ...]
    codes: Array

    def reshaped(self, *shape: int) -> Codes:
        """Return them in another shape."""
        return Codes(self.values, self.codes.reshape(shape))


def codes_of_ratings(ratings: Any) -> Codes:
    """Return the codes of raters x units.

    Args:
        ratings: one row for each rater: lists, or an array of two dimensions (anything that numpy takes for one). None,
            NaN and null are missing; in a numpy array of texts "nan" is, too, since that is what numpy makes of NaN
            among texts.

    Raises:
        ConfigError: They are no table, or hold numbers and texts together.
    """
    if isinstance(ratings, str | bytes):
        raise ConfigError("ratings are one list for each rater, not a text")
    if isinstance(ratings, Sequence):
        return _of_rows(ratings)
    table = np.asarray(ratings)
    if table.ndim != 2:
        raise ConfigError(f"ratings are raters x units, a table of two dimensions, not {table.ndim}")
    if isinstance(ratings, np.ma.MaskedArray):
        gaps = np.ma.getmaskarray(ratings).ravel()
        return codes_of(pa.array(table.ravel(), mask=gaps, from_pandas=True)).reshaped(*table.shape)
    return codes_of(table.ravel()).reshaped(*table.shape)


def _of_rows(rows: Sequence[Any]) -> Codes:
    for row in rows:
        if isinstance(row, str | bytes) or not hasattr(row, "__len__"):
            raise ConfigError(f"ratings are one list for each rater, not {row!r:.60}")
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ConfigError(
            f"each rater has a place for every unit, missing or not: one has {min(lengths)} of them, another {max(lengths)}"
        )
    shape = len(rows), lengths.pop() if lengths else 0
    if all(isinstance(row, np.ndarray) for row in rows) and len({row.dtype.kind for row in rows}) == 1:
        return codes_of(np.concatenate(rows)).reshaped(*shape)
    return codes_of(list(chain.from_iterable(rows))).reshaped(*shape)


def codes_of(values: Any) -> Codes:
    """Return the codes of values in a row: a list, a numpy or an Arrow array.

    Raises:
        ConfigError: They are neither numbers nor texts, or both.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return _numbers(values, None if values.dtype.kind != "f" else ~np.isnan(values))
    array = _arrow(values)
    if pa.types.is_null(array.type):
        return Codes((), np.full(len(array), MISSING))
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        valid = np.asarray(pc.is_valid(array))
        plain = array.fill_null(0).to_numpy(zero_copy_only=False)
        return _numbers(plain, valid if plain.dtype.kind != "f" else valid & ~np.isnan(plain))
    return _texts(array)


def _arrow(values: Any) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    numpy_texts = isinstance(values, np.ndarray) and values.dtype.kind == "U"
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ConfigError(f"ratings are all numbers or all texts, missing ones None: {error}") from error
    if pa.types.is_decimal(array.type):
        return array.cast(pa.float64())
    return pc.if_else(pc.equal(array, "nan"), pa.scalar(None, array.type), array) if numpy_texts else array


def _texts(array: pa.Array) -> Codes:
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        if not pa.types.is_string_view(array.type):
            raise ConfigError(f"ratings are numbers or texts, not {array.type}")
        array = array.cast(pa.large_string())
    encoded = array.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    place = np.empty(len(order) + 1, np.int64)
    place[order] = np.arange(len(order))
    place[-1] = MISSING
    indices = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return Codes(tuple(texts[at] for at in order), place[indices])


def _numbers(values: Array, valid: Array | None) -> Codes:
    if valid is not None and valid.all():
        valid = None
    there = values if valid is None else values[valid]
    found, codes = _distinct(there)
    if valid is not None:
        filled = np.full(len(values), MISSING)
        filled[valid] = codes
        codes = filled
    return Codes(tuple(found.tolist()), codes)


def _distinct(values: Array) -> tuple[Array, Array]:
    """Return the distinct numbers, ascending, and which of them each one is."""
    if values.dtype.kind == "b":
        values = values.astype(np.int8)
    if len(values):
        low, high = values.min(), values.max()
        if float(high) - float(low) < _NEAR and (values.dtype.kind != "f" or (np.rint(values) == values).all()):
            away = (values - low if values.dtype.kind == "f" else values.astype(np.int64) - int(low)).astype(np.int64)
            there = np.bincount(away) > 0
            found = low + np.flatnonzero(there).astype(values.dtype)
            return found, away if there.all() else (np.cumsum(there) - 1)[away]
    found, codes = np.unique(values, return_inverse=True)
    return found, codes
