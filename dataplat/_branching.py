"""The part of `Lake` about branches and tags: made, brought together, and held to contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dataplat.versioning.lakefile import MAIN
from dataplat.versioning.names import without_space

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dataplat._lake import Lake
    from dataplat._merge import MergeResult
    from dataplat._protect import Protection
    from dataplat.lake.objects import Objects
    from dataplat.versioning.merge import Policy
    from dataplat.versioning.refs import Record, Refs, Tag


class Branching:
    """Methods of `Lake`."""

    refs: Refs
    objects: Objects

    def branch(self, name: str, from_: str = MAIN) -> Record:
        """Create a branch of the whole lake at a reference; no data is copied."""
        from dataplat.versioning.references import resolve_commit

        return self.refs.create_branch(without_space(name, "branch"), resolve_commit(self.refs, self.objects, from_))

    def branches(self) -> list[Record]:
        """Return the heads of all branches, in order of name."""
        return self.refs.branches()

    def delete_branch(self, name: str) -> None:
        """Delete a branch; raise `ConfigError` for `main`, `BranchProtected` for one that is held to a contract."""
        from dataplat._changes import delete_branch

        delete_branch(cast("Lake", self), name)

    def tag(self, name: str, ref: str = MAIN, *, message: str = "", keep: str = "") -> Tag:
        """Give the commit that a reference names a name that never moves.

        With `keep` ("30d") it keeps the versions of that commit from being collected only for so long.
        """
        from dataplat.versioning.gc._retention import span
        from dataplat.versioning.references import resolve_commit

        expires = self.refs.now() + span(keep) if keep else 0
        commit = resolve_commit(self.refs, self.objects, ref)
        return self.refs.create_tag(without_space(name, "tag"), commit.id, message=message, expires=expires)

    def tags(self) -> list[Tag]:
        """Return all tags, in order of name."""
        return self.refs.tags()

    def merge(
        self,
        reference: str,
        into: str = MAIN,
        dataset: str | Sequence[str] | None = None,
        policy: Policy | None = None,
        resolve: Any = None,
        message: str = "",
        *,
        contract: Any = None,
    ) -> MergeResult:
        """Bring what another branch (or commit) has into the branch `into`, by rows and columns, in one commit.

        What one side changed is taken; what both changed otherwise is a conflict. *Ours* is the branch `into`.

        Args:
            reference: A branch, `@tag`, `exp~2`, `id:…` or date.
            into: The branch that moves.
            dataset: Merge only these; the other branch does not become a parent.
            policy: What settles conflicts: "ours", "theirs", or "newest" (the side that touched it last).
            resolve: The table of conflicts (Arrow, a frame, or a CSV, JSON or Parquet file) with its column
                `resolution` filled: ours, theirs, base or value:<JSON>.
            message: For the log.
            contract: What the merged dataset has to meet, before the branch moves; of several datasets, one by name.

        Raises:
            MergeConflict: Something is left that nothing settles; nothing moved. `.conflicts` is the table.
            ContractFailed: A dataset would not meet its contract; nothing moved.
            ConfigError: A resolution settles what is no conflict, or cannot be read.
        """
        from dataplat._merge import merge

        return merge(cast("Lake", self), reference, into, dataset, policy, resolve, message, contract=contract)

    def plan_merge(
        self,
        reference: str,
        into: str = MAIN,
        dataset: str | Sequence[str] | None = None,
        policy: Policy | None = None,
        resolve: Any = None,
        *,
        contract: Any = None,
    ) -> MergeResult:
        """Return what `merge` with the same arguments would do, with all conflicts, and touch nothing."""
        from dataplat._merge import merge

        return merge(cast("Lake", self), reference, into, dataset, policy, resolve, "", contract=contract, dry=True)

    def cherry_pick(
        self, commit: str, onto: str = MAIN, policy: Policy | None = None, resolve: Any = None, message: str = ""
    ) -> MergeResult:
        """Do on the branch `onto` what one commit (`exp`, `exp~1`, `id:…`) did to its datasets."""
        from dataplat._merge import cherry_pick

        return cherry_pick(cast("Lake", self), commit, onto, policy, resolve, message)

    def revert(
        self, commit: str, on: str = MAIN, policy: Policy | None = None, resolve: Any = None, message: str = ""
    ) -> MergeResult:
        """Undo on the branch `on` what one commit did to its datasets, and keep what came since."""
        from dataplat._merge import revert

        return revert(cast("Lake", self), commit, on, policy, resolve, message)

    def protect(self, branch: str, contract: str | Path, dataset: str | None = None) -> Protection:
        """Hold a dataset of a branch (its only one, unless named) to the contract `"FILE:NAME"`, whoever writes.

        Raises:
            ContractFailed: The dataset does not meet it as it is.
            ContractError: It cannot be loaded from the text of its file alone.
        """
        from dataplat._protect import protect

        return protect(cast("Lake", self), branch, contract, dataset)

    def unprotect(self, branch: str, dataset: str | None = None) -> list[Protection]:
        """Lift what a branch is held to, of one dataset or of all; raise `ConfigError` where there is nothing."""
        from dataplat._protect import unprotect

        return unprotect(cast("Lake", self), branch, dataset)
