"""Compactions of simulated histories: which parts of a version become which others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dataplat.errors import CommitConflict
from dataplat.testing._history_rows import JsonCodec, stage_part
from dataplat.versioning.compact import Rewrite, Run, Target, edit_of, plan_runs, spread, used_places
from dataplat.versioning.compact._plan import runs_of
from dataplat.versioning.rebase import PlannedChange

if TYPE_CHECKING:
    from random import Random

    from dataplat.testing._history_plans import Held, Planner
    from dataplat.versioning.manifest import Manifest


def plan_compaction(planner: Planner, dataset: str, base: Manifest, rng: Random) -> PlannedChange:
    """Plan to rewrite runs of parts: those that are worth it by some size, or just any.

    Raises:
        CommitConflict: There is nothing to rewrite.
    """
    held = planner.held(base)
    target = Target(nbytes=1 << 30, rows=rng.choice((4, 12, 64)))
    rewrites = tuple(_rewrites(planner, base, held, _runs(base, [part for part, _, _ in held], target, rng), target))
    if not rewrites:
        raise CommitConflict(f"there is nothing to compact in {dataset}")
    return PlannedChange(
        dataset=dataset,
        mode="compact",
        base_version=base.id,
        edit=edit_of(rewrites, base.digest),
        rewrites=rewrites,
        codec=JsonCodec(planner.stage, planner.read),
    )


def _runs(base: Manifest, parts: Sequence[object], target: Target, rng: Random) -> list[Run]:
    worth = plan_runs(base.parts(), base.root.next, target)
    if worth or not parts:
        return worth
    start = rng.randrange(len(parts))
    return runs_of(base.parts(), base.root.next, [(start, min(len(parts), start + rng.randint(1, 4)))])


def _rewrites(
    planner: Planner, base: Manifest, held: Sequence[Held], runs: Sequence[Run], target: Target
) -> Iterator[Rewrite]:
    rows_of = {part.place: [row for _, row in rows] for part, _, rows in held}
    for run in runs:
        rows = [row for part in run.parts for row in rows_of[part.place]]
        outputs = [stage_part(planner.stage, rows[at : at + target.rows]) for at in range(0, len(rows), target.rows)]
        first = run.parts[0].place
        places = spread(first, run.end, len(outputs), used_places(base, first, run.end)) if outputs else []
        if places is not None:
            placed = tuple(replace(part, place=place) for part, place in zip(outputs, places, strict=True))
            yield Rewrite(run.parts, placed, run.end)
