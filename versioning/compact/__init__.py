"""Compaction: which parts are worth rewriting, where new ones go, and how the change follows a branch that moved.

Everything here is a function of values; `modes.compact` reads and writes the rows. Who has rows of another kind, as
the simulator does, plans by hand: adjacent parts of a version as `Rewrite.inputs`, parts with their live rows in the
same order, at places from `spread`, as `outputs`, and `PlannedChange(mode="compact", edit=edit_of(rewrites, digest),
rewrites=rewrites, codec=…)` with a `DeletesCodec` of its own. The codec is needed on its other changes, too: they are
carried past compactions with it.
"""

from __future__ import annotations

from dataplat.versioning.compact._across import across, moved_by
from dataplat.versioning.compact._places import spread, used_places
from dataplat.versioning.compact._plan import Run, Target, live_bytes, plan_runs
from dataplat.versioning.compact._rebase import edit_of, rebased
from dataplat.versioning.compact._rewrite import DeletesCodec, Rewrite
from dataplat.versioning.compact._tail import is_due, plan_tail, tail_parts

__all__ = [
    "DeletesCodec",
    "Rewrite",
    "Run",
    "Target",
    "across",
    "edit_of",
    "is_due",
    "live_bytes",
    "moved_by",
    "plan_runs",
    "plan_tail",
    "rebased",
    "spread",
    "tail_parts",
    "used_places",
]
