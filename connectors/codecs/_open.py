"""From the name of a format to its codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.connectors.codecs._codec import Codec


def open_codec(
    name: str,
    *,
    registry: str | None = None,
    schema: pa.Schema | None = None,
    key: Sequence[str] | None = None,  # noqa: ARG001 (of change events)
) -> Codec:
    """Return the codec of a format: json, text, bytes.

    `registry` is the URL of a schema registry; `schema` the types that JSON is read with, instead of guessing; `key` the
    columns that name a row. Raises `ConfigError` for a format or a combination that there is not.
    """
    if name in {"text", "bytes"}:
        from dataplat.connectors.codecs._text import BytesCodec, TextCodec

        return TextCodec() if name == "text" else BytesCodec()
    if name == "json":
        if registry is not None:
            raise ConfigError("plain JSON needs no registry: leave --registry out, or name --format json-schema")
        from dataplat.connectors.codecs._json import JsonCodec

        return JsonCodec(schema)
    raise ConfigError(f"there is no format {name!r} of messages")
