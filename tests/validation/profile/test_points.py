"""Ranks that are read from points are off by less than is said, for a part and after any merges."""

import numpy as np
import pytest

from dataplat.validation.profile._points import CAPACITY, PER_PART, Points

SHAPES = {
    "even": lambda rng, size: rng.random(size),
    "normal": lambda rng, size: rng.normal(rng.normal(), 1, size),
    "few": lambda rng, size: rng.integers(0, 5, size).astype(float),
    "apart": lambda rng, size: rng.random(size) + rng.integers(0, 1000),
    "heavy": lambda rng, size: rng.pareto(0.5, size),
}

CUTS = {
    "large": [100_000] * 30,
    "small": [1_000] * 300,
    "tiny": [10] * 5_000,
    "unequal": [1_000_000, *[100] * 400],
}


def points_of(values, seed):
    """Return the points of a part."""
    return Points.of(np.sort(values), seed)


def worst(points, values):
    """Return the most by which a share of the numbers, read from the points, is off, below and up to any number."""
    ordered = np.sort(values)
    at = np.unique(ordered)
    off = [
        np.abs(points.upto(at, below=side == "left") - ordered.searchsorted(at, side)).max()
        for side in ("left", "right")
    ]
    return max(off) / len(ordered)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 511, 1_023, 1_024, 1_500, 4_095, 100_000])
def test_a_part_is_off_by_less_than_a_512th(shape, size):
    """With 512 to 1,024 points; up to 1,023 numbers it is not off at all."""
    rng = np.random.default_rng(size)
    for seed in rng.integers(0, 2**63, 20).tolist():
        values = SHAPES[shape](rng, size)
        points = points_of(values, seed)
        assert len(points.values) <= 2 * PER_PART
        assert points.exact == (size < 2 * PER_PART)
        assert worst(points, values) <= points.certain_error < 1 / PER_PART


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)
def test_merged_points_are_off_by_less_than_is_said(shape, sizes):
    """Certainly by less than the certain error, and by less than the likely one; the number of points stays bounded."""
    rng = np.random.default_rng(len(sizes))
    parts = [SHAPES[shape](rng, size) for size in sizes]
    seeds = rng.integers(0, 2**63, len(parts)).tolist()
    merged = Points.merge([points_of(part, seed) for part, seed in zip(parts, seeds, strict=True)])
    off = worst(merged, np.concatenate(parts))
    assert off <= merged.likely_error <= merged.certain_error
    assert len(merged.values) < 1.1 * CAPACITY + 2 * PER_PART


def test_offsets_do_not_lean():
    """Over many seeds, what is read is right in the mean: errors of parts cancel out."""
    values = np.arange(3_000.0)
    seeds = np.random.default_rng(1).integers(0, 2**63, 4_000).tolist()
    read = [points_of(values, seed).upto([1_234.0])[0] for seed in seeds]
    assert abs(np.mean(read) - 1_235) < 0.15


def test_ends_of_error_are_told():
    """A thousand equal parts are likely within a 200th, and nobody has to believe it: the certain error is told, too."""
    part = points_of(np.arange(1_000_000.0), 7)
    merged = Points.merge([part] * 1_000)
    assert merged.likely_error < 1 / 150 < merged.certain_error
    assert Points.merge([part] * 8).certain_error < 1 / PER_PART


def test_nothing_has_no_ranks():
    """Of no numbers nothing is below anything."""
    points = Points.merge([points_of(np.empty(0), 0)] * 3)
    assert points.upto([0.0]).tolist() == [0]
    assert points.certain_error == points.likely_error == 0
