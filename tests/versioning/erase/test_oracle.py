"""Erasing from random pasts: every name leads to its old rows without those that match, and nothing holds them.

`DATAPLAT_ERASE_CASES` sets how many (60 in `make test`).
"""

from __future__ import annotations

import os

import pyarrow as pa
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from dataplat.errors import DataplatError

from .world import JO, TOKEN, leaks, new_store, open_on, picture, rows, without  # noqa: TID252

CASES = int(os.environ.get("DATAPLAT_ERASE_CASES", "60"))

IDS = st.lists(st.sampled_from([1, 2, 3, 4, JO]), min_size=1, max_size=3, unique=True)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["append", "upsert", "replace"]), st.sampled_from(["main", "exp"]), IDS),
    st.tuples(st.just("delete"), st.sampled_from(["main", "exp"]), IDS),
    st.tuples(
        st.sampled_from(["compact", "widen", "rename column", "tag", "branch", "merge", "rename", "rollback", "drop"]),
        st.sampled_from(["main", "exp"]),
        IDS,
    ),
)


def take(lake, step, at):  # noqa: C901  (one line for each step)
    """Do one step; one that cannot be done there is left out."""
    what, branch, ids = step
    names = [info.name for info in lake.datasets(branch)] if branch in {h.branch for h in lake.branches()} else []
    name = names[0] if names else "people"
    columns = lake.version(name, branch).schema.names if names else ["id", "name"]
    batch = rows(*ids, text=f"t{at}")
    batch = batch.rename_columns(columns[:2])
    for extra in columns[2:]:
        batch = batch.append_column(extra, pa.nulls(len(batch), pa.int64()))
    match what:
        case "append" | "upsert" | "replace":
            lake.ingest(batch, name, mode=what, branch=branch, key=None if names else columns[0])
        case "delete":
            lake.delete(name, f"{columns[0]} in ({', '.join(map(str, ids))})", branch=branch)
        case "compact":
            lake.compact(name, branch=branch)
        case "widen":
            lake.evolve(name, branch=branch, add={f"more{at}": "int64"})
        case "rename column":
            lake.evolve(name, branch=branch, rename={columns[1]: f"called{at}"})
        case "tag":
            lake.tag(f"v{at}", branch)
        case "branch":
            lake.branch("exp")
        case "merge":
            lake.merge("exp", policy="theirs")
        case "rename":
            lake.rename(name, f"people{at}", branch=branch)
        case "rollback":
            lake.rollback(f"{name}@{branch}~1", branch=branch)
        case "drop":
            lake.drop(name, branch=branch)


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=2, max_size=9))
def test_every_name_leads_to_the_other_rows_and_nothing_holds_the_rest(steps):
    """Whatever was done: names, rows, verify, the store's bytes, and that nothing is left to collect."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people", key="id")
    for at, step in enumerate(steps):
        try:
            take(lake, step, at)
        except (DataplatError, ValueError) as error:
            note(f"{step}: {type(error).__name__}")
    before = picture(store)
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    after = picture(store)
    names = {ref.partition("@")[0] for ref in before}
    assert {ref: after.get(ref) for ref in before} == without(before, names)
    assert not leaks(store, TOKEN)
    report = open_on(store).verify()
    assert (report.problems, report.warnings, report.orphans) == ([], [], 0)
    assert open_on(store).gc(grace="0s").done.objects == 0
