"""Rows that are pushed: JSON in the types of their dataset, or an Arrow stream; answered once they are durable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from dataplat._features._typed_json import json_type, reader
from dataplat.errors import FeatureNotFound
from dataplat.server import _arrow
from dataplat.server._asked import problem_in
from dataplat.server._names import check_once, quoted
from dataplat.server._problems import Problem
from dataplat.server._services import Services

if TYPE_CHECKING:
    import pyarrow as pa

JSON: Final = b"application/json"


class Push(msgspec.Struct, forbid_unknown_fields=True):
    """What is pushed.

    Attributes:
        view: of which view they are rows.
        rows: a list of objects, not read yet, or an Arrow table.
        idempotency: what names each row, or all of them; sent again with the same they count once.
        body: the whole of it, where it is JSON.
    """

    view: str
    rows: Any
    idempotency: str | list[str] | None = None
    body: bytes = b""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    view: str
    rows: msgspec.Raw
    idempotency: str | list[str] | msgspec.UnsetType | None = msgspec.UNSET


_BODY: Final = msgspec.json.Decoder(_Body)
_QUOTED: Final = quoted(_Body.__struct_fields__)


def read(headers: Mapping[bytes, bytes], body: bytes, query: bytes, most: int) -> Push:
    """Return what a request pushes.

    Raises:
        Problem: The body cannot be read, or has more rows than `most`.
    """
    kind = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if kind == _arrow.MEDIA_TYPE:
        told = dict(parse_qsl(query.decode("latin-1")))
        if unknown := told.keys() - {"view", "idempotency"}:
            name = min(unknown)
            raise Problem("invalid", f"?{name}= is unknown; there are view, idempotency", field=f"?{name}")
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
    given = found.idempotency
    return Push(found.view, found.rows, None if given is msgspec.UNSET else given, body)


def push(services: Services, pushed: Push, most: int) -> dict[str, Any]:
    """Push, and return what became of it.

    Raises:
        Problem: There is no such view, a row does not fit, or there are more than `most`.
        DataplatError: The store does not take them; nothing of them was taken.
    """
    try:
        rows = pushed.rows
        if isinstance(rows, msgspec.Raw):
            rows = table_of(rows, services.catalogue.columns(pushed.view), most, pushed.body)
        return services.catalogue.push(pushed.view, rows, pushed.idempotency)
    except FeatureNotFound as error:
        raise Problem("unknown-view", str(error), field="view") from error


def table_of(raw: msgspec.Raw, kinds: Mapping[str, pa.DataType], most: int, body: bytes) -> pa.Table:
    """Return rows of JSON as a table; a column that no row has is left out, and is null where only some have it.

    Raises:
        Problem: A value is none of its type, a column unknown or there twice, or there are more rows than `most`.
    """
    import pyarrow as pa

    names = {f"c{at}": name for at, name in enumerate(kinds)}
    fields = [(slot, json_type(kinds[name]) | None | msgspec.UnsetType, msgspec.UNSET) for slot, name in names.items()]
    row = msgspec.defstruct("rows", fields, rename=names, forbid_unknown_fields=True)
    try:
        found: list[Any] = msgspec.json.decode(raw, type=list[row])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem_in(error, "rows") from error
    if len(found) > most:
        detail = f"a push is of at most {most:,} rows: send them in several"
        raise Problem("too-many-entities", detail, field="rows", more={"max_entities": most})
    if found and all(getattr(each, slot) is msgspec.UNSET for each in found for slot in names):
        raise Problem("invalid", f"the rows are empty; they have columns among {', '.join(kinds)}", field="rows")
    members = sum(getattr(each, slot) is not msgspec.UNSET for each in found for slot in names)
    members += sum(name in body for name in _QUOTED)
    check_once(body, quoted((*_Body.__struct_fields__, *kinds)), members)
    columns: dict[str, Any] = {}
    for slot, name in names.items():
        values = [getattr(each, slot) for each in found]
        if all(value is msgspec.UNSET for value in values):
            continue
        values = [None if value is msgspec.UNSET else value for value in values]
        read_ = reader(kinds[name])
        try:
            columns[name] = pa.array(values if read_ is None else read_(values), kinds[name])
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise Problem("invalid", f"rows: {name}: {error}", field=f"rows.{name}") from error
    return pa.table(columns)
