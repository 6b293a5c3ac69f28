"""Rows that are pushed: JSON or an Arrow stream, handed to the store, which answers once they are durable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from dataplat.errors import FeatureNotFound
from dataplat.server import _arrow
from dataplat.server._asked import problem_in
from dataplat.server._problems import Problem
from dataplat.server._services import Services

JSON: Final = b"application/json"


class Push(msgspec.Struct, forbid_unknown_fields=True):
    """What is pushed.

    Attributes:
        view: of which view they are rows.
        rows: the rows: a list of objects, or an Arrow table.
        idempotency: what names this push; sent again with the same it counts once. One a row, or one for all.
    """

    view: str
    rows: Any
    idempotency: str | list[str] | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    view: str
    rows: list[dict[str, Any]]
    idempotency: str | list[str] | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


def read(headers: Mapping[bytes, bytes], body: bytes, query: bytes, most: int) -> Push:
    """Return what a request pushes.

    Raises:
        Problem: The body cannot be read, or has too many rows.
    """
    kind = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if kind == _arrow.MEDIA_TYPE:
        told = dict(parse_qsl(query.decode("latin-1")))
        if unknown := told.keys() - {"view", "idempotency"}:
            raise Problem(
                "invalid", f"?{min(unknown)}= is unknown; there are view, idempotency", field=f"?{min(unknown)}"
            )
        if not told.get("view"):
            raise Problem("invalid", "an Arrow body names its view in the address: ?view=NAME", field="?view")
        return Push(told["view"], _arrow.table_of(body, most), told.get("idempotency"))
    if kind != JSON:
        detail = f"rows are {JSON.decode()} or {_arrow.MEDIA_TYPE.decode()}, and not {kind.decode('latin-1')}"
        raise Problem("unsupported-media-type", detail, field="header Content-Type")
    try:
        found = _BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem_in(error, "") from error
    if len(found.rows) > most:
        raise Problem(
            "too-many-entities", f"a push is of at most {most:,} rows", field="rows", more={"max_entities": most}
        )
    return Push(found.view, found.rows, found.idempotency)


def push(services: Services, pushed: Push) -> dict[str, Any]:
    """Push, and return what became of it.

    Raises:
        Problem: There is no such view.
        DataplatError: The rows do not fit; nothing of them was taken.
    """
    try:
        return services.catalogue.push(pushed.view, pushed.rows, pushed.idempotency)
    except FeatureNotFound as error:
        raise Problem("unknown-view", str(error), field="view") from error
