"""Which schema a dataset has after an ingest, and how the input is read to fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataplat.errors import SchemaMismatch
from dataplat.lake.canonical import family
from dataplat.lake.schema import canonical_schema, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER_OF_UNIT = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def landed_schema(existing: pa.Schema | None, incoming: pa.Schema, *, whole: bool) -> pa.Schema:
    """Return what the dataset's schema becomes.

    A new dataset, or one replaced as a `whole`, takes the input's. Otherwise the input must have every column of
    the dataset; columns that only the input has are added; a column of the same kind takes the wider type.

    Raises:
        SchemaMismatch: A column of the dataset is missing in the input, or has another kind of type.
    """
    incoming = canonical_schema(incoming)
    if existing is None:
        return incoming
    if whole:
        return pa.schema([_wider_if_alike(existing, field) for field in incoming])
    missing = [name for name in existing.names if name not in incoming.names]
    if missing:
        new = [name for name in incoming.names if name not in existing.names]
        message = (
            f"the input has no column {missing[0]!r}, which the dataset has{did_you_mean(missing[0], new)}. "
            "Add the column to the input (it may be empty), or land the rows in another dataset."
        )
        raise SchemaMismatch(message)
    fields = [_merged(field, incoming.field(field.name)) for field in existing]
    added = [field.with_nullable(True) for field in incoming if field.name not in existing.names]
    return pa.schema([*fields, *added])


def _merged(ours: pa.Field, theirs: pa.Field) -> pa.Field:
    nullable = ours.nullable or theirs.nullable
    if pa.types.is_null(theirs.type) or ours.type == theirs.type:
        return ours.with_nullable(nullable)
    if pa.types.is_null(ours.type):
        return theirs.with_nullable(True)
    kind = _wider(ours.type, theirs.type)
    if kind is None:
        message = (
            f"column {ours.name!r} is {ours.type} in the dataset and {theirs.type} in the input. "
            "Convert the input, or land it with a schema that says so (--schema FILE)."
        )
        raise SchemaMismatch(message)
    return pa.field(ours.name, kind, nullable)


def _wider_if_alike(existing: pa.Schema, field: pa.Field) -> pa.Field:
    if field.name not in existing.names:
        return field
    kind = _wider(existing.field(field.name).type, field.type)
    alike = kind is not None and family(kind) == family(field.type)
    return field.with_type(kind) if alike else field


def _wider(ours: pa.DataType, theirs: pa.DataType) -> pa.DataType | None:
    """Return the type that holds both exactly, in favour of `ours`; None where the kinds differ."""
    if ours == theirs:
        return ours
    kinds = family(ours), family(theirs)
    if kinds == ("float", "int"):
        return ours  # each value must fit exactly: `conform` refuses those that do not
    if kinds[0] != kinds[1]:
        return None
    if kinds[0] == "int":
        return _wider_int(ours, theirs)
    if kinds[0] in {"float", "date"}:
        return max(ours, theirs, key=lambda kind: kind.bit_width)
    if kinds[0] in {"timestamp", "timestamp_tz", "time", "duration"}:
        return max(ours, theirs, key=lambda kind: _NUMBER_OF_UNIT[kind.unit])
    return ours


def _wider_int(ours: pa.DataType, theirs: pa.DataType) -> pa.DataType:
    signed = pa.types.is_signed_integer(ours), pa.types.is_signed_integer(theirs)
    if signed[0] == signed[1]:
        return max(ours, theirs, key=lambda kind: kind.bit_width)
    wanted = max(
        kind.bit_width * (1 if is_signed else 2) for kind, is_signed in zip((ours, theirs), signed, strict=True)
    )
    return {16: pa.int16(), 32: pa.int32()}.get(wanted, pa.int64())


def reading_schema(
    given: pa.Schema | None, existing: pa.Schema | None, hints: dict[str, pa.DataType], *, whole: bool
) -> pa.Schema | None:
    """Return the types by which text is read: those given, else the dataset's, else those the contract asks for."""
    if given is not None:
        return given
    if existing is not None and not whole:
        return existing
    return pa.schema(list(hints.items())) if hints else None


def check_columns(schema: pa.Schema, names: Sequence[str], what: str) -> None:
    """Raise `SchemaMismatch` if a column named as `what` (key, sort, order) is not there."""
    for name in names:
        if name not in schema.names:
            message = f"the {what} column {name!r} is not in the input{did_you_mean(name, schema.names)}"
            raise SchemaMismatch(message)
