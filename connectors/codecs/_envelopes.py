"""What is around the rows of change events: opened for all records of a block at once, of whatever wire format."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from dataplat.connectors.codecs._by_id import FRAME, VALUE_HEADER, ByIdCodec, framed, unframed
from dataplat.connectors.codecs._codec import Codec, Decoded, Records, Reject
from dataplat.connectors.codecs._connect import Convert, Meaning, converted, json_fields, json_image, meanings
from dataplat.connectors.codecs._groups import Group, decode_groups, nothing, without_head
from dataplat.connectors.codecs._json import JsonCodec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat.connectors.codecs._registry import SchemaRegistry

T = TypeVar("T")
_ROW: Final = ("before", "after")
_NONE: Final = msgspec.Raw(b"")


class _Event(msgspec.Struct):
    """A message of JSON: `schema` and `payload` are its envelope, if it has one."""

    op: str | None = None
    before: msgspec.Raw = _NONE
    after: msgspec.Raw = _NONE
    schema: msgspec.Raw = _NONE
    payload: msgspec.Raw = _NONE


class _Wrapped(msgspec.Struct):
    """A message key of JSON: what it says itself where it has no `payload`."""

    schema: msgspec.Raw = _NONE
    payload: msgspec.Raw = _NONE


@dataclass(frozen=True, slots=True)
class Image:
    """Rows in some of the records (`index`): a column of structs, or JSON text of them and what the fields mean."""

    name: str
    index: NDArray[np.int64]
    rows: pa.StructArray | pa.BinaryArray
    meanings: Mapping[str, Meaning]
    names: Mapping[str, str]
    schema_id: int | None = None

    def group(self, wanted: NDArray[np.int64]) -> Group | None:
        """Return those of the `wanted` records, None where there is none of them."""
        inside = np.flatnonzero(np.isin(self.index, wanted))
        if not len(inside):
            return None
        some = replace(self, index=self.index[inside], rows=self.rows.take(pa.array(inside)))
        return Group(self.name, some.index, _ImageCodec(some), 0, self.schema_id)


@dataclass(frozen=True, slots=True)
class Images:
    """The rows that records have in one place."""

    images: Sequence[Image]

    def decode(self, records: Records, index: NDArray[np.int64], like: pa.Schema | None) -> Decoded:
        """Return the rows that are in the records `index`."""
        groups = [group for image in self.images if (group := image.group(index)) is not None]
        return decode_groups(records, groups, like)


@dataclass(frozen=True, slots=True)
class Events:
    """What each record did ("" where it is no change, None where it is a reject), and the row in it."""

    ops: list[str | None]
    before: Images
    after: Images
    rejects: list[Reject]
    ids: NDArray[np.int64] | None


class Envelopes:
    """Opens messages of JSON, or with a `registry` those that name their schema, in a `header` or before them."""

    def __init__(self, registry: SchemaRegistry | None, header: str = VALUE_HEADER) -> None:
        self._registry = registry
        self._header = header
        self._by_id = None if registry is None else ByIdCodec(registry)
        self._known: dict[bytes, Any] = {}

    def opened(self, records: Records) -> Events:
        """Return what the values say."""
        ops: list[str | None] = [""] * len(records)
        images: dict[str, list[Image]] = {part: [] for part in _ROW}
        records, ids, groups, rejects = self._groups(records)
        for reject in rejects:
            ops[reject.index] = None
        for name, index, id in groups:
            if id is None or self._is_json(id):
                self._open_json(records.values, name, index, id, ops, images, rejects)
            else:
                self._open_columns(records, name, index, id, ops, images, rejects)
        return Events(ops, Images(images["before"]), Images(images["after"]), rejects, ids)

    def whole(self, records: Records) -> Images:
        """Return the values as rows themselves, as those of message keys are; what is none of them is left out."""
        images: list[Image] = []
        records, _, groups, _ = self._groups(records)
        for name, index, id in groups:
            if id is None or self._is_json(id):
                images += self._keys_of_json(records.values, name, index, id)
                continue
            found = self._decoded(records, index, id)
            if isinstance(found, str) or not len(found.rows):
                continue
            rows = found.batch.to_struct_array()
            images.append(Image(name, index[found.rows], rows, {}, self._names(id, None), id))
        return Images(images)

    # ------------------------------------------------------------------------------------------------- frames

    def _groups(
        self, records: Records
    ) -> tuple[Records, NDArray[np.int64] | None, list[tuple[str, NDArray[np.int64], int | None]], list[Reject]]:
        """Return the records with a frame before each value, the ids in these, which have the same one, and the others."""
        there = records.values.is_valid().to_numpy(zero_copy_only=False)
        if self._registry is None:
            return records, None, [("the change event", np.flatnonzero(there), None)] if there.any() else [], []
        values, ids = framed(records.values, records.headers, self._header, self._registry)
        groups = [
            (self._registry.called(id), np.flatnonzero(ids == id), id) for id in dict.fromkeys(ids[ids >= 0].tolist())
        ]
        wrong = np.flatnonzero((ids < 0) & there).tolist()
        rejects = [Reject(i, unframed(values[i].as_py())) for i in wrong]
        return replace(records, values=values), ids, groups, rejects

    def _is_json(self, id: int) -> bool:
        assert self._registry is not None
        schema = self._registry.schema(id)
        return schema is not None and schema.kind == "JSON"

    # -------------------------------------------------------------------------------------------------- JSON

    def _open_json(
        self,
        values: pa.BinaryArray,
        name: str,
        index: NDArray[np.int64],
        id: int | None,
        ops: list[str | None],
        images: dict[str, list[Image]],
        rejects: list[Reject],
    ) -> None:
        found = _read(_bodies(values, index, id), _Event)
        wrapped = [
            i for i, event in enumerate(found) if isinstance(event, _Event) and event.op is None and event.payload
        ]
        schemas = [b""] * len(found)
        for i in wrapped:
            schemas[i] = bytes(found[i].schema)  # type: ignore[union-attr]
        payloads = [bytes(found[i].payload) for i in wrapped]  # type: ignore[union-attr]
        for i, event in zip(wrapped, _read(payloads, _Event) if wrapped else (), strict=True):
            found[i] = event
        for place, event in zip(index.tolist(), found, strict=True):
            ops[place] = None if isinstance(event, str) else event.op or "nothing at all"
            if isinstance(event, str):
                rejects.append(Reject(place, f"no change event: {event}", None, id))
        events = [_Event() if isinstance(event, str) else event for event in found]
        for part in _ROW:
            texts = [_text(getattr(event, part)) for event in events]
            there = [i for i, text in enumerate(texts) if text is None or text[:1] != b'"']
            rows = pa.array([texts[i] for i in there], pa.binary())
            images[part] += self._by_schema(name, index[there], rows, [schemas[i] for i in there], id, part)

    def _keys_of_json(
        self, values: pa.BinaryArray, name: str, index: NDArray[np.int64], id: int | None
    ) -> Sequence[Image]:
        bodies = _bodies(values, index, id)
        found = _read(bodies, _Wrapped)
        kept = [i for i, key in enumerate(found) if isinstance(key, _Wrapped)]
        wrapped = [(found[i], bodies[i]) for i in kept]
        texts = [bytes(key.payload) if key.payload else body for key, body in wrapped]  # type: ignore[union-attr]
        schemas = [bytes(key.schema) if key.payload else b"" for key, _ in wrapped]  # type: ignore[union-attr]
        rows = pa.array([_text(text) for text in texts], pa.binary())
        return self._by_schema(name, index[kept], rows, schemas, id, None)

    def _by_schema(
        self,
        name: str,
        index: NDArray[np.int64],
        rows: pa.BinaryArray,
        schemas: Sequence[bytes],
        id: int | None,
        part: str | None,
    ) -> list[Image]:
        """Return the rows apart by the schema that lies beside them."""
        distinct = dict.fromkeys(schemas)
        if len(distinct) <= 1:
            schema = next(iter(distinct), b"")
            return [Image(name, index, rows, self._meanings(schema, id, part), {}, id)]
        images = []
        for schema in distinct:
            places = np.array([i for i, other in enumerate(schemas) if other == schema], np.int64)
            meant = self._meanings(schema, id, part)
            images.append(Image(name, index[places], rows.take(pa.array(places)), meant, {}, id))
        return images

    def _meanings(self, schema: bytes, id: int | None, part: str | None) -> Mapping[str, Meaning]:
        """Return what the fields of a row mean, as far as a schema says: the one beside it, or the registry's."""
        known = schema + f"\0{id}\0{part}".encode()
        if known not in self._known:
            if id is not None and not schema and self._registry is not None:
                registered = self._registry.schema(id)
                said = json.loads(registered.text) if registered is not None else None
                fields = json_fields(said if part is None else json_image(said))
            else:
                fields = _fields(json.loads(schema) if schema else None, part)
            self._known[known] = meanings(fields)
        found: Mapping[str, Meaning] = self._known[known]
        return found

    # ------------------------------------------------------------------------------------------------ columns

    def _open_columns(
        self,
        records: Records,
        name: str,
        index: NDArray[np.int64],
        id: int,
        ops: list[str | None],
        images: dict[str, list[Image]],
        rejects: list[Reject],
    ) -> None:
        found = self._decoded(records, index, id)
        if isinstance(found, str) or (len(found.rows) and "op" not in found.batch.schema.names):
            error = found if isinstance(found, str) else "no change event: its schema has no op"
            rejects += [Reject(i, f"{name}: {error}", None, id) for i in index.tolist()]
            for place in index.tolist():
                ops[place] = None
            return
        for reject in found.rejects:
            place = int(index[reject.index])
            ops[place] = None
            rejects.append(replace(reject, index=place, error=f"{name}: {reject.error}", schema_id=id))
        if not len(found.rows):
            return
        places = index[found.rows]
        for place, op in zip(places.tolist(), found.batch.column("op").to_pylist(), strict=True):
            ops[place] = op or "nothing at all"
        for part in _ROW:
            if part in found.batch.schema.names and pa.types.is_struct(found.batch.column(part).type):
                images[part].append(Image(name, places, found.batch.column(part), {}, self._names(id, part), id))

    def _decoded(self, records: Records, index: NDArray[np.int64], id: int) -> Decoded | str:
        assert self._by_id is not None
        codec = self._by_id.codec(id)
        if isinstance(codec, str):
            return codec
        values = without_head(records.values.take(pa.array(index)), FRAME)
        return codec.decode(_records(records, index, values), None)

    def _names(self, id: int, part: str | None) -> Mapping[str, str]:
        """Return the names of Connect's types that an Avro schema gives to the columns of a row."""
        assert self._registry is not None
        key = f"{id} {part}".encode()
        if key not in self._known:
            schema = self._registry.schema(id)
            is_avro = schema is not None and schema.kind == "AVRO"
            self._known[key] = _avro_names(json.loads(schema.text), part) if schema is not None and is_avro else {}
        found: Mapping[str, str] = self._known[key]
        return found


@dataclass(frozen=True, slots=True)
class _ImageCodec:
    """Decodes rows that are at hand already."""

    image: Image

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        rows = self.image.rows
        there = np.flatnonzero(rows.is_valid().to_numpy(zero_copy_only=False))
        missing = np.setdiff1d(np.arange(len(rows)), there)
        rejects = [Reject(i, "it has no row where one belongs") for i in missing.tolist()]
        if not len(there):
            return Decoded(nothing(), there, rejects)
        rows = rows.take(pa.array(there)) if len(missing) else rows
        if pa.types.is_struct(rows.type):
            found = self._columns(rows)
        else:
            found = self._texts(_records(records, there, rows), like)
        rejects += [replace(reject, index=int(there[reject.index])) for reject in found.rejects]
        return replace(found, rows=there[found.rows], rejects=sorted(rejects, key=lambda reject: reject.index))

    def _columns(self, rows: pa.StructArray) -> Decoded:
        decoded = Decoded(pa.RecordBatch.from_struct_array(rows), np.arange(len(rows), dtype=np.int64))
        for name, meant in self.image.names.items():
            decoded = _with_meaning(decoded, name, partial(converted, name=meant))
        return decoded

    def _texts(self, records: Records, like: pa.Schema | None) -> Decoded:
        meant = self.image.meanings
        codec: Codec = JsonCodec(pa.schema([(name, one.read) for name, one in meant.items()]) if meant else None)
        decoded = codec.decode(records, like)
        for name, one in meant.items():
            if one.convert is not None:
                decoded = _with_meaning(decoded, name, one.convert)
        return decoded


def _with_meaning(decoded: Decoded, name: str, convert: Convert) -> Decoded:
    """Return it with the values of a column made what they mean; rows where that fails are rejects."""
    place = decoded.batch.schema.get_field_index(name)
    if place < 0 or not len(decoded.rows):
        return decoded
    column = decoded.batch.column(place)
    try:
        return replace(decoded, batch=decoded.batch.set_column(place, name, convert(column)))
    except ValueError:
        pass
    bad = dict(_wrong(column, convert, 0))
    kept = np.setdiff1d(np.arange(len(column)), list(bad))
    rejects = [Reject(int(decoded.rows[row]), f"column {name!r}: {error}", name) for row, error in bad.items()]
    batch = decoded.batch.take(pa.array(kept))
    batch = batch.set_column(place, name, convert(batch.column(place)))
    return replace(decoded, batch=batch, rows=decoded.rows[kept], rejects=[*decoded.rejects, *rejects])


def _wrong(column: pa.Array, convert: Convert, start: int) -> Iterator[tuple[int, str]]:
    """Yield the rows (from `start` on) whose values cannot be converted, and why: found by halves."""
    try:
        convert(column)
    except ValueError as error:
        if len(column) == 1:
            yield start, str(error)
            return
        half = len(column) // 2
        yield from _wrong(column.slice(0, half), convert, start)
        yield from _wrong(column.slice(half), convert, start + half)


def _bodies(values: pa.BinaryArray, index: NDArray[np.int64], id: int | None) -> list[bytes]:
    found = values if len(index) == len(values) else values.take(pa.array(index))
    texts: list[bytes] = (found if id is None else without_head(found, FRAME)).to_pylist()
    return texts


def _records(records: Records, index: NDArray[np.int64], values: pa.BinaryArray) -> Records:
    return replace(
        records,
        offsets=records.offsets[index],
        timestamps=records.timestamps[index],
        keys=pa.nulls(len(index), pa.binary()),
        values=values,
        headers=None,
    )


def _text(raw: Any) -> bytes | None:
    found = bytes(raw)
    return found if found and found != b"null" else None


def _read(texts: Sequence[bytes], kind: type[T]) -> list[T | str]:
    """Return what each text is, or why it is none.

    All are read as one array. A number drawn for it stands between any two: only where all of them come back where they
    belong did each text end where it should.
    """
    mark = random.getrandbits(53)
    try:
        whole = b"[" + (b",%d," % mark).join(texts) + b"]"
        found: list[Any] = msgspec.json.Decoder(list[kind | int]).decode(whole)  # type: ignore[valid-type]
        values, marks = found[::2], found[1::2]
        if len(values) == len(texts) and marks == [mark] * len(marks) and {type(one) for one in values} <= {kind}:
            return values
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    decoder: Any = msgspec.json.Decoder(kind)
    return [_one(decoder, text) for text in texts]


def _one(decoder: msgspec.json.Decoder[Any], text: bytes) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)


def _fields(schema: Any, part: str | None) -> Sequence[Mapping[str, Any]]:
    """Return the fields of a row, as the schema beside a payload says."""
    fields: Sequence[Mapping[str, Any]] = (schema or {}).get("fields") or ()
    if part is None:
        return fields
    return next((field.get("fields") or () for field in fields if field.get("field") == part), ())


def _avro_names(schema: Any, part: str | None) -> dict[str, str]:
    records = list(_avro_records(schema))
    if not records:
        return {}
    if part is not None:
        kind = next((field["type"] for field in records[0]["fields"] if field["name"] == part), None)
        inner = list(_avro_records(kind))
        named = (
            kind if isinstance(kind, str) else next((k for k in kind or () if isinstance(k, str) and k != "null"), "")
        )
        short = str(named).rpartition(".")[2]
        records = inner or [one for one in records if one["name"].rpartition(".")[2] == short]
    fields = records[0]["fields"] if records else ()
    return {field["name"]: name for field in fields if (name := _connect_name(field["type"])) is not None}


def _avro_records(schema: Any) -> list[Any]:
    """Return the records that an Avro schema defines, outermost first."""
    if isinstance(schema, list):
        return [record for one in schema for record in _avro_records(one)]
    if not isinstance(schema, dict):
        return []
    if schema.get("type") == "record":
        return [schema, *(record for field in schema["fields"] for record in _avro_records(field["type"]))]
    return [record for inner in ("type", "items", "values") for record in _avro_records(schema.get(inner))]


def _connect_name(kind: Any) -> str | None:
    kinds = kind if isinstance(kind, list) else [kind]
    return next((one["connect.name"] for one in kinds if isinstance(one, dict) and "connect.name" in one), None)
