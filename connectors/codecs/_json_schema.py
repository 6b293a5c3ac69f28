"""JSON with a schema from a registry: read as columns, with the types that it says, and each message held to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from dataplat.connectors.codecs._codec import Decoded, Records, Reject
from dataplat.connectors.codecs._groups import decode_others, nothing
from dataplat.connectors.codecs._json import JsonCodec
from dataplat.connectors.codecs._unify import Apart, together
from dataplat.errors import MissingExtra, SchemaError

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

_TYPES: Final = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}


class JsonSchemaCodec:
    """Decodes JSON objects that `text`, a JSON Schema, describes; `references` are schemas that it refers to by name.

    Raises:
        SchemaError: It is no JSON Schema, or refers to one that is not there.
        MissingExtra: jsonschema-rs is not installed.
    """

    def __init__(self, text: str, references: Mapping[str, str] | None = None) -> None:
        try:
            import jsonschema_rs
        except ImportError as error:
            raise MissingExtra(
                "messages with a JSON Schema need jsonschema-rs: pip install 'dataplat[kafka-registry]'"
            ) from error
        try:
            schema = json.loads(text)
            named = {name: json.loads(other) for name, other in (references or {}).items()}
            self._validator = jsonschema_rs.validator_for(schema, retriever=lambda uri: _named(named, uri))
        except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise SchemaError(f"the JSON Schema cannot be used: {error}") from error
        self._declared = _declared(schema)
        self._json = JsonCodec()

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        try:
            like = self._declared if like is None else together(like, self._declared)
        except Apart as apart:
            everyone = [Reject(i, str(apart), apart.column) for i in range(len(records))]
            return Decoded(nothing(), np.empty(0, dtype=np.int64), everyone)
        return decode_others(records, self._not_as_it_says(records), self._json, like if like.names else None)

    def _not_as_it_says(self, records: Records) -> list[Reject]:
        """Return rejects of what is JSON, but not as the schema says: nothing of it is to have a say in types."""
        read = msgspec.json.Decoder().decode
        valid = self._validator.is_valid
        rejects = []
        for i, text in enumerate(records.values.to_pylist()):
            try:
                value = read(text or b"")
            except (ValueError, RecursionError):
                continue  # what reads it as columns says what is wrong with it
            if not valid(value):
                error = next(iter(self._validator.iter_errors(value)))
                rejects.append(Reject(i, _said(error), _column(error)))
        return rejects


def _named(named: Mapping[str, Any], uri: str) -> Any:
    """Return a schema that is referred to: by the name it was given, behind whatever base that was put."""
    for name, schema in named.items():
        if uri == name or uri.endswith(("/" + name, ":" + name)):
            return schema
    raise LookupError(f"the schema {uri!r} is not among the references of this one")


def _declared(schema: Any) -> pa.Schema:
    """Return the columns whose type the schema says plainly; of the others it is seen in the messages."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    fields = []
    for name, said in (properties if isinstance(properties, dict) else {}).items():
        kind = _TYPES.get(_plain_type(said))
        if kind is not None:
            fields.append(pa.field(name, kind))
    return pa.schema(fields)


def _plain_type(said: Any) -> str:
    """Return the one type that a value has where it is not null, "" where that is not plain."""
    if not isinstance(said, dict):
        return ""
    if "type" in said:
        types = said["type"] if isinstance(said["type"], list) else [said["type"]]
    else:
        choices = said.get("oneOf") or said.get("anyOf") or ()
        types = [one.get("type") if isinstance(one, dict) else None for one in choices]
    plain = [one for one in types if one != "null"]
    return plain[0] if len(plain) == 1 and isinstance(plain[0], str) else ""


def _said(error: ValidationError) -> str:
    return f"not as the schema says at {_path(error)}: {error.message}"


def _path(error: ValidationError) -> str:
    return "/" + "/".join(str(step) for step in error.instance_path)


def _column(error: ValidationError) -> str | None:
    return str(error.instance_path[0]) if error.instance_path else None
