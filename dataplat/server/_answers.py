"""The body of an answer in JSON."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import orjson

from dataplat._features._typed_json import spelt, writer
from dataplat.feature_store.online.serve import OneRow
from dataplat.feature_store.status import NAMES

if TYPE_CHECKING:
    import pyarrow as pa

_NULL: Final = re.compile(b"null").search
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Writer:
    """Writes answers of one service.

    Args:
        space: `service@version`.
        types: the types of its columns, in their order.
        computed: those of them that are on-demand features, whose times are not counts.
    """

    def __init__(self, space: str, types: Mapping[str, pa.DataType], computed: Collection[str] = ()) -> None:
        self._begin = b'{"service":%b,"snapshot":"' % orjson.dumps(space)
        self._second: tuple[int, bytes] = (-1, b"")
        self._spare: list[tuple[dict[str, Any], list[Any]]] = []
        writers = {name: writer(kind, counted=name not in computed) for name, kind in types.items()}
        self._writers = {name: found for name, found in writers.items() if found is not None}
        self._floating = {
            name: _spelt if _is_float(kind) else spelt for name, kind in types.items() if _has_floats(kind)
        }

    def json(
        self,
        columns: Mapping[str, Sequence[Any]],
        *,
        snapshot: str,
        sequence: int,
        t: int,
        stale: Sequence[str],
        statuses: Mapping[str, Sequence[int]] | None = None,
        ages: Mapping[str, Sequence[int | None]] | None = None,
    ) -> bytes:
        """Return an answer as JSON.

        Args:
            columns: of values.
            snapshot: the id of the snapshot that they are of.
            sequence: up to which push.
            t: the time of the request, in microseconds.
            stale: the views whose snapshot is older than they may be.
            statuses: codes of `Status`, where they are asked for.
            ages: microseconds, where they are asked for; below 0 or None: none.
        """
        pieces = [
            self._begin, snapshot.encode(), b'","sequence":%d,"t":"%b","stale":' % (sequence, self._time(t)),
            orjson.dumps(list(stale)) if stale else b"[]", b',"features":', self._features(columns),
        ]  # fmt: skip
        if statuses is not None:
            words = {name: [NAMES[code] for code in codes] for name, codes in statuses.items()}
            pieces += [b',"statuses":', orjson.dumps(words)]
        if ages is not None:
            pieces += [b',"ages":', orjson.dumps({name: _seconds(values) for name, values in ages.items()})]
        pieces.append(b"}")
        return b"".join(pieces)

    def _time(self, t: int) -> bytes:
        """Return a time in RFC 3339; those of one second have the same beginning."""
        second, micros = divmod(t, 1_000_000)
        known = self._second  # threads share this
        if second != known[0]:
            known = second, (_EPOCH + dt.timedelta(seconds=second)).isoformat()[:19].encode()
            self._second = known
        return b"%b.%06dZ" % (known[1], micros)

    def _features(self, columns: Mapping[str, Sequence[Any]]) -> bytes:
        if isinstance(columns, OneRow):
            if not self._writers:
                return self._one_row(columns)
            columns = columns.dict()
        told = dict(columns)
        for name, write in self._writers.items():
            told[name] = [None if value is None else write(value) for value in told[name]]
        return self._written(told)

    def _one_row(self, columns: OneRow) -> bytes:
        """Write columns of one value in lists that are there already: making them anew takes longer than writing them."""
        try:
            told, lists = self._spare.pop()
        except IndexError:
            told = {name: [None] for name in columns}
            lists = list(told.values())
        for each, each[0] in zip(lists, columns.row, strict=True):  # noqa: B007  (a value into each list)
            pass
        body = self._written(told)
        self._spare.append((told, lists))
        return body

    def _written(self, told: Mapping[str, Any]) -> bytes:
        body = orjson.dumps(told)
        if _NULL(body) is None:  # what is no number is written as null
            return body
        odd = {name: write(told[name]) for name, write in self._floating.items() if write is spelt or _odd(told[name])}
        return orjson.dumps({**told, **odd}) if odd else body


def _odd(column: Sequence[float | None]) -> bool:
    """Tell whether a column holds NaN or infinities, or adds up to one."""
    if len(column) == 1:
        value = column[0]
        return value is not None and value - value != 0.0
    return not isfinite(sum(filter(None, column)))


def _spelt(column: Sequence[float | None]) -> list[Any]:
    """Return a column of floats with NaN and infinities as words."""
    return [value if value is None or value - value == 0.0 else spelt(value) for value in column]


def _seconds(micros: Sequence[int | None]) -> list[float | None]:
    return [None if value is None or value < 0 else value / 1e6 for value in micros]


def _is_float(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind))


def _has_floats(kind: pa.DataType) -> bool:
    """Tell whether a type is of floats, at any depth."""
    import pyarrow as pa

    if kind.num_fields:
        return any(_has_floats(kind.field(at).type) for at in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return _has_floats(kind.value_type)
    return _is_float(kind)
