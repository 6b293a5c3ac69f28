"""Schema changes between two versions, told by stored names, and the schema under which older rows are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One column that is `added`, `removed`, `renamed`, `retyped`, or whose nulls are forbidden or allowed (`nullable`).

    `column` is its name in the later version (of a removed one, in the earlier). `before` and `after` are types, of a
    renamed column names, and for `nullable` the words `null` and `never null`.
    """

    kind: str
    column: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.kind == "renamed":
            return f"column {self.before} renamed to {self.after}"
        if self.kind in {"retyped", "nullable"}:
            return f"column {self.column}: {self.before} -> {self.after}"
        return f"column {self.column} {self.kind} ({self.after or self.before})"


def schema_changes(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[SchemaChange]:
    """Return what changed from one schema, in its JSON form, to another: removed, added, renamed, retyped, nullable.

    A column is the same where its stored name is, whatever it is called and wherever it stands.
    """
    old, new = ({_stored(column): column for column in side} for side in (before, after))
    changes = [
        SchemaChange("removed", column["name"], _type(column), None) for at, column in old.items() if at not in new
    ]
    changes += [
        SchemaChange("added", column["name"], None, _type(column)) for at, column in new.items() if at not in old
    ]
    both = [(old[at], new[at]) for at in old if at in new]
    changes += [SchemaChange("renamed", b["name"], a["name"], b["name"]) for a, b in both if a["name"] != b["name"]]
    changes += [SchemaChange("retyped", b["name"], _type(a), _type(b)) for a, b in both if _type(a) != _type(b)]
    changes += [SchemaChange("nullable", b["name"], _nulls(a), _nulls(b)) for a, b in both if _nulls(a) != _nulls(b)]
    return changes


def columns_back(before: Manifest, after: Manifest) -> list[str]:
    """Return the columns of `after` that `before` has dropped: parts of both may hold values of them."""
    gone = set(before.root.gone)
    return [column["name"] for column in after.schema_json if _stored(column) in gone] if gone else []


def names_in_later(before: Manifest, after: Manifest) -> dict[str, str]:
    """Return by each column of `before` the name under which it is compared: the one that it has in `after`.

    A column that `after` has not keeps its name, with `~` behind it where another column has taken it.
    """
    later = {_stored(column): column["name"] for column in after.schema_json}
    taken = set(later.values())
    names = {}
    for column in before.schema_json:
        name = later.get(_stored(column))
        names[column["name"]] = name if name is not None else _free(column["name"], taken)
        taken.add(names[column["name"]])
    return names


def view_of(before: Manifest, after: Manifest) -> pa.Schema:
    """Return the schema by which rows of `before` are compared with `after`: its names, and its types where they fit.

    A column whose new type does not hold all values of the old keeps the old: rows that have a value in it differ.
    """
    import pyarrow as pa

    from dataplat.lake.schema import stored_as, stored_name

    names = names_in_later(before, after)
    later = {stored_name(field): field.type for field in after.schema}
    fields = []
    for field in before.schema:
        stored = stored_name(field)
        wider = later.get(stored)
        kind = wider if wider is not None and _widens(wider, field.type) else field.type
        fields.append(stored_as(pa.field(names[field.name], kind), stored))
    return pa.schema(fields)


_FLOAT_INTEGERS = {16: 11, 32: 24, 64: 53}
"""Bits of an integer that a float of so many bits holds exactly."""


def _widens(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether every value of `narrow` can be read as one of `wide`: within a family, or an integer as a larger number."""
    import pyarrow as pa

    from dataplat.versioning.modes._types import holds

    if holds(wide, narrow):
        return True
    if not pa.types.is_integer(narrow):
        return bool(
            pa.types.is_decimal(wide)
            and pa.types.is_decimal(narrow)
            and wide.scale >= narrow.scale
            and wide.precision - wide.scale >= narrow.precision - narrow.scale
        )
    if pa.types.is_floating(wide):
        return bool(narrow.bit_width - pa.types.is_signed_integer(narrow) <= _FLOAT_INTEGERS[wide.bit_width])
    return bool(pa.types.is_decimal(wide) and 10 ** (wide.precision - wide.scale) >= 2**narrow.bit_width)


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "~"
    return name


def _stored(column: dict[str, Any]) -> str:
    return str(column.get("stored", column["name"]))


def _type(column: dict[str, Any]) -> str:
    kind = column["type"]
    return kind if isinstance(kind, str) else str(kind)


def _nulls(column: dict[str, Any]) -> str:
    return "null" if column.get("nullable", True) else "never null"
