"""The part of `Lake` that holds branches to contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat._lake import Lake
    from dataplat._protect import Protection


class Guarding:
    """Methods of `Lake`."""

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
