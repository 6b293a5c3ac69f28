"""From the name of a format to its codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat.errors import ConfigError

FRAMED: Final = {"avro": "AVRO", "protobuf": "PROTOBUF", "json-schema": "JSON"}
"""Formats whose messages begin with the id of a schema, and what a registry calls them."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.connectors.codecs._codec import Codec


def open_codec(
    name: str,
    *,
    registry: str | None = None,
    schema: pa.Schema | None = None,
    key: Sequence[str] | None = None,
) -> Codec:
    """Return the codec of a format: json, text, bytes, avro, protobuf, json-schema, registry (what the registry says), debezium.

    `registry` is the URL of a schema registry; `schema` the types that JSON is read with, instead of guessing, or
    (`avro_columns`) the schema that Avro without a registry was written with; `key` the columns that name a row of change events (else those
    of the message key).

    Raises:
        ConfigError: There is no such format, or no such combination.
        MissingExtra: The packages that read it are not installed.
    """
    if registry is not None and name in {"text", "bytes", "json"}:
        hint = ", or name --format json-schema" if name == "json" else ""
        raise ConfigError(f"plain {name} needs no registry: leave --registry out{hint}")
    if name in {"text", "bytes"}:
        from dataplat.connectors.codecs._text import BytesCodec, TextCodec

        return TextCodec() if name == "text" else BytesCodec()
    if name == "json":
        from dataplat.connectors.codecs._json import JsonCodec

        return JsonCodec(schema)
    if name == "debezium":
        return _changes(registry, schema, key)
    if name == "registry" or name in FRAMED:
        return _framed(name, registry, schema)
    raise ConfigError(f"there is no format {name!r} of messages")


def _changes(registry: str | None, schema: pa.Schema | None, key: Sequence[str] | None) -> Codec:
    if schema is not None:
        raise ConfigError("change events bring their schemas with them, or are guessed: leave --schema out")
    from dataplat.connectors.codecs._debezium import DebeziumCodec
    from dataplat.connectors.codecs._registry import registry_at

    return DebeziumCodec(key, None if registry is None else registry_at(registry))


def _framed(name: str, registry: str | None, schema: pa.Schema | None) -> Codec:
    if registry is not None:
        if schema is not None:
            raise ConfigError("the registry has the schemas of messages: leave --schema out, or --registry")
        from dataplat.connectors.codecs._by_id import ByIdCodec
        from dataplat.connectors.codecs._registry import registry_at

        return ByIdCodec(registry_at(registry), FRAMED.get(name))
    text = (schema.metadata or {}).get(b"avro.schema") if name == "avro" and schema is not None else None
    if text is None:
        other = ", or --schema FILE.avsc, the schema that they were written with" if name == "avro" else ""
        raise ConfigError(f"messages in the format {name} need --registry URL, where their schemas are{other}")
    from dataplat.connectors.codecs._avro import AvroCodec

    return AvroCodec.of_text(text.decode())
