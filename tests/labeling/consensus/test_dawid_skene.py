"""Dawid and Skene's method gives what crowd-kit gives, finds who errs how, and is no slower for it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import LabelError
from dataplat.labeling.consensus import consensus
from dataplat.labeling.consensus import dawid_skene as method
from dataplat.labeling.consensus._coded import coded
from dataplat.labeling.consensus.dawid_skene import dawid_skene

VECTOR = json.loads(Path(__file__).with_name("crowd_kit.json").read_text("utf-8"))


def simulated(truth, confusions, *, each=None, seed=0):
    """Return votes of annotators who, of a true label, give the others by their confusion (truth × label)."""
    draw = np.random.default_rng(seed)
    rows = []
    for who, confusion in enumerate(confusions):
        said = (np.cumsum(confusion, axis=1)[truth] < draw.random(len(truth))[:, None]).sum(axis=1)
        asked = np.arange(len(truth)) if each is None else np.flatnonzero(draw.random(len(truth)) < each)
        rows += [(f"t{n:05d}", f"w{who}", int(said[n])) for n in asked]
    return pa.table({name: [row[n] for row in rows] for n, name in enumerate(["task", "annotator", "label"])})


def of_skill(skill, labels):
    """Return the confusion of somebody who is right with that chance, and else says any other label."""
    return np.where(np.eye(labels, dtype=bool), skill, (1 - skill) / (labels - 1))


@pytest.mark.parametrize("case", VECTOR["cases"], ids=lambda case: f"{case['iterations']}-{case['truth'] is not None}")
def test_it_is_crowd_kits(case):
    """Probabilities, priors and confusions are those of crowd-kit to 1e-9 after as many iterations, with gold and without."""
    votes = pa.table(list(map(list, zip(*VECTOR["votes"], strict=True))), names=["task", "annotator", "label"])
    every = coded(votes)
    model = dawid_skene(every, every.known(case["truth"]), iterations=case["iterations"], tolerance=0)
    assert model.iterations == case["iterations"]
    assert np.abs(model.chances.T - case["probabilities"]).max() < 1e-9
    assert np.abs(model.prior - case["priors"]).max() < 1e-9
    found = consensus(votes, "dawid-skene", truth=case["truth"], iterations=case["iterations"], tolerance=0)
    errors = {(row["annotator"], row["label"], row["truth"]): row["probability"] for row in found.confusion.to_pylist()}
    for cell, row in case["errors"].items():
        for truth, probability in zip(VECTOR["labels"], row, strict=True):
            assert errors[(*cell.split("/"), truth)] == pytest.approx(probability, abs=1e-9)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # crowd-kit 1.4 with pandas 3.1
@pytest.mark.filterwarnings("ignore:The copy keyword")
def test_it_is_crowd_kits_where_that_is_installed():
    """Of other votes, too, drawn anew: 1,000 tasks, 5 labels, 20 people."""
    peer = pytest.importorskip("crowdkit.aggregation.classification.dawid_skene", reason="crowd-kit is a peer only")
    truth = np.random.default_rng(1).integers(0, 5, 1000)
    votes = simulated(truth, [of_skill(0.3 + 0.03 * n, 5) for n in range(20)], each=0.3)
    theirs = peer.DawidSkene(n_iter=15, tol=-np.inf).fit_predict_proba(
        votes.to_pandas().rename(columns={"annotator": "worker"})
    )
    ours = consensus(votes, "dawid-skene", iterations=15, tolerance=0).probabilities
    assert np.abs(ours - theirs.sort_index()[list(range(5))].to_numpy()).max() < 1e-6


def test_spammers_come_to_count_nothing():
    """With most people answering at random or always the same the few good ones are found; majority follows the rest."""
    truth = np.random.default_rng(2).integers(0, 4, 600)
    always = np.zeros((4, 4))
    always[:, 2] = 1
    votes = simulated(truth, [of_skill(0.9, 4)] * 3 + [of_skill(0.25, 4)] * 4 + [always] * 2)
    right = {}
    for name in ("majority", "dawid-skene"):
        found = consensus(votes, name)
        right[name] = (found.table["label"].to_numpy() == truth).mean()
    assert right["dawid-skene"] > 0.95 > right["majority"] + 0.1
    accuracy = dict(zip(*(found.annotators[name].to_pylist() for name in ("annotator", "accuracy")), strict=True))
    assert min(accuracy[f"w{n}"] for n in range(3)) > 0.85
    assert max(accuracy[f"w{n}"] for n in range(3, 9)) < 0.4


def test_one_who_swaps_two_labels_is_understood():
    """The confusion says who means what; their votes then count for what is meant."""
    truth = np.random.default_rng(3).integers(0, 3, 500)
    swap = of_skill(0.95, 3)[[1, 0, 2]]
    found = consensus(simulated(truth, [of_skill(0.7, 3)] * 4 + [swap]), "dawid-skene")
    assert (found.table["label"].to_numpy() == truth).mean() > 0.93
    swapped = {
        (row["truth"], row["label"]): row["probability"]
        for row in found.confusion.to_pylist()
        if row["annotator"] == "w4"
    }
    assert swapped[0, 1] > 0.85
    assert swapped[1, 0] > 0.85
    assert swapped[2, 2] > 0.85
    for true in range(3):
        assert sum(probability for (row, _), probability in swapped.items() if row == true) == pytest.approx(1)


def test_gold_helps_the_others():
    """Known tasks say who is right where the votes alone would be believed the wrong way round."""
    truth = np.random.default_rng(4).integers(0, 2, 400)
    votes = simulated(truth, [of_skill(0.9, 2)] * 2 + [of_skill(0.2, 2)] * 3)
    known = {f"t{n:05d}": int(truth[n]) for n in range(40)}
    alone = consensus(votes, "dawid-skene").table["label"].to_numpy()[40:]
    taught = consensus(votes, "dawid-skene", truth=known).table["label"].to_numpy()[40:]
    assert (alone == truth[40:]).mean() < 0.2
    assert (taught == truth[40:]).mean() > 0.9


def test_it_ends_when_nothing_is_gained():
    """The likelihood only rises, and turns end where the next adds less than the tolerance, else at the limit."""
    truth = np.random.default_rng(5).integers(0, 3, 300)
    votes = coded(simulated(truth, [of_skill(0.7, 3)] * 5))
    model = dawid_skene(votes, iterations=200)
    assert model.converged
    assert model.iterations < 200
    assert (np.diff(model.likelihoods) > -1e-9).all()
    assert not dawid_skene(votes, iterations=2).converged


def test_smoothing_helps_where_people_answered_little():
    """Answers borrowed from all people together bring small sets nearer to the truth, summed over ten of them."""
    right = {0: 0.0, 3: 0.0}
    for seed in range(10):
        truth = np.random.default_rng(seed).integers(0, 10, 100)
        votes = simulated(truth, [of_skill(0.5 + 0.015 * n, 10) for n in range(30)], each=0.1, seed=seed)
        for smoothing in right:
            table = consensus(votes, "dawid-skene", smoothing=smoothing).table
            asked = [int(task[1:]) for task in table["task"].to_pylist()]
            right[smoothing] += (table["label"].to_numpy() == truth[asked]).mean()
    assert right[3] > right[0] + 0.3


def test_too_many_labels_are_refused_before_memory_ends(monkeypatch):
    """Free texts are no labels: the error says how many there are and what to do."""
    monkeypatch.setattr(method, "MOST", 100)
    votes = pa.table(
        {"task": [str(n) for n in range(20)], "annotator": ["x"] * 20, "label": [str(n) for n in range(20)]}
    )
    with pytest.raises(LabelError, match="20 labels of 20 tasks are too many for dawid-skene: take majority"):
        consensus(votes, "dawid-skene")
    assert consensus(votes).table.num_rows == 20
