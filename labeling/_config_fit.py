"""Holds a label config against data: columns that are there, shown, and of a kind that the tag takes; and fits tasks to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataplat.errors import LabelConfigError
from dataplat.labeling._tags import CHOICES, LABELS, TAKES, Kind
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.labeling._config_reading import Reference

ID: Final = "dataplat_id"  # the field of a task that holds whose question it is
_READABLE: Final = re.compile(r"[A-Za-z0-9_]+")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_]+)|\[[^\]]*\]")
_WORDS: Final = {"text": "text", "number": "a number", "list": "a list", "object": "a record", "bytes": "bytes"}
_VALUES: Final = frozenset({"value", "valueList", "text", "on"})  # the attributes that the server checks
_EMPTY: Final = {
    "Chat": list,
    "List": list,
    "Paragraphs": list,
    "Ranker": list,
    "Repeater": list,
    "Table": dict,
    "TimeSeries": dict,
}


def check_fit(references: Iterable[Reference], schema: pa.Schema, show: Sequence[str]) -> None:
    """Raise `LabelConfigError` for the first reference that cannot be shown."""
    for name in show:
        if name not in schema.names:
            raise LabelConfigError(f"there is no column {name!r} to show{did_you_mean(name, schema.names)}")
        if name == ID:
            raise LabelConfigError(f"a column shown may not be called {ID}: tasks hold their own id there; rename it")
    for each in references:
        if each.column not in schema.names:
            raise LabelConfigError(f"{each}, but {_unreadable(each, schema) or _missing(each, schema)}")
        if each.column not in show:
            raise LabelConfigError(f"{each}, but of the data only {', '.join(show)} is shown: show {each.column}, too")
        _check_kind(each, _inner_type(each, schema.field(each.column).type))


def check_column_name(column: str, schema: pa.Schema) -> None:
    """Raise `LabelConfigError` where a column is not there, or has a name that no config can refer to."""
    if column not in schema.names:
        raise LabelConfigError(f"there is no column {column!r} to show{did_you_mean(column, schema.names)}")
    if not _READABLE.fullmatch(column):
        raise LabelConfigError(_reads_only(column))


def fit(references: Iterable[Reference], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's data so that the server takes it: what is null becomes empty, numbers that are shown become text."""
    fitted = dict(data)
    for each in references:
        steps = [step[1] for step in _STEP.finditer(each.path)]
        if each.whole and each.attribute in _VALUES and None not in steps:
            _fit(each, fitted, [each.column, *steps])
    return fitted


def _fit(each: Reference, record: dict[str, Any], path: Sequence[str]) -> None:
    """Fit one field, or a field of a record in it; records are copied, so that the data given stays as it is."""
    name, *rest = path
    value = record.get(name)
    if rest:
        if value is None or isinstance(value, dict):
            record[name] = dict(value or {})
            _fit(each, record[name], rest)
    elif value is None:
        record[name] = _empty(each)
    elif not isinstance(value, str | list | dict):
        record[name] = msgspec.json.encode(value).decode()


def _empty(each: Reference) -> Any:
    """Return what a tag takes in place of null."""
    if each.media:
        return ""
    kind = list if each.tag in CHOICES | LABELS else _EMPTY.get(each.tag, str)
    return kind()


def _unreadable(each: Reference, schema: pa.Schema) -> str | None:
    """Say where a column is meant that Label Studio cannot read, since it takes ASCII letters, digits and _ only."""
    meant = [name for name in schema.names if f"${name}" in each.text and not _READABLE.fullmatch(name)]
    if not meant:
        return None
    return _reads_only(max(meant, key=len))


def _reads_only(name: str) -> str:
    better = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"of {name!r} Label Studio reads only letters a to z, digits and _: call the column {better!r} in the data"


def _missing(each: Reference, schema: pa.Schema) -> str:
    return f"the data has no such column{did_you_mean(each.column, schema.names)}"


def _inner_type(each: Reference, kind: pa.DataType) -> pa.DataType:
    """Return the type of what a reference with a path names."""
    import pyarrow as pa

    for step in _STEP.finditer(each.path):
        name = step[1]
        if name is None and kind_of(kind) == "list":
            kind = kind.value_type
        elif name is not None and pa.types.is_struct(kind) and kind.get_field_index(name) >= 0:
            kind = kind.field(name).type
        elif name is None or not pa.types.is_map(kind):  # whether a map has the key is known of each row only
            names = [field.name for field in kind] if pa.types.is_struct(kind) else []
            there = did_you_mean(name, names) if name and names else f"; {each.column} is {kind}"
            raise LabelConfigError(f"{each}, but there is nothing at {step[0]}{there}")
        else:
            kind = kind.item_type
    return kind


def kind_of(kind: pa.DataType) -> Kind:
    """Return what values of a type are in a task (`dataplat.labeling.task.payload`)."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return kind_of(kind.value_type)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_struct(kind) or types.is_map(kind):
        return "object"
    if types.is_nested(kind):
        return "list"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytes"
    return "bytes" if types.is_binary_view(kind) else "text"


def _check_kind(each: Reference, kind: pa.DataType) -> None:
    found = kind_of(kind)
    taken = set(_taken(each))
    if found not in taken:
        wanted = " or ".join(_WORDS[each] for each in ("text", "number", "list", "object", "bytes") if each in taken)
        raise LabelConfigError(f"{each}, but the column is {kind}: <{each.tag}> takes {wanted}{_way_out(each, found)}")


def _way_out(each: Reference, found: Kind) -> str:
    if found == "bytes" and each.path:
        return "; give these bytes a column of their own"
    if found == "bytes":
        return "; show pictures, sounds and videos with <Image>, <Audio> or <Video>"
    if found == "object":
        return "; refer to a field of it, as $column.field"
    return ""


def _taken(each: Reference) -> Iterator[Kind]:
    """Yield what may stand where a reference does."""
    if each.tag == "Repeater" or (each.attribute == "valueList"):
        yield "list"
    elif each.media and each.tag in TAKES and each.whole:
        yield "text"
        if not each.path:  # links are made to bytes of whole columns
            yield "bytes"
        if each.tag == "Image":
            yield "list"
    elif each.tag in CHOICES | LABELS:
        yield from ("text", "list")
    else:
        yield "text"
        if not each.media:
            yield "number"
        if each.whole:
            yield from TAKES.get(each.tag, ())
