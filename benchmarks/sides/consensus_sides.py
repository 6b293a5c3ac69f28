"""One side of the consensus benchmark: SIDE VOTES ITERATIONS OURS; prints what the method itself took.

`make` writes the votes: 1 M labels, 10 on each of 100,000 tasks, of 1,000 people between careful and careless, 5 labels.
Each side runs the same number of turns from the same beginning (the shares of votes). `crowd_kit` also prints how far its
probabilities are from those that `dataplat` wrote into the file OURS.
"""

import json
import sys
import time

import numpy as np

LABELS, EACH, PEOPLE = 5, 10, 1000


def make(votes, labels):
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)
    tasks = int(labels) // EACH
    truth = draw.choice(LABELS, tasks, p=[0.4, 0.25, 0.15, 0.12, 0.08])
    confusions = np.array(
        [draw.dirichlet(np.ones(LABELS) + np.eye(LABELS)[true] * 8, PEOPLE) for true in range(LABELS)]
    )
    task = np.repeat(np.arange(tasks), EACH)
    person = (draw.integers(0, PEOPLE, tasks)[:, None] + np.arange(EACH) * 97) % PEOPLE  # ten different ones
    chances = confusions[truth[task], person.ravel()].cumsum(axis=1)
    said = (chances < draw.random(len(task))[:, None]).sum(axis=1).clip(max=LABELS - 1)
    order = draw.permutation(len(task))
    table = {
        "task": [f"{number:032x}" for number in task[order]],
        "annotator": [f"person {number}" for number in person.ravel()[order]],
        "label": [f"label {number}" for number in said[order]],
    }
    pq.write_table(pa.table(table), votes)


def dataplat(votes, iterations, ours):
    import pyarrow.parquet as pq

    from dataplat.labeling.consensus import consensus

    table = pq.read_table(votes)
    consensus(table.slice(0, 100), "dawid-skene", iterations=1)

    def run():
        found = consensus(table, "dawid-skene", iterations=iterations, tolerance=0)
        return lambda: np.save(ours, found.probabilities)

    return run


def converged(votes, *_):
    import pyarrow.parquet as pq

    from dataplat.labeling.consensus import consensus

    table = pq.read_table(votes)

    def run():
        found = consensus(table, "dawid-skene")
        return lambda: {"turns": found.iterations}

    return run


def crowd_kit(votes, iterations, ours):
    import pandas as pd
    from crowdkit.aggregation.classification.dawid_skene import DawidSkene

    frame = pd.read_parquet(votes).rename(columns={"annotator": "worker"}).astype(object)

    def run():
        found = DawidSkene(n_iter=iterations, tol=-np.inf).fit_predict_proba(frame).sort_index()
        found = found[sorted(found.columns)].to_numpy()
        return lambda: {"difference": float(np.abs(found - np.load(ours)).max())}

    return run


SIDES = {"dataplat": dataplat, "converged": converged, "crowd_kit": crowd_kit}

if __name__ == "__main__":
    side, *given = sys.argv[1:]
    if side == "make":
        make(*given)
        sys.exit()
    votes, iterations, ours = given
    run = SIDES[side](votes, int(iterations), ours)
    wall, cpu = time.perf_counter(), time.process_time()
    after = run()
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps(figures | (after() or {})))
