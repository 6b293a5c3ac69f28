"""Which schema a dataset has after an ingest, and how the input is read to fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataplat.errors import SchemaMismatch
from dataplat.lake.canonical import family
from dataplat.lake.schema import canonical_schema, did_you_mean, plain_schema, stored_like
from dataplat.versioning.modes import holds, keeps_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat.ingest._request import IngestRequest
    from dataplat.validation import Contract

_EXACT = (frozenset({"int", "float", "decimal"}), frozenset({"date", "timestamp"}))
"""Families whose values may go over into each other; `conform` refuses each value that would change."""

_SIGNED = (pa.int16(), pa.int32(), pa.int64())


def landed_schema(
    existing: pa.Schema | None, incoming: pa.Schema, *, whole: bool, gone: Sequence[str] = ()
) -> pa.Schema:
    """Return what the dataset's schema becomes, with the stored names of its columns; `gone` are those nobody may take.

    A new dataset, or one replaced as a `whole`, takes the input's; in the dataset's order if the names are the same,
    so that the same rows make no new version. Otherwise the input must have every column of the dataset; columns that
    only the input has are added; a column of the same kind takes the wider type, and one that is never null stays so:
    input does not say whether it may be null, an evolution does. Between integers, floats and
    decimals, or dates and times without zone, the dataset's type stays, and each value must fit it exactly.

    Raises:
        SchemaMismatch: The input has no column, lacks one of the dataset, or has one of another kind of type.
    """
    incoming = canonical_schema(incoming)
    if not incoming.names:
        raise SchemaMismatch("the input has no column: there is nothing to land")
    if existing is None:
        return incoming
    if whole:
        order = existing.names if set(existing.names) == set(incoming.names) else incoming.names
        schema = pa.schema([_wider_if_alike(existing, incoming.field(name)) for name in order])
        return stored_like(schema, existing, gone) if keeps_rows(existing, schema) else schema
    missing = [name for name in existing.names if name not in incoming.names]
    if missing:
        new = [name for name in incoming.names if name not in existing.names]
        guess = did_you_mean(missing[0], new) if new else ""
        message = (
            f"the input has no column {missing[0]!r}, which the dataset has{guess}. "
            "Add the column to the input (it may be empty), or land the rows in another dataset."
        )
        raise SchemaMismatch(message)
    fields = [_merged(field, incoming.field(field.name)) for field in existing]
    added = [field.with_nullable(True) for field in incoming if field.name not in existing.names]
    return stored_like(pa.schema([*fields, *added]), existing, gone)


def _merged(ours: pa.Field, theirs: pa.Field) -> pa.Field:
    if pa.types.is_null(theirs.type) or ours.type == theirs.type:
        return ours
    if pa.types.is_null(ours.type):
        return theirs.with_nullable(True)
    kind = _wider(ours.type, theirs.type)
    if kind is None:
        message = (
            f"column {ours.name!r} is {ours.type} in the dataset and {theirs.type} in the input. "
            "Convert the input, or land it with a schema that says so (--schema FILE)."
        )
        raise SchemaMismatch(message)
    return ours.with_type(kind)


def _wider_if_alike(existing: pa.Schema, field: pa.Field) -> pa.Field:
    """Return a column of rows that replace all others: the dataset's type, where it holds the input's, or wider."""
    if field.name not in existing.names:
        return field
    ours = existing.field(field.name)
    field = field.with_nullable(field.nullable and ours.nullable)
    kind = _wider(ours.type, field.type)
    return field.with_type(kind) if kind is not None and holds(kind, field.type) else field


def _wider(ours: pa.DataType, theirs: pa.DataType) -> pa.DataType | None:
    """Return a type that holds both; else the dataset's own if values may fit it; None where the kinds differ."""
    for kind in (ours, theirs, *_SIGNED):
        if holds(kind, ours) and holds(kind, theirs):
            return kind
    kinds = {family(ours), family(theirs)}
    if kinds == {"int"} and holds(pa.int64(), ours):
        return pa.int64()
    return ours if len(kinds) == 1 or any(kinds <= group for group in _EXACT) else None


def reading_schema(request: IngestRequest, existing: pa.Schema | None) -> pa.Schema | None:
    """Return the types by which text is read: the dataset's, else those that the contract asks for."""
    if existing is not None and not request.replaces_all:
        return plain_schema(existing)
    if request.contract is None:
        return None
    wanted = asked_types(request.contract)
    return wanted if wanted.names else None


def asked_types(contract: Contract) -> pa.Schema:
    """Return the types by which text is read that is to meet a contract."""
    return pa.schema(list(contract.types().items()))


def check_columns(schema: pa.Schema, names: Sequence[str], what: str) -> None:
    """Raise `SchemaMismatch` if a column named as `what` (key, sort, order) is not there, or has no order."""
    for name in names:
        if name not in schema.names:
            message = f"the {what} column {name!r} is not in the input{did_you_mean(name, schema.names)}"
            raise SchemaMismatch(message)
        kind = schema.field(name).type
        if what != "key" and not _has_order(kind):
            raise SchemaMismatch(f"the {what} column {name!r} is {kind}, whose values have no order: choose another")


def _has_order(kind: pa.DataType) -> bool:
    try:
        pa.array([], kind).sort()
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return False
    return True
