"""Rows that did not meet their contract: look at them, mend them, land them, let them go."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dataplat.connectors.source import Item, Position, Progress, Split
from dataplat.errors import BadReference, BranchNotFound, ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest import IngestResult
    from dataplat.validation import Contract
    from dataplat.versioning.refs import Record

PREFIX: Final = "quarantine/"
_KIND: Final = "quarantine"
_FAILURES: Final = "failures"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Rows on a branch of their own. `whole` says that they are all of a batch, of which nothing landed.

    `branch` is where they are, `target` the branch that they were meant for, in `mode`; `reasons` say what failed, in
    the words of the report; `column` is the one in which each row says it, where rows do.
    """

    id: str
    dataset: str
    branch: str
    target: str
    mode: str
    whole: bool
    rows: int
    time: int
    contract: str
    reasons: tuple[str, ...]
    column: str | None
    version: Version

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = ("id", "dataset", "branch", "target", "mode", "whole", "rows", "time", "contract", "column")
        return {name: getattr(self, name) for name in names} | {"reasons": list(self.reasons)}


class Quarantine:
    """What waits in a lake because it did not meet a contract (`lake.quarantine`)."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def list(self, dataset: str | None = None) -> list[Quarantined]:
        """Return what waits (of one dataset), the newest first."""
        found = [self._read(record) for record in self._lake.branches() if record.branch.startswith(PREFIX)]
        kept = [each for each in found if each is not None and dataset in {None, each.dataset}]
        return sorted(kept, key=lambda each: -each.time)

    def __getitem__(self, name: str) -> Quarantined:
        """Return what waits under an id (its beginning will do), `DATASET/ID` or a branch name.

        Raises:
            BranchNotFound: Nothing waits under that name.
            BadReference: Several ids begin so; equal batches of two datasets have one id.
        """
        dataset, _, wanted = name.removeprefix(PREFIX).rpartition("/")
        found = [each for each in self.list(dataset or None) if each.id.startswith(wanted)]
        if not found:
            raise BranchNotFound(f"nothing waits in quarantine under {name!r}; see: dataplat quarantine list")
        if len(found) > 1:
            names = ", ".join(f"{each.dataset}/{each.id}" for each in found)
            raise BadReference(f"{name!r} could be {names}: give more of it")
        return found[0]

    def release(self, name: str, *, message: str | None = None) -> IngestResult:
        """Land the rows as they are, and let the quarantine go; a branch that is held to a contract refuses them still.

        They land once, wherever one is killed: where the branch had been read to says so.
        """
        found = self[name]
        text = message or f"release quarantine {found.id} of {found.dataset}"
        return self._land(found, None, None, text)

    def replay(
        self, name: str, *, contract: Any = None, mend: str | None = None, message: str | None = None
    ) -> IngestResult:
        """Land the rows that meet the contract now; others go back into quarantine, and this one goes.

        Args:
            name: An id, its beginning will do, or a branch name.
            contract: A contract, or `FILE:NAME`; None where the branch is held to one.
            mend: SQL that gives the rows as they should be, from the table `rows`:
                `"select * replace (abs(amount) as amount) from rows"`.
            message: Why, for the log.

        Raises:
            ConfigError: No contract is given, and the branch is held to none.
            ContractFailed: All of them fail still; they wait where they were.
        """
        found = self[name]
        if contract is None:
            from dataplat._protect import held_contract

            contract = held_contract(self._lake, f"{found.dataset}@{found.target}", found.dataset)
        if contract is None:
            raise ConfigError(
                "say which contract the rows are to meet (--contract FILE:NAME); to land them as they are: release"
            )
        return self._land(found, contract, mend, message or f"replay quarantine {found.id} of {found.dataset}")

    def drop(self, name: str) -> Quarantined:
        """Let the rows go: the branch is deleted, and a collection takes what nothing else needs."""
        found = self[name]
        self._lake.delete_branch(found.branch)
        return found

    def _land(self, found: Quarantined, contract: Any, mend: str | None, message: str) -> IngestResult:
        from dataplat.validation import load_contract

        mode = found.mode if found.whole or found.mode == "upsert" else "append"
        rows = WaitingRows(found, mend)
        contract = None if contract is None else load_contract(contract)
        if contract is not None:
            rows.refuse_all_bad(contract)
        result = self._lake.ingest(
            rows,
            into=found.dataset,
            mode=mode,  # type: ignore[arg-type]
            branch=found.target,
            contract=contract,
            message=message,
        )
        if result.quarantine != found.branch:  # else the same rows fail still
            self._lake.delete_branch(found.branch)
        return result

    def _read(self, record: Record) -> Quarantined | None:
        dataset, _, name = record.branch.removeprefix(PREFIX).rpartition("/")
        change = record.commit.changes.get(dataset)
        if change is None:  # whoever made the branch died before the rows were there
            return None
        told = next((each.detail for each in change.lineage if each.kind == _KIND), {})
        check = change.checks[0] if change.checks else None
        version = self._lake[f"{dataset}@{record.branch}"]
        column = _FAILURES if _FAILURES in {each["name"] for each in version.schema_json} else None
        return Quarantined(
            id=name,
            dataset=dataset,
            branch=record.branch,
            target=str(told.get("branch", "main")),
            mode=str(told.get("mode", "append")),
            whole=bool(told.get("whole", column is None)),
            column=told.get("reasons", column),
            rows=version.rows,
            time=record.commit.time,
            contract="" if check is None else check.name,
            reasons=() if check is None or not check.report else self._reasons(check.report),
            version=version,
        )

    def _reasons(self, report: str) -> tuple[str, ...]:
        from dataplat.errors import ObjectNotFound

        try:
            value = json.loads(self._lake.objects.read(report, ".json"))
        except ObjectNotFound:
            return ()
        failed = [check for check in value["checks"] if check["status"] in {"failed", "could not check"}]
        return tuple(_reason(check) for check in failed)


def _reason(check: Mapping[str, Any]) -> str:
    where = f"{check['column']}: " if check["column"] else ""
    count = "" if check["failing"] is None else f": {check['failing']:,} of {check['rows']:,} rows"
    return f"{where}{check['name']}{count}{': ' + check['detail'] if check['detail'] else ''}"


class WaitingRows:
    """Rows in quarantine as a source: without the column that says why they wait, mended if asked, and landed once."""

    is_text = False

    def __init__(self, waiting: Quarantined, mend: str | None) -> None:
        self._waiting = waiting
        self._mend = mend
        self._source = f"{_KIND}:{waiting.dataset}/{waiting.id}"

    @property
    def name(self) -> str:
        """The branch that the rows are on."""
        return self._waiting.branch

    def refuse_all_bad(self, contract: Contract) -> None:
        """Raise `ContractFailed` where no row could land: the branch would only learn that they had been read."""
        from dataplat.errors import ContractFailed
        from dataplat.validation import Tally

        tally = Tally()
        for batch in self._rows.to_batches():
            landed = batch if contract.transform is None else contract.transform.apply(batch)[0]
            tally.add(contract.check_batch(landed))
        if tally.rows and tally.bad == tally.rows:
            failed = [outcome.line() for outcome in tally.outcomes if not outcome.ok]
            raise ContractFailed(
                f"all {tally.rows:,} rows fail contract {contract.name} still, so nothing landed and they wait where "
                f"they were:\n  " + "\n  ".join(failed[:5])
            )

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the one split there is; skipped where the rows landed before."""
        held = positions.get(self._source)
        landed = held is not None and held.get("version") == self._waiting.version.id
        skipped = "its rows landed before" if landed else None
        position = self._position if landed else None
        return [Split(self._source, self.name, held, self._waiting.version.nbytes, skipped, position)]

    def schema(self) -> pa.Schema:
        """Return the columns, without the reasons."""
        return self._rows.schema

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield the rows."""
        del split
        done = 0
        for batch in self._rows.to_batches(max_chunksize=65_536):
            yield batch
            done += batch.nbytes
            if on_progress is not None:
                on_progress(done, None)

    def position(self, split: Split) -> Position | None:
        """Return the version that was landed."""
        del split
        return self._position

    @property
    def _position(self) -> Position:
        return {"version": self._waiting.version.id}

    @cached_property
    def _rows(self) -> pa.Table:
        table = self._waiting.version.to_arrow()
        if self._waiting.column is not None:
            table = table.drop_columns([self._waiting.column])
        return table if self._mend is None else mended(table, self._mend)


def mended(table: pa.Table, sql: str) -> pa.Table:
    """Return what a query makes of `rows`; raise `ConfigError` where it cannot be run."""
    import duckdb

    with closing(duckdb.connect(config={"enable_external_access": "false"})) as connection:
        connection.register("rows", table)
        try:
            return connection.sql(sql).to_arrow_table()
        except (duckdb.Error, AttributeError) as error:
            raise ConfigError(f"the rows cannot be mended by {sql!r}: {error}") from error
