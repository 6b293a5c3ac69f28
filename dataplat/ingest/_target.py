"""The dataset that an ingest goes into, as it stands at the head of a branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import KeyViolation
from dataplat.versioning.commit import load_commit
from dataplat.versioning.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from dataplat.ingest._request import IngestRequest
    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Check, Commit, DatasetState, StateOf


@dataclass(frozen=True, slots=True)
class Target:
    """A dataset at the head of a branch: its manifest (None where there is none) and what was read into it."""

    name: str
    commit: Commit
    state: DatasetState | None
    manifest: Manifest | None
    objects: Objects
    staged: tuple[Check, ...] | None = None
    """Of a dataset that is changed in the transaction already: the checks that it passed."""
    others: StateOf | None = None
    """Where other datasets stand in the transaction; None: as `commit` has them."""

    @classmethod
    def at(cls, objects: Objects, commit: Commit, name: str) -> Target:
        """Return the dataset `name` as `commit` has it."""
        state = commit.dataset(name, objects.read)
        manifest = None if state is None or state.version is None else load_manifest(objects, state.version)
        return cls(name, commit, state, manifest, objects)

    def state_of(self, name: str) -> DatasetState | None:
        """Return where another dataset stands; None: there is no such."""
        return self.commit.dataset(name, self.objects.read) if self.others is None else self.others(name)

    @property
    def version(self) -> str | None:
        """The version id, None where there is no dataset."""
        return None if self.manifest is None else self.manifest.id

    @property
    def schema(self) -> pa.Schema | None:
        """The schema with stored names, None where there is no dataset."""
        return None if self.manifest is None else self.manifest.schema

    @property
    def gone(self) -> tuple[str, ...]:
        """Stored names of dropped columns, which no column may take."""
        return () if self.manifest is None else self.manifest.root.gone

    @property
    def checks(self) -> Sequence[Check]:
        """The checks that the version passed."""
        if self.staged is not None:
            return self.staged
        if self.state is None or self.manifest is None:
            return ()
        change = load_commit(self.objects, self.state.commit).changes.get(self.name)
        return () if change is None else change.checks

    def positions(self) -> Mapping[str, Any]:
        """Return where each source had been read to; sources that a replace forgot are left out."""
        if self.state is None or self.manifest is None:
            return {}
        held = self.state.load_positions(None, self.objects.read)
        return {source: position for source, position in held.items() if position is not None}

    def base(self, request: IngestRequest, schema_json: list[dict[str, Any]]) -> Manifest:
        """Return the manifest that the change starts from; of no rows, with the key asked for, if there is none.

        Raises:
            KeyViolation: Another key is asked for than the dataset has.
        """
        if self.manifest is None:
            return Manifest.empty(schema_json, request.key or (), request.sort or ())
        if request.key is not None and request.key != self.manifest.key and not request.replaces_all:
            has = f"the key {', '.join(self.manifest.key)}" if self.manifest.key else "no key"
            message = (
                f"dataset {self.name!r} has {has}, not {', '.join(request.key)}. A key is set when a dataset is first "
                "landed, or by replacing all of its rows (--mode replace)."
            )
            raise KeyViolation(message)
        return self.manifest


def check_named_columns(request: IngestRequest, base: Manifest, schema: pa.Schema) -> None:
    """Raise `SchemaMismatch` if a key, sort or order column is not in the rows."""
    from dataplat.ingest._schema import check_columns

    check_columns(schema, request.key or base.key, "key")
    check_columns(schema, request.sort or base.sort, "sort")
    check_columns(schema, () if request.order is None else (request.order,), "order")
