"""An Avro schema as one that Polars reads exactly, of the same bytes; and how the columns are made of what it reads.

What Polars 2.1 cannot read has the same encoding as something that it can: a map is an array of pairs, an enum a number,
a name that is used twice two types, null a record of no fields. Numbers are read at full width and checked, so that
nothing wraps around silently.
"""

# ruff: noqa: ARG001 (nodes are made alike, whether they look at schema and type or not)

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.files._avro_types import arrow_schema
from dataplat.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema: TypeAlias = Any
Restore: TypeAlias = Callable[[pa.Array], pa.Array]

_PRIMITIVE = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_DAY = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How records of a schema are read: `fields` (without a name each) as they lie in the bytes, and their columns.

    `held` are the types of what is read, `kinds` those of the columns that `restore` makes of it.
    """

    fields: tuple[Schema, ...]
    held: tuple[pa.DataType, ...]
    kinds: pa.Schema
    restore: tuple[Restore, ...]


@dataclass(frozen=True, slots=True)
class _Node:
    wire: Schema
    held: pa.DataType
    restore: Restore


def wire_of(schema: Schema, named: Mapping[str, Schema] | None = None) -> Wire:
    """Return how records of `schema` are read; what is no record becomes the one column `value`.

    `named` are types that it names and does not define.

    Raises:
        SchemaError: It cannot be columns, or is no schema.
    """
    try:
        plain = _Plain(dict(named or {})).of(schema, "")
        if not isinstance(plain, dict) or plain["type"] != "record":
            plain = {"type": "record", "name": "value", "fields": [{"name": "value", "type": plain}]}
        kinds = arrow_schema(plain, "the schema")
        nodes = [_node(one["type"], kind) for one, kind in zip(plain["fields"], kinds.types, strict=True)]
    except SchemaError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SchemaError(f"the Avro schema cannot be read: {type(error).__name__}: {error}") from error
    if not len(kinds):
        raise SchemaError("the Avro schema is a record of no fields")
    if len(set(kinds.names)) < len(kinds):
        raise SchemaError("the Avro schema has a field twice")
    return Wire(
        tuple(node.wire for node in nodes),
        tuple(node.held for node in nodes),
        kinds,
        tuple(node.restore for node in nodes),
    )


def avro_columns(schema: Schema) -> pa.Schema:
    """Return the columns of messages that are written with `schema`, which is kept in the metadata.

    Raises:
        SchemaError: It cannot be columns, or is no schema.
    """
    return wire_of(schema).kinds.with_metadata({"avro.schema": json.dumps(schema)})


@dataclass(slots=True)
class _Plain:
    """Takes names apart: each use of a named type becomes a type of its own, with a name of its own."""

    named: dict[str, Schema]
    within: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def of(self, schema: Schema, space: str) -> Schema:
        if isinstance(schema, list):
            return [self.of(member, space) for member in schema]
        if isinstance(schema, str):
            return schema if schema in _PRIMITIVE else self._known(schema, space)
        kind = schema["type"]
        if isinstance(kind, dict | list) or kind not in {
            *_PRIMITIVE,
            "array",
            "map",
            "record",
            "error",
            "enum",
            "fixed",
        }:
            return self.of(kind, space)
        if kind == "array":
            items = self.of(schema["items"], space)
            if _is_nothing(items):
                raise SchemaError("an array of items that take no bytes may be of any length in none")
            return {"type": "array", "items": items}
        if kind == "map":
            return {"type": "map", "values": self.of(schema["values"], space)}
        if kind in _PRIMITIVE:
            return schema
        return self._define(schema, space)

    def _define(self, schema: Schema, space: str) -> Schema:
        full, space = _full(schema["name"], schema.get("namespace", space))
        self.named[full] = {**schema, "name": full, "namespace": space}
        own = {**schema, "name": f"n{next(self.numbers)}", "namespace": ""}
        if schema["type"] not in {"record", "error"}:
            return own
        if full in self.within:
            raise SchemaError(f"the Avro type {full!r} holds itself, and cannot be a column")
        self.within.append(full)
        fields = [{"name": one["name"], "type": self.of(one["type"], space)} for one in schema["fields"]]
        self.within.pop()
        return {"type": "record", "name": own["name"], "fields": fields}

    def _known(self, name: str, space: str) -> Schema:
        full, _ = _full(name, space)
        found = full if full in self.named else name
        if found not in self.named:
            raise SchemaError(f"the Avro type {name!r} is not defined")
        if found in self.within:
            raise SchemaError(f"the Avro type {found!r} holds itself, and cannot be a column")
        return self.of(self.named[found], self.named[found].get("namespace", ""))


def _full(name: str, space: str) -> tuple[str, str]:
    """Return the full name, and the name space that it is in."""
    if "." in name:
        return name, name.rpartition(".")[0]
    return (f"{space}.{name}" if space else name), space


def _is_nothing(schema: Schema) -> bool:
    if isinstance(schema, str):
        return schema == "null"
    if isinstance(schema, list):
        return False
    if schema["type"] == "record":
        return all(_is_nothing(one["type"]) for one in schema["fields"])
    return bool(schema["type"] == "null" or (schema["type"] == "fixed" and schema["size"] == 0))


def _node(schema: Schema, kind: pa.DataType) -> _Node:
    """Return how a value of `schema`, which becomes `kind`, is read."""
    if isinstance(schema, list):
        return _union(schema, kind)
    if isinstance(schema, str):
        schema = {"type": schema}
    made = _NODES.get(schema["type"])
    return made(schema, kind) if made is not None else _scalar(schema, kind)


def _union(members: list[Schema], kind: pa.DataType) -> _Node:
    others = [member for member in members if member != "null"]
    if len(members) != 2 or len(others) != 1:
        raise SchemaError(f"an Avro union of {len(members)} members cannot be a column, except null and another one")
    inner = _node(others[0], kind)
    return _Node([inner.wire if member != "null" else "null" for member in members], inner.held, inner.restore)


def _scalar(schema: Schema, kind: pa.DataType) -> _Node:
    type_ = schema["type"]
    if pa.types.is_decimal(kind):
        wire = {
            key: schema[key] for key in ("type", "name", "size", "logicalType", "precision", "scale") if key in schema
        }
        return _Node(wire, kind, _decimal)
    if type_ in {"int", "long"}:
        if pa.types.is_time(kind):
            factor = 1000 if schema["logicalType"] == "time-millis" else 1
            return _Node("long", pa.int64(), lambda array: _time(array, factor))
        if pa.types.is_date(kind):
            return _Node("long", pa.int64(), lambda array: array.cast(pa.int32()).cast(kind))
        return _Node("long", pa.int64(), lambda array: array.cast(kind))
    if type_ == "fixed":
        wire = {"type": "fixed", "name": schema["name"], "size": schema["size"]}
        return _Node(wire, pa.binary(), _uuid if pa.types.is_string(kind) else lambda array: array.cast(kind))
    return _Node(type_, kind, lambda array: array.cast(kind))


def _decimal(array: pa.Array) -> pa.Array:
    array.validate(full=True)  # more digits than it may have
    return array


def _time(array: pa.Array, factor: int) -> pa.Array:
    found = pc.multiply_checked(array, factor)
    if pc.any(pc.or_(pc.less(found, 0), pc.greater_equal(found, _DAY))).as_py():
        raise pa.ArrowInvalid("a time of day beyond 24 hours")
    return found.cast(pa.time64("us"))


def _uuid(array: pa.Array) -> pa.Array:
    return pa.array([None if one is None else str(uuid.UUID(bytes=one)) for one in array.to_pylist()], pa.string())


def _enum(schema: Schema, kind: pa.DataType) -> _Node:
    symbols = pa.array(schema["symbols"], kind)
    return _Node("long", pa.int64(), symbols.take)


def _null(schema: Schema, kind: pa.DataType) -> _Node:
    nothing = {"type": "record", "name": f"z{next(_NAMES)}", "fields": []}
    return _Node(nothing, pa.struct([]), lambda array: pa.nulls(len(array)))


def _array(schema: Schema, kind: pa.DataType) -> _Node:
    items = _node(schema["items"], kind.value_type)

    def restore(array: pa.Array) -> pa.Array:
        offsets, mask = _offsets(array)
        return pa.ListArray.from_arrays(offsets, items.restore(array.values), type=kind, mask=mask)

    return _Node({"type": "array", "items": items.wire}, pa.large_list(items.held), restore)


def _map(schema: Schema, kind: pa.DataType) -> _Node:
    values = _node(schema["values"], kind.item_type)
    pairs = [{"name": "f0", "type": "string"}, {"name": "f1", "type": values.wire}]
    wire = {"type": "array", "items": {"type": "record", "name": f"m{next(_NAMES)}", "fields": pairs}}

    def restore(array: pa.Array) -> pa.Array:
        offsets, mask = _offsets(array)
        keys, items = array.values.field(0).cast(pa.string()), values.restore(array.values.field(1))
        return pa.MapArray.from_arrays(offsets, keys, items, type=kind, mask=mask)

    return _Node(wire, pa.large_list(pa.struct([("f0", pa.large_string()), ("f1", values.held)])), restore)


def _record(schema: Schema, kind: pa.DataType) -> _Node:
    nodes = [_node(one["type"], field.type) for one, field in zip(schema["fields"], kind, strict=True)]
    fields = [{"name": f"f{i}", "type": node.wire} for i, node in enumerate(nodes)]

    def restore(array: pa.Array) -> pa.Array:
        if not nodes:
            return array.cast(kind)
        columns = [node.restore(array.field(i)) for i, node in enumerate(nodes)]
        return pa.StructArray.from_arrays(
            columns, fields=list(kind), mask=array.is_null() if array.null_count else None
        )

    held = pa.struct([(f"f{i}", node.held) for i, node in enumerate(nodes)])
    return _Node({"type": "record", "name": schema["name"], "fields": fields}, held, restore)


def _offsets(array: pa.LargeListArray) -> tuple[pa.Array, pa.Array | None]:
    return array.offsets.cast(pa.int32()), array.is_null() if array.null_count else None


_NAMES = count()
_NODES: Mapping[str, Callable[[Schema, pa.DataType], _Node]] = {
    "array": _array,
    "enum": _enum,
    "map": _map,
    "null": _null,
    "record": _record,
}
