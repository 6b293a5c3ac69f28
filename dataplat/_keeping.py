"""The part of `Lake` that says what is kept, what needs which bytes, and that deletes the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataplat._collect import GcPlan, GcResult
    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.versioning.gc.du import Use
    from dataplat.versioning.refs import Record


class Keeping:
    """Methods of `Lake`."""

    def du(self, dataset: str | None = None, *, progress: Listener | None = None) -> Use:
        """Return how many bytes each dataset and version needs, how many nobody else needs, and what nothing needs."""
        from dataplat._collect import du

        return du(cast("Lake", self), dataset, progress)

    def keep(self, branch: str, rule: str) -> Record:
        """Say what collections keep of a branch: "all", "30d" (younger), "10" (newest of each dataset), "30d,10" (either).

        The newest version of each dataset always stays, and so does what a tag names, or a merge of two branches begins with.
        """
        from dataplat._collect import keep

        return keep(cast("Lake", self), branch, rule)

    def plan_gc(
        self,
        keep: str | None = None,
        *,
        grace: str = "1h",
        explain: bool = False,
        progress: Listener | None = None,
    ) -> GcPlan:
        """Return what `gc` with the same arguments would delete, and touch nothing."""
        from dataplat._collect import plan_gc

        return plan_gc(cast("Lake", self), keep, grace, progress, explain=explain)

    def gc(
        self,
        keep: str | None = None,
        *,
        grace: str = "1h",
        explain: bool = False,
        planned: Callable[[GcPlan], object] | None = None,
        progress: Listener | None = None,
    ) -> GcResult:
        """Delete what no branch, tag, rule or lease needs; others may write and read meanwhile.

        Args:
            keep: The rule ("30d", "10", "30d,10") of branches that have none of their own; without it they keep all.
            grace: Leave alone what is younger ("1h", "0s"): it saves writers of this moment from writing twice.
            explain: Compute for each version which bytes only it needs.
            planned: Called with the plan before anything is deleted.
            progress: Called a few times a second.

        Raises:
            CommitConflict: A later collection took over; this one deleted nothing.
            IntegrityError: What has to stay cannot be read; nothing was deleted.
        """
        from dataplat._collect import gc

        return gc(cast("Lake", self), keep, grace, progress, explain=explain, planned=planned)
