"""Simulated histories: none of them breaks an invariant, and each planted bug does in few of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext, suppress

import pytest

from dataplat.errors import ObjectExists, StoreError, StoreTimeout
from dataplat.lake.objects import Stage, object_key
from dataplat.testing import _history_bases, histories
from dataplat.testing.histories import failures, run_history
from dataplat.testing.simulator import Faults
from dataplat.versioning import publish, rebase, refs
from dataplat.versioning.gc import _condemned, _fence, _leases, collect, guard
from dataplat.versioning.rebase import MergedDeletes

HISTORIES = 2_000  # more by hand: python -m dataplat.testing.histories 20000
BLOCK = 100


@pytest.fixture(autouse=True)
def fresh_ground():
    """Remember nothing that a planted bug made: what histories begin with is made once a process."""
    histories._ground.cache_clear()
    yield
    histories._ground.cache_clear()


@pytest.mark.parametrize("first", range(0, HISTORIES, BLOCK))
def test_no_history_breaks_an_invariant(first):
    """Nothing is lost or doubled, refs are one line, rows, digests and positions are a plain dict's."""
    assert [str(failure) for failure in failures(range(first, first + BLOCK))] == []


def test_seed_replays_a_history_exactly():
    """Every call of every writer, with its outcome and a checksum of its bytes, comes again in the same order."""
    assert all(
        run_history(seed).simulator.fingerprint() == run_history(seed).simulator.fingerprint() for seed in range(9)
    )


def test_what_is_remembered_changes_nothing(monkeypatch):
    """Histories whose decoders remember are, call by call, those of decoders that do not, and so are the verdicts."""
    seeds = range(40)
    remembered = [run_history(seed).simulator.fingerprint() for seed in seeds]
    monkeypatch.setattr(histories, "remembering", nullcontext)
    assert [run_history(seed).simulator.fingerprint() for seed in seeds] == remembered
    assert list(failures(seeds)) == []


def test_seed_is_the_same_history_in_another_process():
    """However strings hash there, and so in whichever order sets are: what a run of many finds can be replayed."""
    program = (
        "from dataplat.testing.histories import run_history\n"
        f"for seed in range(20): print(run_history(seed, weights={COLLECTING}).simulator.fingerprint())"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashing in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(told[0].split()) == 20


def test_histories_reach_what_they_are_for():
    """Every kind of operation succeeds, is refused, and dies somewhere; some end in doubt; rebases happen."""
    ends = Counter()
    for seed in range(600):
        ends.update((attempt.kind, attempt.outcome) for attempt in run_history(seed).attempts)
    assert {kind for kind, outcome in ends if outcome == "done"} == set(histories.WEIGHTS)
    assert {kind for kind, outcome in ends if outcome == "died"} >= {"append", "upsert", "ingest", "delete", "replace"}
    assert sum(count for (_, outcome), count in ends.items() if outcome == "in doubt") > 0


def test_branches_that_merge_each_other_all_the_time_hold_what_plain_rows_do(monkeypatch):
    """Merges race in both directions, so that several ancestors are lowest: rows are those of a recursion on dicts."""
    weights = {"upsert": 8, "append": 4, "insert": 4, "delete": 5, "merge": 14, "rename": 1, "drop": 1, "ingest": 4}
    script = histories.Script
    monkeypatch.setattr(
        histories, "Script", lambda **given: script(**given | {"operations": 14, "branches": histories.BRANCHES})
    )
    merged = Counter()
    of = _history_bases.BaseModels._merged

    def counted(self, *args):
        merged["bases"] += 1
        return of(self, *args)

    monkeypatch.setattr(_history_bases.BaseModels, "_merged", counted)
    for seed in range(12):
        run_history(seed, faults=Faults.none(), weights=weights).check()
    assert merged["bases"] > 0


def test_without_faults_nobody_is_refused_without_reason():
    """Where nothing fails, no operation ends in doubt and no writer dies."""
    outcomes = Counter()
    for seed in range(20):
        run = run_history(seed, faults=Faults.none())
        run.check()
        outcomes.update(attempt.outcome for attempt in run.attempts)
    assert set(outcomes) == {"done", "refused"}


# ------------------------------------------------------------------------------------------------- planted bugs


def overwrite(store, key, data, patience):
    """Publish by last-writer-wins."""
    with suppress(StoreError):
        store.delete(key)
        store.create(key, data)
    return True


def take_silence_for_no(store, key, data, patience):
    """Take a time-out for a request that never landed, and try the next number."""
    try:
        store.create(key, data)
    except (ObjectExists, StoreTimeout):
        return False
    return True


def never_read_back(store, key, data, patience):
    """Send again after a time-out, but take our own earlier request for somebody else's."""
    for _ in range(patience.attempts):
        try:
            store.create(key, data)
        except ObjectExists:
            return False
        except StoreTimeout:
            continue
        return True
    return False


def keep_only_ours(change, part, ours, theirs):
    """Forget what the other writer deleted of a part."""
    return MergedDeletes(ours, dict(change.edit.deletes)[part.place][1], 0)


def same_number_again(self, branch, expected, commit, **options):
    """Publish onto the newest record, whichever it is, instead of the one that the commit was made on."""
    return original_publish(self, branch, self._newest(branch), commit, **options)


original_publish = refs.Refs.publish


def every_candidate(self, candidates, now):
    """Delete all candidates without a second look."""
    return [info.key for info in candidates], {}


def renew_in_place(self, object_id, suffix, token):
    """Write what is being collected under the key that is being collected."""
    with suppress(ObjectExists):
        self.store.create(object_key(object_id, suffix), self.read(object_id, suffix))


def only_those_under_way(self, head):
    """Look only at collections that are not over, not at those that came and went since the flush."""
    return sorted(head.settings.get("gc", ()))


COLLECTING = {
    "gc": 8, "again": 6, "slow": 3, "delete": 4, "append": 2, "upsert": 2, "rollback": 3, "branch": 2, "unbranch": 2,
    "tag": 2, "read": 2, "drop": 1, "ingest": 1,
}  # fmt: skip

COLLECTORS_BUGS = {
    "no second look": (collect._Collection, "_second_look", every_candidate),
    "no fence": (_fence, "fence", lambda *_: None),
    "candidates not looked at by writers": (guard.Guard, "check", lambda *_: None),
    "a condemned key taken again": (Stage, "renew", renew_in_place),
    "a condemned key relied on": (_condemned.Condemned, "spared", lambda _, name, __: object_key(*name)),
    "leases not looked at": (_leases.Held, "pins", lambda *_: False),
    "a branch or tag that does not look at collections": (refs, "check_pinned", lambda *_, **__: {}),
    "a collection that came and went not noticed": (guard.Guard, "_numbers", only_those_under_way),
}


PINNING = {
    "a branch or tag that does not look at collections": {"branch": 6, "tag": 6, "read": 0, "upsert": 0, "ingest": 0}
}
"""Bugs that show only where certain operations meet."""

SEEN = {
    "a condemned key taken again": [50],
    "leases not looked at": [140],
    "a collection that came and went not noticed": [31],
    "positions not checked": [158],
    "keys not compared": [43],
    "a condition not tried on new rows": [39],
    "a rollback not noticed": [111],
}
"""Histories that found a bug late among all, and are asked first; where they do no more, the others are."""


@pytest.mark.parametrize("bug", COLLECTORS_BUGS)
def test_simulator_finds_bug_planted_in_collections(bug, monkeypatch):
    """The bug is found within 200 histories in which much is collected."""
    owner, name, mutant = COLLECTORS_BUGS[bug]
    monkeypatch.setattr(owner, name, mutant)
    assert (
        next(failures([*SEEN.get(bug, ()), *range(200)], weights=COLLECTING | PINNING.get(bug, {})), None) is not None
    )


def test_collections_meet_everything():
    """In histories of collections objects are deleted, written as generations, and requests land late."""
    seen = Counter()
    for seed in range(60):
        run = run_history(seed, weights=COLLECTING)
        for event in run.simulator.trace:
            seen["generation"] += event.operation == "create" and "~" in event.key and "objects/" in event.key
            seen["deleted"] += event.operation == "delete" and event.key.startswith("objects/")
            seen["late"] += event.operation == "delete" and event.outcome.startswith("late")
        run.check()
    assert min(seen[name] for name in ("generation", "deleted", "late")) > 0


BUGS = {
    "publishing by overwriting": (refs, "settle", overwrite),
    "a time-out taken for a no": (refs, "settle", take_silence_for_no),
    "an own late request taken for a rival's": (refs, "settle", never_read_back),
    "publishing behind a head never seen": (refs.Refs, "publish", same_number_again),
    "positions not checked": (publish, "check_positions", lambda *_: None),
    "keys not compared": (rebase, "_check_keys", lambda *_: None),
    "a condition not tried on new rows": (rebase, "_check_where", lambda *_: None),
    "deletes not united": (rebase, "_union", keep_only_ours),
    "a rollback not noticed": (publish, "_MONOTONE", publish._MONOTONE | {"rollback"}),
    "a record before its objects": (Stage, "flush", lambda self: 0),
}


FOCUS = {"a rollback not noticed": {"upsert": 3, "delete": 2, "rollback": 3}}
"""Bugs that show only where certain operations meet, which is rare among all others."""


@pytest.mark.parametrize("bug", BUGS)
def test_simulator_finds_planted_bug(bug, monkeypatch):
    """The bug is found within 500 histories (most within ten)."""
    owner, name, mutant = BUGS[bug]
    monkeypatch.setattr(owner, name, mutant)
    assert next(failures([*SEEN.get(bug, ()), *range(500)], weights=FOCUS.get(bug)), None) is not None


def test_command_says_which_seed_failed_and_how_to_replay_it(monkeypatch, capsys):
    """A failing seed is printed with the command that replays it, and the exit code is 1."""
    monkeypatch.setattr(publish, "check_positions", lambda *_: None)
    failing = next(failures(range(500))).seed
    assert histories.main(["1", "--seed", str(failing)]) == 1
    printed = capsys.readouterr().out
    assert f"seed {failing}: Broken" in printed
    assert f"python -m dataplat.testing.histories 1 --seed {failing} --story" in printed


def test_command_counts_histories_a_second(capsys):
    """A run that finds nothing says how many histories it ran, and how fast."""
    assert histories.main(["3"]) == 0
    assert "3 histories in" in capsys.readouterr().out
    assert histories.main(["1", "--story"]) == 0
    assert "every invariant holds" in capsys.readouterr().out
