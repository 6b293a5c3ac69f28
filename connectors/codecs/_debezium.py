"""Change events of Debezium: rows of a table as they became, and keys of rows that are gone.

A message tells of one row: what it did (`op`), the row before and after. With a schema beside it (JSON's own envelope, or
a registry) values are what that says they mean; without one, they are guessed as those of any JSON.
https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-change-events-value
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._by_id import KEY_HEADER
from dataplat.connectors.codecs._codec import Decoded, Records, Reject
from dataplat.connectors.codecs._envelopes import Envelopes, Images
from dataplat.connectors.codecs._groups import nothing
from dataplat.connectors.codecs._unify import fit, fitted
from dataplat.errors import KeyViolation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat.connectors.codecs._registry import SchemaRegistry

_BECAME: Final = frozenset("cru")
_SKIPPED: Final = frozenset({"m", ""})
_TRIED: Final = 100
"""Message keys that are looked at for the names of the key columns."""
_UNSENT: Final = "__debezium_unavailable_value"
"""What stands for a value that did not change, and that the database keeps beside its rows and did not send (in bytes
that are text, in base64). https://debezium.io/documentation/reference/stable/connectors/postgresql.html
"""
_STANDS_FOR: Final = frozenset({_UNSENT, base64.b64encode(_UNSENT.encode()).decode()})


class DebeziumCodec:
    """Decodes change events; `key` are the columns that name a row, those of the message key where it is not given.

    A tombstone takes its key away, as the delete before it did, which compaction may have taken. Logical messages are no
    change: they are left out. A truncation is a reject, since it names no key; so is a row of which not all values came.

    Raises:
        KeyViolation: (`decode`) Nobody says what the key is.
    """

    def __init__(self, key: Sequence[str] | None = None, registry: SchemaRegistry | None = None) -> None:
        self.key = tuple(key) if key else None
        self._values = Envelopes(registry)
        self._keys = Envelopes(registry, KEY_HEADER)

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return rows that came or changed, and the keys of those that went; see `Codec`."""
        key = self._key_of(records)
        events = self._values.opened(records)
        became = [i for i, op in enumerate(events.ops) if op in _BECAME]
        went = [i for i, op in enumerate(events.ops) if op == "d"]
        buried = np.flatnonzero((records.values.is_null().to_numpy(False)) & records.keys.is_valid().to_numpy(False))
        rejects = [*events.rejects, *_others(events.ops)]
        rows = _whole(_named(events.after.decode(records, np.array(became, np.int64), like), key, "after"))
        names = _of_key(like, key) or _of_key(rows.batch.schema, key)
        keys = self._gone(records, events.before, np.union1d(went, buried).astype(np.int64), key, names)
        rejects += [*_lost(became, rows), *_lost(went, keys)]
        batch = rows.batch
        if not batch.schema.names:
            batch = keys.batch if keys.batch.schema.names else self._sample(records, key)
            batch = batch.slice(0, 0)
        rejects = sorted([*rejects, *rows.rejects, *keys.rejects], key=lambda reject: reject.index)
        deletes = keys.batch if len(keys.rows) else _selected(batch, key).slice(0, 0)
        return Decoded(batch, rows.rows, rejects, deletes, keys.rows, events.ids)

    def _key_of(self, records: Records) -> tuple[str, ...]:
        if self.key is None:
            self.key = tuple(self._sample(records, ()).schema.names)
        return self.key

    def _sample(self, records: Records, key: Sequence[str]) -> pa.RecordBatch:
        """Return the columns of the first message key that can be read."""
        there = np.flatnonzero(records.keys.is_valid().to_numpy(zero_copy_only=False))[:_TRIED]
        found = self._message_keys(records, there, None)
        if not found.batch.schema.names and not key:
            error = f": {found.rejects[0].error}" if found.rejects else ""
            raise KeyViolation(
                f"{records.topic}[{records.partition}]@{records.offsets[0]}: the message keys of these change events "
                f"name no columns{error}. Name the columns that name a row with --key"
            )
        if not set(key) <= set(found.batch.schema.names):
            return nothing()
        return found.batch.select(list(key)) if key else found.batch

    def _message_keys(self, records: Records, index: NDArray[np.int64], like: pa.Schema | None) -> Decoded:
        """Return what the message keys of some of the records hold."""
        keys = pc.if_else(pa.array(np.isin(np.arange(len(records)), index)), records.keys, pa.scalar(None, pa.binary()))
        return self._keys.whole(replace(records, values=keys)).decode(records, index, like)

    def _gone(
        self,
        records: Records,
        before: Images,
        index: NDArray[np.int64],
        key: tuple[str, ...],
        like: pa.Schema | None,
    ) -> Decoded:
        """Return the keys of rows that went: those of the message, or of the row before where that has no such columns."""
        if not len(index):
            return Decoded(nothing(), index)
        found = _named(self._message_keys(records, index, like), key, "the message key")
        found = _of_like(replace(found, batch=_selected(found.batch, key)), like)
        left = np.setdiff1d(index, found.rows)
        if not len(left):
            return replace(found, rejects=())
        others = _named(before.decode(records, left, like), key, "before")
        others = _of_like(replace(others, batch=_selected(others.batch, key)), like)
        rejects = [
            replace(reject, error=f"a delete that does not say of which row ({', '.join(key)}): {reject.error}")
            for reject in others.rejects
        ]
        if not len(others.rows):
            return replace(found, rejects=rejects)
        if not len(found.rows):
            return replace(others, rejects=rejects)
        rows = np.concatenate([found.rows, others.rows])
        order = np.argsort(rows)
        both = [found.batch, fitted(others.batch, found.batch.schema)]
        batch = pa.Table.from_batches(both).combine_chunks().take(pa.array(order)).to_batches()[0]
        return Decoded(batch, rows[order], rejects)


def _whole(decoded: Decoded) -> Decoded:
    """Return it without the rows that have a value which stands for one that was not sent, which are rejects."""
    for name in decoded.batch.schema.names:
        column = decoded.batch.column(name)
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_binary(kind)):
            continue
        wanted = pa.array(sorted(_STANDS_FOR), pa.string()).cast(kind)
        if pa.types.is_list(column.type):
            of = pc.list_parent_indices(column).to_numpy()
            wrong = np.zeros(len(column), np.bool_)
            wrong[of[pc.is_in(column.flatten(), wanted).to_numpy(False)]] = True
        else:
            wrong = pc.is_in(column, wanted).to_numpy(False)
        if wrong.any():
            error = (
                f"the value of column {name!r} was not sent, since it did not change ({_UNSENT}), so the row is not whole: "
                "let the database tell whole rows (in PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)"
            )
            decoded = replace(
                decoded,
                batch=decoded.batch.filter(pa.array(~wrong)),
                rows=decoded.rows[~wrong],
                rejects=[*decoded.rejects, *(Reject(i, error, name) for i in decoded.rows[wrong].tolist())],
            )
    return decoded


def _lost(index: Sequence[int], decoded: Decoded) -> list[Reject]:
    """Return rejects of those that are neither among the rows nor the rejects: they had no row of columns."""
    there = {*decoded.rows.tolist(), *(reject.index for reject in decoded.rejects)}
    error = "no row of columns is in it: change events of MongoDB, which have texts there, are not read"
    return [Reject(i, error) for i in index if i not in there]


def _others(ops: Sequence[str | None]) -> list[Reject]:
    """Return rejects of events that are no change of a row; None are those that are rejects already."""
    known = _BECAME | _SKIPPED | {"d"}
    rejects = []
    for i, op in enumerate(ops):
        if op is None or op in known:
            continue
        if op == "t":
            error = (
                "a truncation (op t) takes all rows of a table, which is not followed: delete them, if they are to go"
            )
        else:
            error = f"no change event: what it did (op) is {op}"
        rejects.append(Reject(i, error))
    return rejects


def _named(decoded: Decoded, key: Sequence[str], where: str) -> Decoded:
    """Return it without the rows that have no value in a key column, which are rejects."""
    for name in key:
        if not len(decoded.rows):
            break
        place = decoded.batch.schema.get_field_index(name)
        if place < 0:
            wrong = np.ones(len(decoded.rows), np.bool_)
        else:
            column = decoded.batch.column(place)
            if not pa.types.is_floating(column.type) and not column.null_count:
                continue
            nan = pa.types.is_floating(column.type)
            wrong = column.is_null(nan_is_null=nan).to_numpy(zero_copy_only=False)
        rejects = [
            Reject(i, f"{where} has no value of the key column {name!r}", name) for i in decoded.rows[wrong].tolist()
        ]
        decoded = replace(
            decoded,
            batch=decoded.batch.filter(pa.array(~wrong)),
            rows=decoded.rows[~wrong],
            rejects=[*decoded.rejects, *rejects],
        )
    return decoded


def _selected(batch: pa.RecordBatch, key: Sequence[str]) -> pa.RecordBatch:
    return batch.select(list(key)) if set(key) <= set(batch.schema.names) else nothing()


def _of_key(schema: pa.Schema | None, key: Sequence[str]) -> pa.Schema | None:
    """Return the types of the key columns, as far as they are known."""
    if schema is None:
        return None
    known = [schema.field(name) for name in key if name in schema.names]
    return pa.schema([field.with_nullable(True) for field in known]) if len(known) == len(key) else None


def _of_like(decoded: Decoded, like: pa.Schema | None) -> Decoded:
    """Return keys with the types that the rows have; those with others are rejects."""
    if like is None or not len(decoded.rows):
        return decoded
    found = fit(decoded, like)
    return replace(found, batch=fitted(found.batch, like)) if len(found.rows) else found
