"""Merge, cherry-pick and revert: plan on the head, commit on that very head, or plan anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import BranchProtected, CommitConflict, ConfigError, ContractError, MergeConflict, SourceNotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat.lake.objects import Objects
    from dataplat.versioning._queue import Turn
    from dataplat.versioning._record import Record
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.merge import MergedDataset, MergePlan, Planner, Policy
    from dataplat.versioning.merge._conflicts import Place
    from dataplat.versioning.rebase import PlannedChange

_REPLANS: Final = 50
"""How often a merge is planned before it gives up, because others change the datasets that it is about."""
_PATIENT: Final = 2
"""Plans that others may overtake; for further ones the branch's turn is held, where its store has turns."""
_BEHIND: Final = 64
"""Commits that a plan may be behind its branch."""
_SHOWN: Final = 3
_POLICIES: Final = ("ours", "theirs", "newest")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What a merge, cherry-pick or revert did, or, of a plan, would do.

    `commit` is None where nothing was committed: it was a plan, or `note` says why. `conflicts` is the Arrow table of
    everything that both branches changed, each with what settled it; in a plan `resolution` may be null. `refused` says,
    of a plan without open conflicts, why a contract that the branch is held to would not let it land.
    """

    kind: str
    branch: str
    theirs: str
    base: str
    commit: str | None
    datasets: tuple[MergedDataset, ...]
    conflicts: pa.Table
    note: str = ""
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "kind": self.kind,
            "branch": self.branch,
            "theirs": self.theirs,
            "base": self.base,
            "commit": self.commit,
            "datasets": [dataset.to_dict() for dataset in self.datasets],
            "conflicts": self.conflicts.to_pylist(),
            "note": self.note,
            "refused": self.refused,
        }


def merge(
    lake: Lake,
    reference: str,
    into: str,
    dataset: str | Sequence[str] | None,
    policy: Policy | None,
    resolve: Any,
    message: str,
    *,
    contract: Any = None,
    dry: bool = False,
) -> MergeResult:
    """Bring what `reference` has since the common ancestor into the branch `into`."""
    names = [dataset] if isinstance(dataset, str) else dataset
    theirs = _commit(lake, reference)
    what = message or f"merge {reference} into {into}"

    def plan(planner: Planner, ours: Commit) -> MergePlan:
        planned = planner.merge(ours, theirs, names)
        return planned if contract is None else replace(planned, changes=tuple(_asking(planned.changes, contract)))

    try:
        return _carry_out(lake, into, plan, policy, resolve, what, dry=dry)
    except MergeConflict:
        _remember(lake, into, reference, names)
        raise


def _asking(changes: Sequence[PlannedChange], contract: Any) -> list[PlannedChange]:
    """Return the changes of a merge, those asked about a contract with the question: one contract, or one by dataset."""
    from dataplat._gate import question

    named = [change.rename_to or change.dataset for change in changes if change.mode != "drop"]
    if not isinstance(contract, Mapping):
        if len(named) > 1:
            raise ConfigError(
                f"the merge changes {', '.join(named)}: say which one is held to the contract (dataset=…, --dataset NAME)"
            )
        contract = dict.fromkeys(named, contract)
    return [
        replace(change, ask=question(contract[name], name))
        if (name := change.rename_to or change.dataset) in contract
        else change
        for change in changes
    ]


def cherry_pick(
    lake: Lake, reference: str, onto: str, policy: Policy | None, resolve: Any, message: str, *, dry: bool = False
) -> MergeResult:
    """Do on the branch `onto` what a commit did to its datasets."""
    commit = _commit(lake, reference)
    what = message or f"cherry-pick {reference}: {commit.message or commit.id[:12]}"
    return _carry_out(
        lake, onto, lambda planner, ours: planner.cherry_pick(commit, ours), policy, resolve, what, dry=dry
    )


def revert(
    lake: Lake, reference: str, on: str, policy: Policy | None, resolve: Any, message: str, *, dry: bool = False
) -> MergeResult:
    """Undo on the branch `on` what a commit did to its datasets."""
    commit = _commit(lake, reference)
    what = message or f"revert {reference}: {commit.message or commit.id[:12]}"
    return _carry_out(lake, on, lambda planner, ours: planner.revert(commit, ours), policy, resolve, what, dry=dry)


_Plan = Callable[["Planner", "Commit"], "MergePlan"]


def _commit(lake: Lake, reference: str) -> Commit:
    from dataplat.versioning.references import resolve_commit

    return resolve_commit(lake.refs, lake.objects, reference)


def _carry_out(
    lake: Lake, branch: str, plan: _Plan, policy: Policy | None, resolve: Any, message: str, *, dry: bool
) -> MergeResult:
    if policy is not None and policy not in _POLICIES:
        raise ConfigError(f"there is no policy {policy!r}; policies are {', '.join(_POLICIES)}")
    from dataplat.versioning._outrun import OutrunError

    resolutions = {} if resolve is None else read_resolutions(resolve)
    for attempt in range(_REPLANS):
        try:
            with _turn(lake, branch, wanted=attempt >= _PATIENT and not dry) as held:
                return _once(lake, branch, plan, policy, resolutions, message, dry=dry, held=held)
        except MergeConflict:
            raise
        except (_MovedError, OutrunError):
            if attempt == _REPLANS - 1:
                raise
    raise AssertionError("unreachable")


@contextmanager
def _turn(lake: Lake, branch: str, *, wanted: bool) -> Iterator[Turn | None]:
    """Hold the branch's turn, if it is wanted and got."""
    from dataplat.versioning._queue import turn

    if not wanted:
        yield None
        return
    with turn(lake.store, branch) as mine:
        yield mine if mine.got else None


class _MovedError(CommitConflict):
    """The branch moved between plan and commit."""


def _once(
    lake: Lake,
    branch: str,
    plan: _Plan,
    policy: Policy | None,
    resolutions: Mapping[Place, str],
    message: str,
    *,
    dry: bool,
    held: Turn | None,
) -> MergeResult:
    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning._outrun import outrun
    from dataplat.versioning.merge import Planner, Settlement
    from dataplat.versioning.publish import commit

    head = lake.refs.head(branch)

    def admit(now: Record) -> None:
        if not _only_others_moved(lake, head.commit_id, now.commit, planned.looked_at):
            raise _MovedError(f"branch {branch!r} moved while a merge into it was planned. Nothing was committed.")

    with outrun(lake.refs, branch, head.commit_id), Stage(lake.store) as stage:
        planner = Planner(Objects(lake.store, stage), stage, Settlement(policy, resolutions))
        planned = plan(planner, head.commit)
        if dry or not planned.is_needed:
            refused = "" if planned.open else _refused(lake, head, planned, planner.objects)
            return _result(planned, branch, None, refused)
        if planned.open:
            raise _stopped(planned, branch)
        made = commit(
            lake.io, branch, planned.changes, stage, message=message, merged=planned.parents, admit=admit, held=held
        )
    return _result(planned, branch, made.id)


def _refused(lake: Lake, head: Record, planned: MergePlan, objects: Objects) -> str:
    """Return why the contracts that the branch is held to would refuse a plan; empty where they would not."""
    from dataplat.versioning._protection import contracts_of, pass_gate
    from dataplat.versioning.manifest import load_manifest

    held = contracts_of(head)
    states = {change.rename_to or change.dataset: change.restore for change in planned.changes}

    def state_of(name: str) -> DatasetState | None:
        return states[name] if name in states else head.commit.dataset(name, objects.read)

    for change in planned.changes:
        name, kept = change.rename_to or change.dataset, change.restore
        if name not in held and change.ask is None:
            continue
        base = change.base_version if name == change.dataset else None  # under another name it met no contract
        versions = (base, None if kept is None else kept.version)
        before, after = (None if version is None else load_manifest(objects, version) for version in versions)
        try:
            if change.ask is not None and after is not None:
                change.ask(after, objects, state_of)
            pass_gate(lake.io.gate, head, name, before, after, change, objects, state_of)
        except (BranchProtected, ContractError) as error:
            return str(error)
    return ""


def _only_others_moved(lake: Lake, planned_on: str, now: Commit, looked_at: frozenset[str]) -> bool:
    """Whether a plan holds on a later head: no merge came in between, and nothing that touched its datasets."""
    from dataplat.versioning.commit import load_commit

    for _ in range(_BEHIND):
        if now.id == planned_on:
            return True
        if len(now.parents) != 1 or not looked_at.isdisjoint(now.changes):
            return False
        now = load_commit(lake.objects, now.parents[0])
    return False


def _result(planned: MergePlan, branch: str, commit: str | None, refused: str = "") -> MergeResult:
    from dataplat.versioning.merge import conflict_table

    return MergeResult(
        kind=planned.kind,
        branch=branch,
        theirs=planned.theirs.id,
        base=planned.base.id,
        commit=commit,
        datasets=planned.datasets,
        conflicts=conflict_table(planned.conflicts),
        note="" if planned.is_needed else f"nothing to {planned.kind}: {branch} has it all",
        refused=refused,
    )


def _stopped(planned: MergePlan, branch: str) -> MergeConflict:
    from dataplat.versioning.merge import conflict_table

    left = planned.open
    shown = "".join(f"\n  {conflict}" for conflict in left[:_SHOWN])
    more = f"\n  and {len(left) - _SHOWN:,} more" if len(left) > _SHOWN else ""
    return MergeConflict(
        f"{len(left):,} conflict{'' if len(left) == 1 else 's'} on the way into {branch!r}; nothing moved:{shown}{more}\n"
        "Choose a policy (ours, theirs, newest), or fill the column `resolution` of the table of conflicts "
        "(`dataplat version conflicts`) and hand it back.",
        conflict_table(planned.conflicts),
    )


# ------------------------------------------------------------------------------------------------- resolutions


def read_resolutions(resolve: Any) -> dict[Place, str]:
    """Return resolutions by place, from an Arrow table, a frame, a list of rows, or a CSV, JSON or Parquet file.

    Raises:
        ConfigError: It is none of these, or has not the columns of the table of conflicts.
        SourceNotFound: There is no such file.
    """
    from dataplat.versioning.merge import resolutions_of

    return resolutions_of(_rows(resolve))


def _rows(resolve: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(resolve, str | Path):
        return _rows_of_file(Path(resolve))
    if hasattr(resolve, "to_pylist"):
        return resolve.to_pylist()  # type: ignore[no-any-return]
    if hasattr(resolve, "to_dicts"):
        return resolve.to_dicts()  # type: ignore[no-any-return]
    if hasattr(resolve, "to_dict") and hasattr(resolve, "columns"):
        return resolve.astype(object).where(resolve.notna(), None).to_dict("records")  # type: ignore[no-any-return]
    if isinstance(resolve, Iterable) and not isinstance(resolve, Mapping):
        return resolve
    raise ConfigError(f"resolutions are a table, a list of rows, or a file of them, not {resolve!r}")


def _rows_of_file(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise SourceNotFound(f"there is no file {path} with resolutions")
    try:
        match path.suffix.lower():
            case ".parquet":
                import pyarrow.parquet as pq

                rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            case ".json":
                import json

                rows = json.loads(path.read_text("utf-8-sig"))
            case ".csv":
                rows = _rows_of_csv(path)
            case other:
                raise ConfigError(
                    f"{path}: resolutions are .csv, .json or .parquet, not {other or 'without an ending'}"
                )
    except ConfigError:
        raise
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as resolutions: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path}: resolutions are a list of objects, one for each conflict")
    return rows


def _rows_of_csv(path: Path) -> list[dict[str, Any]]:
    """Read a CSV file as we wrote it or as a spreadsheet saved it: with a byte order mark, and semicolons or tabs."""
    import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        return list(csv.DictReader(file, delimiter=max(",;\t", key=head.count)))


# ------------------------------------------------------------------------------------- the merge that stopped last


def last_stopped(lake: Lake, into: str) -> tuple[str, list[str] | None] | None:
    """Return (reference, datasets) of the last merge into a branch that stopped at conflicts; None if that is not known."""
    from dataplat.lake.memos import Memos

    found = Memos(lake.store).get(_computation(), _memo_name(into))
    return None if found is None else (found["theirs"], found["datasets"])


def _remember(lake: Lake, into: str, reference: str, names: Sequence[str] | None) -> None:
    from dataplat.lake.memos import Memos

    value = {"theirs": reference, "datasets": None if names is None else list(names)}
    Memos(lake.store).put(value, _computation(), _memo_name(into))


def _computation() -> str:
    from dataplat.lake.memos import computation_id

    return computation_id("last merge that stopped", 1)


def _memo_name(branch: str) -> str:
    from hashlib import sha256

    return sha256(branch.encode()).hexdigest()


def conflicts(lake: Lake, reference: str | None, into: str, dataset: Sequence[str] | None = None) -> pa.Table:
    """Return the conflicts of a merge, of the last that stopped where no reference is given; nothing is touched."""
    at, names = stopped_or(lake, reference, into, dataset)
    return merge(lake, at, into, names, None, None, "", dry=True).conflicts


def stopped_or(
    lake: Lake, reference: str | None, into: str, dataset: Sequence[str] | None
) -> tuple[str, Sequence[str] | None]:
    """Return which merge is meant; raise `ConfigError` where none is named and none is remembered."""
    if reference is not None:
        return reference, dataset or None
    known = last_stopped(lake, into)
    if known is None:
        raise ConfigError(f"no merge into {into!r} is known to have stopped; name the branch that was merged")
    return known[0], dataset or known[1]
