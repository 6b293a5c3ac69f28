"""Which Arrow types hold the same values: the families of canonical values, and how each is laid bare.

Content id, diff, upsert, merge and keys all compare values by this one table, so that integer width, string
encoding, dictionary, zone name or list layout never make equal data look different. `docs/content-id.md` is
the definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

_SIMPLE: Final = (  # predicate of pyarrow.types, family; the order of first match does not matter
    ("is_null", "null"),
    ("is_boolean", "bool"),
    ("is_integer", "int"),
    ("is_floating", "float"),
    ("is_decimal", "decimal"),
    ("is_string", "string"),
    ("is_large_string", "string"),
    ("is_string_view", "string"),
    ("is_binary", "binary"),
    ("is_large_binary", "binary"),
    ("is_binary_view", "binary"),
    ("is_fixed_size_binary", "binary"),
    ("is_date", "date"),
    ("is_time", "time"),
    ("is_duration", "duration"),
    ("is_list", "list"),
    ("is_large_list", "list"),
    ("is_list_view", "list"),
    ("is_large_list_view", "list"),
    ("is_fixed_size_list", "list"),
    ("is_map", "map"),
    ("is_struct", "struct"),
)


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values behind dictionary, run-end-encoded and extension types (outermost level only)."""
    import pyarrow as pa

    while True:
        if isinstance(kind, (pa.DictionaryType, pa.RunEndEncodedType)):
            kind = kind.value_type
        elif isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        else:
            return kind


def family(kind: pa.DataType) -> str:
    """Return the canonical family of a type.

    One of `null`, `bool`, `int`, `float`, `decimal`, `string`, `binary`, `date`, `time`, `timestamp` (naive),
    `timestamp_tz` (aware), `duration`, `list`, `map`, `struct`. Values of two families are never equal; values
    of one family compare by value, whatever the width, unit, zone name or encoding.

    Raises:
        SchemaError: The type has no canonical values (unions, calendar intervals).
    """
    from pyarrow import types

    kind = plain(kind)
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamp_tz"
    for predicate, name in _SIMPLE:
        if getattr(types, predicate)(kind):
            return name
    raise SchemaError(f"type {kind} has no canonical values, so dataplat cannot hold it; cast it to another type first")


def family_tree(kind: pa.DataType) -> str:
    """Return the family with those of its children, as the content id spells it: `list<struct<a:int,b:string>>`.

    Children of a struct are sorted by name (as UTF-8 bytes) and spelt as JSON strings, so any name is safe.
    """
    import json

    kind = plain(kind)
    name = family(kind)
    if name == "list":
        return f"list<{family_tree(kind.value_type)}>"
    if name == "map":
        return f"map<{family_tree(kind.key_type)},{family_tree(kind.item_type)}>"
    if name == "struct":
        children = sorted((kind.field(i) for i in range(kind.num_fields)), key=lambda field: field.name.encode())
        spelt = (f"{json.dumps(field.name, ensure_ascii=False)}:{family_tree(field.type)}" for field in children)
        return f"struct<{','.join(spelt)}>"
    return name
