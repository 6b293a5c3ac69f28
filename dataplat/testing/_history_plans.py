"""Plans of simulated writers: an operation, in words, and the change that it is on a version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from dataplat.errors import KeyViolation
from dataplat.lake.digest import Digest
from dataplat.lake.part import Part
from dataplat.testing._history_rows import (
    SCHEMA,
    JsonCodec,
    Read,
    Row,
    digest_of,
    live,
    read_deletes,
    read_part,
    schema_of,
    stage_deletes,
    stage_part,
    unites,
)
from dataplat.versioning.commit import Mode
from dataplat.versioning.manifest import Manifest, ManifestEdit
from dataplat.versioning.rebase import PlannedChange

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

Kind: TypeAlias = Literal[
    "append",
    "compact",
    "delete",
    "drop",
    "erase",
    "evolve",
    "ingest",
    "insert",
    "merge",
    "pick",
    "rename",
    "replace",
    "revert",
    "rollback",
    "upsert",
]

KEYED = frozenset({"accounts", "people", "users"})
"""Datasets whose rows have keys."""

MODES: dict[Kind, Mode] = {"insert": "append", "ingest": "append"}


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a writer means to do; it travels as the message of the commit, from which a reader judges the result.

    `modulus` selects the rows that a delete or an erase is for: those whose key is a multiple of it (an erase without
    it is of the key `stop`). `back_to` is the commit that
    a rollback, a merge, a cherry-pick or a revert looks at. `columns` are what an evolution makes of them, as
    (name, stored name).
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
    policy: str = ""
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The operation as a commit's message."""
        return msgspec.json.encode(self).decode()


Held: TypeAlias = "tuple[Part, frozenset[int], list[tuple[int, Row]]]"
"""A part, the positions deleted of it, and its other rows with their positions."""


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
            codec=JsonCodec(self.stage, self.read),
            replan=(lambda head: self.plan(operation, head)) if replans else None,
            rename_to=operation.rename_to,
        )

    def _edit(self, operation: Operation, base: Manifest | None) -> ManifestEdit:
        if operation.kind == "evolve":
            assert base is not None
            return ManifestEdit(schema_json=schema_of(operation.columns), digest=base.digest)
        keys = {key for key, _ in operation.rows}
        held = [] if base is None else self.held(base)
        if operation.kind == "insert" and any(key in keys for _, _, rows in held for _, (key, _) in rows):
            raise KeyViolation(f"{operation.dataset} has a key of {operation.id} already")
        edit = self.taking(held, lambda row: _replaced(operation, keys, row), operation.rows, base)
        if base is not None:
            return edit
        return replace(edit, schema_json=SCHEMA, key=("key",) if operation.dataset in KEYED else None)

    def held(self, base: Manifest) -> list[Held]:
        """Return the parts of a version with what is deleted of each and what counts."""
        found = []
        for part in base.parts():
            gone = read_deletes(self.read, part.deletes)
            rows = enumerate(read_part(self.read, part))
            found.append((part, gone, [(at, row) for at, row in rows if at not in gone]))
        return found

    def taking(
        self, held: Sequence[Held], gone: Callable[[Row], bool], add: Sequence[Row], base: Manifest | None
    ) -> ManifestEdit:
        """Return the edit of `base`, whose parts are `held`, that takes away the rows that are `gone`, and adds others."""
        digest = Digest() if base is None else base.digest
        deletes: dict[int, tuple[str, int]] = {}
        drop: list[int] = []
        lost: list[Row] = []
        for part, before, rows in held:
            hit = {at for at, row in rows if gone(row)}
            if hit:
                lost += [row for at, row in rows if at in hit]
            if hit and len(hit) == len(rows):
                drop.append(part.place)
            elif hit:
                deletes[part.place] = stage_deletes(self.stage, hit | before)
        return ManifestEdit(
            add=[stage_part(self.stage, add)] if add else [],
            deletes=deletes,
            drop=drop,
            digest=None if digest is None else digest - digest_of(lost) + digest_of(add),
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
