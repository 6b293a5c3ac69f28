"""The gate of protected branches: runs the contract that a branch's log names, on what a commit would make of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import ContractError, ContractFailed, MissingExtra, ObjectNotFound
from dataplat.versioning._protection import contracts_of
from dataplat.versioning.commit import Check

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.stores import Store
    from dataplat.validation import Contract, Report
    from dataplat.versioning.commit import StateOf
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.publish import PlannedChange
    from dataplat.versioning.refs import Record

SOURCE_SUFFIX: Final = ".bin"

_LANDS: Final = frozenset({"append", "upsert", "replace"})
"""Modes whose writer has asked a contract of the dataset as it would be, if it says so."""

_SAME_ROWS: Final = frozenset({"compact", "describe", "rename"})
_LOOK_BACK: Final = 32
"""Changes of a dataset that are looked at for a version that met the contract."""


class ContractGate:
    """Asks the contracts of protected branches, from the text that lies in the lake."""

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
        """Return the outcome for `after`; nothing where its writer asked the same contract of it.

        Raises:
            ContractFailed: It does not meet the contract.
            ContractError: The contract cannot be loaded here, or may not be run here.
        """
        held = contracts_of(head)[dataset]
        contract = load_held(objects, held, dataset, head.branch)
        if change.mode in _LANDS and any(check.ok and check.detail == contract.id for check in change.checks):
            return ()
        assert after is not None
        passed = _passed(objects, head, dataset, contract, held)
        report = ask(contract, objects, after, dataset, state_of, passed)
        if not report.ok:
            lines = "\n  ".join(outcome.line() for outcome in report.failed[:5])
            raise ContractFailed(
                f"branch {head.branch} holds {dataset} to contract {contract.name}, which this {change.mode} would "
                f"break, so nothing landed:\n  {lines}",
                report,
            )
        return (Check(name=contract.name, ok=True, rows=report.new_rows, detail=contract.id),)


def load_held(objects: Objects, held: Mapping[str, Any], dataset: str, branch: str) -> Contract:
    """Return the contract that a branch's settings name, from its text in the lake; it is run, if it may be.

    Raises:
        ContractError: It cannot be loaded, or may not be run here; the message says why.
    """
    what = f"branch {branch} holds {dataset} to contract {held['name']}"
    if not may_run(objects.store):
        raise ContractError(
            f"{what}, whose code lies in a lake that is not a folder of yours, so it is not run and nothing lands. If "
            "you trust whoever can write to that lake: trust_contracts = true in dataplat.toml, or "
            "DATAPLAT_TRUST_CONTRACTS=1"
        )
    try:
        text = objects.read(held["source"], SOURCE_SUFFIX)
        return contract_of_text(text, held["name"], held["file"])
    except (ContractError, MissingExtra, ObjectNotFound) as error:
        raise ContractError(f"{what}, which cannot be loaded here, so nothing lands: {error}") from error


@lru_cache(maxsize=64)
def contract_of_text(text: bytes, name: str, file: str) -> Contract:
    """Return the contract that the text of a file declares; in one process it is loaded once."""
    from dataplat.validation.loading import contract_from_text

    return contract_from_text(text, name, file)


def may_run(store: Store) -> bool:
    """Whether code in the lake is trusted: a folder of this user's own is, as a Makefile in it would be."""
    from dataplat.config import load
    from dataplat.lake.stores import SupportsFiles, SupportsUrl

    if isinstance(store, SupportsFiles) and isinstance(store, SupportsUrl):
        try:
            if Path(store.url("lake.json")).stat().st_uid == os.getuid():
                return True
        except OSError:  # no such file, so no lake of ours
            return False
    return load().trust_contracts


def ask(
    contract: Contract,
    objects: Objects,
    after: Manifest,
    dataset: str,
    state_of: StateOf,
    passed: str | None = None,
) -> Report:
    """Evaluate a contract on a version; row checks only on what came since the version `passed`, which met it.

    Rules find other datasets as `state_of` has them.
    """
    from dataplat.validation.lookup import context_in_lake
    from dataplat.validation.subject import VersionSubject

    context = context_in_lake(objects, dataset, state_of)
    subject = VersionSubject(objects, after, dataset)
    new = None if passed is None else subject.new_since(passed)
    if new is None:
        return contract.judge(subject, context=context)
    came = {subject.blocks[number].part.place for number in new}
    return contract.judge(subject, context=context, came=lambda block: None if block.part.place in came else "held")


def question(contract: Any, dataset: str) -> Callable[[Manifest, Objects, StateOf], Sequence[Check]]:
    """Return what asks a contract of a dataset as a commit would make it; it raises `ContractFailed` where it fails."""
    from dataplat.validation import load_contract

    loaded = load_contract(contract)

    def asked(after: Manifest, objects: Objects, state_of: StateOf) -> Sequence[Check]:
        report = ask(loaded, objects, after, dataset, state_of)
        if not report.ok:
            lines = "\n  ".join(outcome.line() for outcome in report.failed[:5])
            raise ContractFailed(
                f"{dataset} would not meet contract {loaded.name}, so nothing landed:\n  {lines}", report
            )
        return (Check(name=loaded.name, ok=True, rows=report.new_rows, detail=loaded.id),)

    return asked


def _passed(objects: Objects, head: Record, dataset: str, contract: Contract, held: Mapping[str, Any]) -> str | None:
    """Return the id of a version that met the contract, the newest that is easily found."""
    found = _newest_passed(objects, head, dataset, contract.id)
    return held.get("version") if found is None and contract.id == held["id"] else found


def _newest_passed(objects: Objects, head: Record, dataset: str, contract_id: str) -> str | None:
    from dataplat.versioning.history import log

    state = head.commit.dataset(dataset, objects.read)
    if state is None:
        return None
    same: str | None = None  # a version with the rows of the one at hand
    for entry in islice(log(objects, head.commit, dataset), _LOOK_BACK):
        change = entry.change
        same = same or change.version
        if any(check.ok and check.detail == contract_id for check in change.checks):
            return same
        if change.mode not in _SAME_ROWS and change.version != change.base:
            same = None
    return None
