"""Dawid and Skene's method on 1 M labels of 100,000 tasks, beside crowd-kit with the same beginning and turns.

crowd-kit is a peer, not a dependency: `pip install --no-deps crowd-kit` and `pip install attrs nltk pandas tqdm` bring
what its Dawid-Skene imports. Without it that side is not measured.
"""

from __future__ import annotations

import subprocess
from importlib.util import find_spec

from benchmarks._measure import DATA, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of

OURS, CONVERGED, PEER = "dataplat, 20 turns", "dataplat, until nothing is gained", "crowd-kit, 20 turns"
TURNS = 20
MOST_SECONDS, MOST_OFF = 5.0, 1e-6


def tables(settings: Settings) -> list[Table]:
    """Measure what the method takes, from a table of votes to one of labels; files read and modules imported before."""
    DATA.mkdir(exist_ok=True)
    labels = settings.small
    votes, ours = DATA / f"votes-{labels}.parquet", DATA / f"votes-{labels}-dataplat.npy"
    if not votes.exists():
        subprocess.run(side_program("consensus_sides", "make", votes, labels), check=True)

    def side(name: str, what: str, *, once: bool = False) -> Side:
        return Side(name, lambda _: side_program("consensus_sides", what, votes, TURNS, ours), once=once)

    sides = [side(OURS, "dataplat"), side(CONVERGED, "converged")]
    if settings.slow and find_spec("crowdkit"):
        sides.append(side(PEER, "crowd_kit", once=True))
    elif settings.slow:
        print("    crowd-kit is not installed: pip install --no-deps crowd-kit; pip install attrs nltk pandas tqdm")
    results = compare(sides, settings.repeat)
    seconds, theirs = of(results, OURS, "seconds"), of(results, PEER, "seconds")
    off = of(results, PEER, "difference")
    faster = NOT_MEASURED if not seconds or not theirs else f"{theirs / seconds:.0f} × ({theirs:.1f} / {seconds:.2f} s)"
    told = NOT_MEASURED if off is None else f"{off:.1e}"
    lines = [
        Line(
            "probabilities, farthest from crowd-kit's",
            told,
            f"≤ {MOST_OFF:g}",
            None if off is None else off <= MOST_OFF,
        ),
        at_most(f"{TURNS} turns", seconds, MOST_SECONDS, "s"),
        at_most("until nothing is gained", of(results, CONVERGED, "seconds"), MOST_SECONDS, "s"),
        Line("faster than crowd-kit", faster, "", None),
    ]
    return [Table(f"Dawid–Skene, {labels:,} labels of {labels // 10:,} tasks", tuple(lines), tuple(results))]
