"""What a branch is held to: contracts that its own log names, by dataset, asked of every commit before it lands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from dataplat.errors import BranchProtected
from dataplat.versioning.commit import Check, StateOf
from dataplat.versioning.refs import Record
from dataplat.versioning.suppression import list_objects

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.rebase import PlannedChange

CONTRACTS: Final = "contracts"
"""The branch setting: by dataset, {"name", "source": object id of the file's text (`.bin`), "file", "id", "version"}."""

_SAME_ROWS: Final = frozenset({"compact", "describe", "erase"})
"""Modes that change no row, so that a contract which held still does; and an erase, which nothing may hold up."""


class Gate(Protocol):
    """Asks the contract that a branch holds a dataset to, whoever writes."""

    def check(
        self,
        head: Record,
        dataset: str,
        before: Manifest | None,
        after: Manifest | None,
        change: PlannedChange,
        objects: Objects,
        state_of: StateOf,
    ) -> Sequence[Check]:
        """Return the outcomes for `after`, which the dataset would be; `objects` sees what is staged.

        `state_of` says where other datasets would stand.

        `change.checks` are those that its writer evaluated for exactly this `after`.

        Raises:
            ContractFailed: It does not meet the contract.
            ContractError: The contract could not be asked: then nothing lands either.
        """
        ...


def contracts_of(head: Record) -> Mapping[str, Mapping[str, Any]]:
    """Return the contracts that the branch is held to, by dataset."""
    found: Mapping[str, Mapping[str, Any]] = head.settings.get(CONTRACTS, {})
    return found


def refuse_protected(head: Record, dataset: str, what: str) -> None:
    """Raise `BranchProtected` if the branch holds `dataset` to a contract, and `what` would take it away."""
    held = contracts_of(head).get(dataset)
    if held is not None:
        raise BranchProtected(
            f"branch {head.branch!r} holds dataset {dataset!r} to contract {held['name']}, so it cannot be {what}. "
            f"Nothing was committed. Lift that first: dataplat version branch unprotect {head.branch} --dataset {dataset}"
        )


def pass_gate(
    gate: Gate | None,
    head: Record,
    dataset: str,
    before: Manifest | None,
    after: Manifest | None,
    change: PlannedChange,
    objects: Objects,
    state_of: StateOf,
) -> Sequence[Check]:
    """Return what the contract of `dataset` on this branch says of `after`; nothing where it has none.

    Raises:
        BranchProtected: The dataset would be gone, or nobody is there to ask the contract.
        ContractFailed, ContractError: See `Gate.check`.
    """
    held = contracts_of(head).get(dataset)
    if held is None or change.mode in _SAME_ROWS:
        return ()
    if after is None:
        refuse_protected(head, dataset, "dropped")
    elif before is not None and before.id == after.id:
        return ()  # it stood on this branch, so it met the contract
    if gate is None:
        raise BranchProtected(
            f"branch {head.branch!r} holds dataset {dataset!r} to contract {held['name']}, which this writer cannot ask. "
            "Nothing was committed. Write through `dataplat.open(…)`."
        )
    return gate.check(head, dataset, before, after, change, objects, state_of)


def contract_objects(head: Record) -> Iterator[tuple[str, str]]:
    """Yield (id, suffix) of the objects that the branch's settings name: they live as long as the branch does."""
    for held in contracts_of(head).values():
        yield held["source"], ".bin"
    yield from list_objects(head.settings)
