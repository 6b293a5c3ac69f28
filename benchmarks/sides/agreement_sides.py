"""One side of the benchmark of agreement: SIDE UNITS; prints what alpha at four levels took, and how far the sides differ."""

import json
import sys
import time

import numpy as np

LEVELS = ("nominal", "ordinal", "interval", "ratio")


def ratings(units):
    """Return five raters x units: they see the truth three times of four, and a tenth is missing."""
    draw = np.random.default_rng(8)
    truth = draw.integers(1, 6, units)
    said = np.where(draw.random((5, units)) < 0.75, truth, draw.integers(1, 6, (5, units))).astype(np.float64)
    said[draw.random(said.shape) < 0.1] = np.nan
    return said


def ours(said):
    from dataplat.labeling.agreement import krippendorff_alpha

    return [krippendorff_alpha(said, level) for level in LEVELS]


def theirs(said):
    import krippendorff

    return [float(krippendorff.alpha(said, level_of_measurement=level)) for level in LEVELS]


def main():
    side, units = sys.argv[1], int(sys.argv[2])
    said, alphas = ratings(units), {"dataplat": ours, "peer": theirs}[side]
    alphas(said[:, :100])  # modules are imported
    begin, begin_cpu = time.perf_counter(), time.process_time()
    found = alphas(said)
    figures = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - begin_cpu}
    if side == "peer":
        figures["difference"] = float(np.abs(np.subtract(found, ours(said))).max())
    print(json.dumps(figures | dict(zip(LEVELS, found, strict=True))))


if __name__ == "__main__":
    main()
