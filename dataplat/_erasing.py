"""The part of `Lake` that erases rows from the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from dataplat._erase import ErasePlan, EraseResult
    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener


class Erasing:
    """Methods of `Lake`."""

    def erase(
        self,
        dataset: str,
        where: str | pl.Expr,
        reason: str,
        *,
        also: Sequence[str] = (),
        rejects: bool = True,
        planned: Callable[[ErasePlan], object] | None = None,
        progress: Listener | None = None,
    ) -> EraseResult:
        """Erase rows from every version of a dataset, on all branches, so that nothing stored holds them any more.

        All versions, tags and references stay, without these rows, and the rows do not come in again. An erase that was
        stopped goes on when the same is called again. What cannot be erased from here is in the result's notes.

        Args:
            dataset: Its name; it is followed through renames.
            where: SQL text or a Polars expression. Of `user_id = 42` only a digest of the value is kept.
            reason: For the log.
            also: Datasets that have the very same versions, and are to be erased with it.
            rejects: Erase records of its rejects, too: those that have such a value in them, or, where the
                condition is no matter of equal values, all.
            planned: Called with the plan before anything is touched; it may raise.
            progress: Called a few times a second.

        Raises:
            PredicateError: The condition does not fit the dataset. Nothing was touched.
            ConfigError: No reason is given, or others have the very same versions.
            CommitConflict: Branches moved all the time; call it again.
        """
        from dataplat._erase import erase

        return erase(cast("Lake", self), dataset, where, reason, also, progress, rejects=rejects, planned=planned)

    def plan_erase(
        self,
        dataset: str,
        where: str | pl.Expr,
        *,
        also: Sequence[str] = (),
        rejects: bool = True,
        progress: Listener | None = None,
    ) -> ErasePlan:
        """Return what `erase` with the same arguments would do, and touch nothing."""
        from dataplat._erase import plan_erase

        return plan_erase(cast("Lake", self), dataset, where, also, progress, rejects=rejects)
