"""Profiles that are remembered: of a part with its deletes, of a segment of a manifest, of a version.

Each is one bundle, by column; a profile of more columns adds to it. A column is named by how parts hold it, so that one
that is renamed is known still, and by its type, so that one that is widened is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataplat.lake.memos import Memos, computation_id
from dataplat.lake.schema import stored_name
from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._encode import decode, encode

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.lake.where import Where

CODE: Final = 1
"""Version of the code that looks at rows and merges: to be raised when a profile would be another."""

Columns = dict[str, ColumnProfile]


@dataclass(frozen=True, slots=True)
class Memory:
    """Keeps profiles of the rows of one condition, under the columns of one schema."""

    memos: Memos
    schema: pa.Schema
    where: Where | None = None

    def find(self, kind: str, names: Iterable[str], id: str, deletes: str | None = None) -> Columns:
        """Return what is remembered of these columns; `kind` is `part`, `segment` or `version`."""
        bundle, found = self._bundle(kind, id, deletes), {}
        for name in names:
            data = bundle.get(self._key(name))
            if data is not None:
                try:
                    found[name] = replace(decode(data), name=name)
                except ValueError:
                    return {}
        return found

    def keep(self, kind: str, columns: Mapping[str, ColumnProfile], id: str, deletes: str | None = None) -> None:
        """Remember the profiles of columns, beside what is there."""
        bundle = self._bundle(kind, id, deletes)
        bundle.update((self._key(name), encode(column)) for name, column in columns.items())
        data = msgspec.msgpack.encode(dict(sorted(bundle.items())))
        self.memos.put_bytes(data, self._computation(kind), id, deletes)

    def _bundle(self, kind: str, id: str, deletes: str | None) -> dict[str, bytes]:
        data = self.memos.get_bytes(self._computation(kind), id, deletes)
        try:
            return {} if data is None else msgspec.msgpack.decode(data, type=dict[str, bytes])
        except msgspec.MsgspecError:
            return {}

    def _key(self, name: str) -> str:
        field = self.schema.field(name)
        return f"{stored_name(field)}\0{field.type}"

    def _computation(self, kind: str) -> str:
        condition: dict[str, Any] = {}
        if self.where is not None:
            condition = {"where": self.where.text, "columns": [self._key(name) for name in self.where.columns]}
        return computation_id(f"profile of {kind}", CODE, **condition)
