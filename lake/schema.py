"""The schema of a dataset: plain Arrow types, readable as JSON, and input brought to it without loss."""

from __future__ import annotations

import re
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from dataplat.errors import SchemaError, SchemaMismatch
from dataplat.lake.canonical import family, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pyarrow as pa

    Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

JsonType: TypeAlias = "str | dict[str, Any]"
"""A type as the manifest spells it: `"int64"`, `"timestamp[us, UTC]"`, `{"list": "string"}`, …"""

_UTC: Final = frozenset({"+00:00", "-00:00", "+0000", "Z", "utc", "Etc/UTC", "Etc/UCT", "UCT", "Zulu"})
_STORED: Final = b"stored"
_NAMES: Final = {"float": "float32", "double": "float64", "halffloat": "float16", "date32[day]": "date"}
_PARAMETER: Final = re.compile(r"^(time|timestamp|duration|decimal|binary)[\[(]\s*(\w+)\s*(?:,\s*([^\])]+?)\s*)?[\])]$")
_PLAIN: Final = [
    "null",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "string",
    "binary",
]


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema that a lake stores for `schema`.

    Dictionary, run-end-encoded, view, large and extension types become the plain type of the same values,
    whole seconds become milliseconds and `date64` becomes `date32` (Parquet has neither), a zone that is
    only another spelling of UTC becomes `UTC`, metadata is dropped and what lies inside lists and structs may be
    null: what is left is what a part can hold and give back unchanged.

    Raises:
        SchemaError: A column has no name, a name occurs twice, or a type cannot be held in Parquet.
    """
    import pyarrow as pa

    _check_names(schema.names, "the schema")
    return pa.schema(
        [pa.field(field.name, _canonical_type(field.type, field.name), nullable=field.nullable) for field in schema]
    )


def conform(rows: Rows, schema: pa.Schema, *, first_row: int = 0) -> Rows:
    """Return `rows` with exactly the columns, order and types of `schema`, every value unchanged.

    Columns are matched by name. A value may change its type (3 to 3.0, a date to midnight, a decimal's scale)
    only where the new type holds it exactly. `first_row` is how many rows came before these, for messages.

    Raises:
        SchemaMismatch: A column is missing or not in `schema`, or a value does not fit; names column, row (counted
            from 1) and value.
    """
    if rows.schema.equals(schema, check_metadata=True) and not any(
        rows.column(field.name).null_count for field in schema if not field.nullable
    ):
        return rows
    from dataplat.lake._conform import conform_rows

    _check_names(rows.schema.names, "the input")
    _check_columns(rows.schema.names, schema.names)
    return conform_rows(rows, schema, first_row)


def stored_name(field: pa.Field) -> str:
    """Return the name under which parts hold a column: it stays what it was when the column is renamed."""
    stored = None if field.metadata is None else field.metadata.get(_STORED)
    return field.name if stored is None else str(stored.decode())


def stored_as(field: pa.Field, stored: str) -> pa.Field:
    """Return the field with `stored` as its stored name, which only metadata of an inner schema says."""
    return field.with_metadata(None if stored == field.name else {_STORED: stored.encode()})


def stored_in(column: Mapping[str, Any]) -> str:
    """Return the stored name of a column in its JSON form."""
    return str(column.get("stored", column["name"]))


def stored_like(schema: pa.Schema, like: pa.Schema | None, gone: Collection[str] = ()) -> pa.Schema:
    """Return `schema` with the stored names that columns of the same name have in `like`, and fresh ones for others.

    `gone` are stored names of dropped columns, which parts may still hold and nobody may take.
    """
    import pyarrow as pa

    old = {} if like is None else {field.name: stored_name(field) for field in like}
    taken = {*old.values(), *gone}
    return pa.schema(
        [stored_as(field, old.get(field.name) or fresh_stored_name(field.name, taken)) for field in schema]
    )


def fresh_stored_name(name: str, taken: Collection[str]) -> str:
    """Return the stored name of a new column: its name, or where that is `taken`, the name with six hex digits more.

    It follows from what is taken, so two branches that add the same column to the same version add one column.
    """
    if name not in taken:
        return name
    alike = sorted(other for other in taken if other == name or other.startswith(f"{name}~"))
    while True:
        stored = f"{name}~{sha256(' '.join(alike).encode()).hexdigest()[:6]}"
        if stored not in taken:
            return stored
        alike.append(stored)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema as users see it: without stored names."""
    import pyarrow as pa

    if not any(field.metadata and _STORED in field.metadata for field in schema):
        return schema
    return pa.schema([stored_as(field, field.name) for field in schema])


def plain_columns(columns: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a schema's JSON form as users see it: without stored names."""
    return [{key: value for key, value in column.items() if key != "stored"} for column in columns]


def schema_to_json(schema: pa.Schema) -> list[dict[str, Any]]:
    """Return a canonical schema as JSON: a list of `{"name", "type", "nullable"}`, readable by people.

    A column whose stored name is another has it as `"stored"`.
    """
    return [
        _field_to_json(field) | ({} if stored_name(field) == field.name else {"stored": stored_name(field)})
        for field in schema
    ]


def schema_from_json(fields: Iterable[dict[str, Any]]) -> pa.Schema:
    """Return the schema that `schema_to_json` wrote (or a person, in the same words).

    Raises:
        SchemaError: A type is not known, or a name is empty or there twice.
    """
    import pyarrow as pa

    columns = list(fields)
    schema = pa.schema([_field_from_json(column) for column in columns])
    _check_names(schema.names, "the schema")
    if any("stored" in column for column in columns):
        schema = pa.schema([stored_as(field, stored_in(column)) for field, column in zip(schema, columns, strict=True)])
    return schema


def parse_type(spelt: JsonType) -> pa.DataType:
    """Return the Arrow type of its JSON form, such as `"decimal(10, 2)"` or `{"list": "int64"}`."""
    import pyarrow as pa

    if isinstance(spelt, str):
        return _parse_word(spelt)
    match spelt:
        case {"list": item, "size": size}:
            return pa.list_(parse_type(item), size)
        case {"list": item}:
            return pa.list_(parse_type(item))
        case {"map": [key, value]}:
            return pa.map_(parse_type(key), parse_type(value))
        case {"struct": fields}:
            return pa.struct([_field_from_json(field) for field in fields])
    raise SchemaError(
        f"unknown type {spelt!r}; a nested type is {{'list': …}}, {{'map': [key, value]}} or {{'struct': […]}}"
    )


def type_text(spelt: JsonType) -> str:
    """Return one line for a type in its JSON form, such as `list<struct<a: int64>>`; needs no pyarrow."""
    if isinstance(spelt, str):
        return spelt
    match spelt:
        case {"list": item, "size": size}:
            return f"list<{type_text(item)}>[{size}]"
        case {"list": item}:
            return f"list<{type_text(item)}>"
        case {"map": [key, value]}:
            return f"map<{type_text(key)}, {type_text(value)}>"
        case {"struct": fields}:
            inner = ", ".join(f"{field['name']}: {type_text(field['type'])}" for field in fields)
            return f"struct<{inner}>"
    return str(spelt)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?` for the nearest of `names`, else the names there are (for error messages)."""
    names = list(names)
    near = get_close_matches(name, names, n=3, cutoff=0.6)
    near += [other for other in names if other.lower() == name.lower() and other not in near]
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"; there are: {shown}" if names else "; there are no columns"


def _check_names(names: Sequence[str], whose: str) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not name:
            raise SchemaError(f"column {position} of {whose} has no name; name it")
        if name in seen:
            raise SchemaError(f"column {name!r} occurs twice in {whose}; rename one")
        seen.add(name)


def _check_columns(given: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in set(given)]
    extra = [name for name in given if name not in set(wanted)]
    if extra:
        raise SchemaMismatch(f"column {extra[0]!r} is not in the dataset{did_you_mean(extra[0], missing or wanted)}")
    if missing:
        raise SchemaMismatch(f"column {missing[0]!r} is missing in the input{did_you_mean(missing[0], given)}")


def _canonical_type(kind: pa.DataType, path: str) -> pa.DataType:
    import pyarrow as pa

    kind = plain(kind)
    match family(kind):
        case "string":
            return pa.string()
        case "binary":
            return kind if pa.types.is_fixed_size_binary(kind) else pa.binary()
        case "date":
            return pa.date32()
        case "time":
            return pa.time32("ms") if kind.unit == "s" else kind
        case "timestamp" | "timestamp_tz":
            return pa.timestamp("ms" if kind.unit == "s" else kind.unit, "UTC" if kind.tz in _UTC else kind.tz)
        case "decimal":
            return (pa.decimal128 if kind.precision <= 38 else pa.decimal256)(kind.precision, kind.scale)
        case "list" | "map" | "struct":
            return _canonical_nested(kind, path)
    return kind


def _canonical_nested(kind: pa.DataType, path: str) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_map(kind):
        return pa.map_(_canonical_type(kind.key_type, f"{path}.key"), _canonical_type(kind.item_type, f"{path}.value"))
    if pa.types.is_struct(kind):
        if not kind.num_fields:
            raise SchemaError(f"column {path!r} is a struct without fields, which Parquet cannot hold; drop it")
        fields = [kind.field(i) for i in range(kind.num_fields)]
        _check_names([field.name for field in fields], f"struct {path!r}")
        return pa.struct(
            [pa.field(field.name, _canonical_type(field.type, f"{path}.{field.name}")) for field in fields]
        )
    item = _canonical_type(kind.value_type, f"{path}[]")
    if pa.types.is_fixed_size_list(kind):
        if not kind.list_size:
            raise SchemaError(f"column {path!r} is a list of fixed size 0, which Parquet cannot hold; drop it")
        return pa.list_(item, kind.list_size)
    return pa.list_(item)


def _field_to_json(field: pa.Field) -> dict[str, Any]:
    return {"name": field.name, "type": type_to_json(field.type), "nullable": field.nullable}


def _field_from_json(spelt: object) -> pa.Field:
    import pyarrow as pa

    if not isinstance(spelt, dict) or "name" not in spelt or "type" not in spelt:
        raise SchemaError(f"a field is {{'name': …, 'type': …}}, not {spelt!r}")
    return pa.field(spelt["name"], parse_type(spelt["type"]), nullable=spelt.get("nullable", True))


def type_to_json(kind: pa.DataType) -> JsonType:
    """Return the JSON form of a type, which `parse_type` reads (of a canonical one without loss)."""
    match family(kind):
        case "list":
            size = {"size": kind.list_size} if hasattr(kind, "list_size") else {}
            return {"list": type_to_json(kind.value_type), **size}
        case "map":
            return {"map": [type_to_json(kind.key_type), type_to_json(kind.item_type)]}
        case "struct":
            return {"struct": [_field_to_json(kind.field(i)) for i in range(kind.num_fields)]}
    return type_word(kind)


def type_word(kind: pa.DataType) -> str:
    """Return the word for a type that is not nested, such as `timestamp[us, UTC]`."""
    match family(kind):
        case "time" | "duration" | "timestamp" as name:
            return f"{name}[{kind.unit}]"
        case "timestamp_tz":
            return f"timestamp[{kind.unit}, {kind.tz}]"
        case "decimal":
            return f"decimal({kind.precision}, {kind.scale})"
        case "binary" if _is_fixed(kind):
            return f"binary[{kind.byte_width}]"
    return _NAMES.get(str(kind), str(kind))


def _parse_word(word: str) -> pa.DataType:
    import pyarrow as pa

    if word in _PLAIN:
        return getattr(pa, "bool_" if word == "bool" else word)()
    if word == "date":
        return pa.date32()
    if match := _PARAMETER.match(word):
        name, first, second = match.groups()
        try:
            return _parametric(name, first, second)
        except (ValueError, TypeError):
            pass
    raise SchemaError(
        f"unknown type {word!r}; types are {', '.join(_PLAIN)}, date, time[us], timestamp[us], timestamp[us, UTC], duration[us], decimal(10, 2), binary[16]"
    )


def _parametric(name: str, first: str, second: str | None) -> pa.DataType:
    import pyarrow as pa

    match name, second:
        case "timestamp", zone:
            return pa.timestamp(first, zone)
        case "time", None:
            return pa.time32(first) if first in {"s", "ms"} else pa.time64(first)
        case "duration", None:
            return pa.duration(first)
        case "binary", None:
            return pa.binary(int(first))
        case "decimal", _:
            return (pa.decimal128 if int(first) <= 38 else pa.decimal256)(int(first), int(second or 0))
    raise ValueError(name)


def _is_fixed(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_binary(kind))
