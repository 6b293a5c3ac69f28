"""Plans of simulated writers: an operation, in words, and the change that it is on a version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from dataplat.errors import KeyViolation
from dataplat.lake.digest import Digest
from dataplat.lake.part import Part
from dataplat.testing._history_rows import SCHEMA, Read, Row, digest_of, live, stage_deletes, stage_part, unites
from dataplat.versioning.commit import Mode
from dataplat.versioning.manifest import Manifest, ManifestEdit
from dataplat.versioning.rebase import PlannedChange

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

Kind: TypeAlias = Literal["append", "insert", "ingest", "upsert", "delete", "replace", "drop", "rename", "rollback"]

KEYED = frozenset({"accounts", "people", "users"})
"""Datasets whose rows have keys."""

MODES: dict[Kind, Mode] = {"insert": "append", "ingest": "append"}


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a writer means to do; it travels as the message of the commit, from which a reader judges the result.

    `modulus` selects the rows that a delete is for: those whose key is a multiple of it.
    """

    id: str
    kind: Kind
    dataset: str
    rows: tuple[Row, ...] = ()
    modulus: int = 0
    source: str = ""
    start: int | None = None
    stop: int = 0
    rename_to: str = ""
    back_to: str = ""
    back_to_name: str = ""

    @property
    def text(self) -> str:
        """The operation as a commit's message."""
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans operations on versions, with parts staged in `stage`; `read` sees those, too."""

    stage: Stage
    read: Read

    def plan(self, operation: Operation, base: Manifest | None) -> PlannedChange:
        """Return the change that `operation` is on `base` (None: there is no such dataset)."""
        replans = operation.kind == "replace"
        return PlannedChange(
            dataset=operation.dataset,
            mode=MODES.get(operation.kind, operation.kind),  # type: ignore[arg-type]
            base_version=None if base is None else base.id,
            edit=self._edit(operation, base),
            where=f"key % {operation.modulus} = 0" if operation.modulus else None,
            starts={operation.source: operation.start} if operation.source else {},
            positions={operation.source: operation.stop} if operation.source else {},
            keys_overlap=self._overlap(operation),
            where_matches=self._matches(operation),
            merge_deletes=unites(self.stage, self.read),
            replan=(lambda head: self.plan(operation, head)) if replans else None,
            rename_to=operation.rename_to,
        )

    def _edit(self, operation: Operation, base: Manifest | None) -> ManifestEdit:
        held = [] if base is None else [(part, list(live(self.read, part))) for part in base.parts()]
        gone: dict[int, set[int]] = {}
        keys = {key for key, _ in operation.rows}
        lost = Digest()
        for part, rows in held:
            if operation.kind == "insert" and any(key in keys for _, (key, _) in rows):
                raise KeyViolation(f"{operation.dataset} has a key of {operation.id} already")
            hit = {at for at, row in rows if _replaced(operation, keys, row)}
            if hit:
                gone[part.place] = hit
                lost += digest_of([row for at, row in rows if at in hit])
        add = [stage_part(self.stage, operation.rows)] if operation.rows else []
        known = Digest() if base is None else base.digest
        return ManifestEdit(
            add=add,
            deletes={
                part.place: stage_deletes(self.stage, gone[part.place] | set(range(part.rows)) - {at for at, _ in rows})
                for part, rows in held
                if part.place in gone and len(gone[part.place]) < part.live
            },
            drop=[part.place for part, _ in held if part.place in gone and len(gone[part.place]) == part.live],
            schema_json=SCHEMA if base is None else None,
            key=("key",) if base is None and operation.dataset in KEYED else None,
            digest=None if known is None else known - lost + digest_of(operation.rows),
        )

    def _overlap(self, operation: Operation) -> Callable[[Sequence[Part]], Sequence[object]]:
        keys = {key for key, _ in operation.rows}
        return lambda parts: [key for part in parts for _, (key, _) in live(self.read, part) if key in keys]

    def _matches(self, operation: Operation) -> Callable[[Sequence[Part]], bool]:
        return lambda parts: any(_deleted(operation, row) for part in parts for _, row in live(self.read, part))


def _replaced(operation: Operation, keys: set[int], row: Row) -> bool:
    """Whether an operation takes this row away."""
    if operation.kind == "upsert":
        return row[0] in keys
    return operation.kind == "replace" or _deleted(operation, row)


def _deleted(operation: Operation, row: Row) -> bool:
    return operation.kind == "delete" and row[0] % operation.modulus == 0
