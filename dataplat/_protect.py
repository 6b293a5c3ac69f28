"""Protect a branch: its log names contracts, and from then on it moves only to what meets them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.errors import ConfigError, ContractError, ContractFailed, ObjectExists
from dataplat.versioning._protection import CONTRACTS, contracts_of
from dataplat.versioning.gc.guard import Guard

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.validation import Contract
    from dataplat.versioning.refs import Record

_RACES = 50


@dataclass(frozen=True, slots=True)
class Protection:
    """One dataset of a branch that is held to a contract: the contract's name, its file and its id."""

    branch: str
    dataset: str
    contract: str
    file: str
    id: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "branch": self.branch,
            "dataset": self.dataset,
            "contract": self.contract,
            "file": self.file,
            "id": self.id,
        }


def protections(head: Record) -> list[Protection]:
    """Return what a branch is held to, in order of dataset."""
    return [
        Protection(head.branch, dataset, held["name"], held["file"], held["id"])
        for dataset, held in sorted(contracts_of(head).items())
    ]


def _named(contract: Any) -> str:
    if isinstance(contract, str | Path):
        return str(contract)
    what = getattr(contract, "__name__", None) or getattr(contract, "name", None) or type(contract).__name__
    raise ContractError(
        f"a branch keeps the text of the file that declares its contract, for every writer to run: name it as FILE:NAME, "
        f"such as 'contract.py:{what}'"
    )


def protect(lake: Lake, branch: str, contract: str | Path, dataset: str | None) -> Protection:
    """Hold a dataset of a branch to a contract, if it meets it as it is; asked again where the branch moves meanwhile."""
    from dataplat._gate import SOURCE_SUFFIX, ask, load_held
    from dataplat.ingest._target import Target
    from dataplat.lake.objects import Objects, Stage
    from dataplat.validation.loading import contract_from_text, split_source
    from dataplat.versioning.names import check_dataset_name

    try:
        path, name = split_source(_named(contract))
        contract_from_text(path.read_bytes(), name, path.name)
    except ContractError as error:
        raise ContractError(f"the contract cannot be loaded, and nothing was protected: {error}") from error
    with Stage(lake.store) as stage:
        held: dict[str, Any] = {"name": name, "file": path.name, "source": stage.put(path.read_bytes(), SOURCE_SUFFIX)}
        objects = Objects(lake.store, stage)
        for _ in range(_RACES):
            head = lake.refs.head(branch)
            on = check_dataset_name(dataset or _only_dataset(lake, head))
            loaded = load_held(objects, held, on, head.branch)
            manifest = Target.at(lake.objects, head.commit, on).manifest
            if manifest is not None:
                report = ask(loaded, objects, manifest, on, partial(head.commit.dataset, read=objects.read))
                if not report.ok:
                    lines = "\n  ".join(outcome.line() for outcome in report.failed[:5])
                    message = (
                        f"{on}@{head.branch} does not meet contract {name} now, so it is not held to it:\n  {lines}"
                    )
                    raise ContractFailed(message, report)
            held |= {"id": loaded.id, "version": None if manifest is None else manifest.id}
            guard = Guard(lake.objects, lake.refs, stage, head)
            guard.steer(head)
            stage.flush()
            guard.renew(head)
            try:
                made = _publish(lake, head, {**contracts_of(head), on: held}, f"protect {on} by {path.name}:{name}")
            except ObjectExists:
                continue
            return next(found for found in protections(made) if found.dataset == on)
    raise ConfigError(f"branch {branch!r} moved {_RACES} times while it was to be protected; try again")


def held_contract(lake: Lake, reference: str, dataset: str) -> Contract | None:
    """Return the contract to which the branch that a reference names (else `main`) holds a dataset, if it does."""
    from dataplat._gate import load_held
    from dataplat.errors import RefError

    try:
        head = lake.refs.head(reference.partition("@")[2].partition("~")[0] or "main")
    except (RefError, ConfigError):
        return None
    held = contracts_of(head).get(dataset)
    return None if held is None else load_held(lake.objects, held, dataset, head.branch)


def unprotect(lake: Lake, branch: str, dataset: str | None) -> list[Protection]:
    """Lift what a branch is held to, of one dataset or of all; return what was lifted."""
    for _ in range(_RACES):
        head = lake.refs.head(branch)
        held = contracts_of(head)
        gone = [found for found in protections(head) if dataset in {None, found.dataset}]
        if not gone:
            what = "is held to no contract" if dataset is None else f"holds no dataset {dataset!r} to a contract"
            raise ConfigError(f"branch {head.branch!r} {what}: there is nothing to lift")
        left = {name: value for name, value in held.items() if name not in {found.dataset for found in gone}}
        try:
            _publish(lake, head, left, "unprotect " + ", ".join(found.dataset for found in gone))
        except ObjectExists:
            continue
        return gone
    raise ConfigError(f"branch {branch!r} moved {_RACES} times while its protection was to be lifted; try again")


def _publish(lake: Lake, head: Record, contracts: dict[str, Any], message: str) -> Record:
    settings = {name: value for name, value in head.settings.items() if name != CONTRACTS}
    if contracts:
        settings[CONTRACTS] = contracts
    return lake.refs.publish(head.branch, head, head.commit, kind="protect", message=message, settings=settings)


def _only_dataset(lake: Lake, head: Record) -> str:
    names = [name for name in head.commit.datasets(lake.objects.read) if not name.endswith(".rejects")]
    if len(names) != 1:
        raise ConfigError(
            f"branch {head.branch!r} has {', '.join(names) or 'no dataset'}: say which one is held to the contract "
            "(dataset=…, --dataset NAME)"
        )
    return names[0]
