"""The content id value by value in plain Python: slow and plainly right, the oracle for every fast implementation.

It shares no code with `dataplat.lake.content_id`; both follow `docs/content-id.md`. Whoever writes the content id
for another engine may compare with this one, and with the vectors in `tests/lake/vectors/`.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.testing._xxh3 import xxh3_128

if TYPE_CHECKING:
    import pyarrow as pa

Lanes: TypeAlias = tuple[int, int]

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


def constants(label: str) -> Lanes:
    """Return the constants of both lanes that a label stands for."""
    head = hashlib.sha256(b"dataplat/content-id/1/" + label.encode()).digest()
    return int.from_bytes(head[:8], "little"), int.from_bytes(head[8:16], "little")


def mix(words: Lanes) -> Lanes:
    """Mix lane 0 as splitmix64 ends, lane 1 as MurmurHash3 ends."""
    zero, one = words[0] & _MASK, words[1] & _MASK
    zero = (zero ^ zero >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    zero = (zero ^ zero >> 27) * 0x94D049BB133111EB & _MASK
    one = (one ^ one >> 33) * 0xFF51AFD7ED558CCD & _MASK
    one = (one ^ one >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return zero ^ zero >> 31, one ^ one >> 33


def row_digests(batch: pa.RecordBatch) -> list[Lanes]:
    """Return both lanes of every row's digest."""
    return [_row(batch, row) for row in range(batch.num_rows)]


def digest(batches: Iterable[pa.RecordBatch]) -> tuple[int, int, int]:
    """Return row count and lanes of a dataset."""
    rows = [row for batch in batches for row in row_digests(batch)]
    return len(rows), sum(row[0] for row in rows) & _MASK, sum(row[1] for row in rows) & _MASK


def content_id(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> str:
    """Return the content id of a dataset."""
    rows, zero, one = digest(batches)
    text = f"dataplat content id 1\nrows {rows}\nlanes {zero:016x} {one:016x}\n"
    for field in sorted(schema, key=lambda field: field.name.encode()):
        text += f"{json.dumps(field.name, ensure_ascii=False)} {_tree(field.type)}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def _row(batch: pa.RecordBatch, row: int) -> Lanes:
    total = constants("row")
    for field, column in zip(batch.schema, batch.columns, strict=True):
        value = _unwrap(column[row])
        if value.is_valid:
            total = _plus(total, _digest("field", field.name, value))
    return mix(total)


def _plus(one: Lanes, other: Lanes) -> Lanes:
    return one[0] + other[0], one[1] + other[1]


def _xor(one: Lanes, other: Lanes) -> Lanes:
    return one[0] ^ other[0], one[1] ^ other[1]


def _unwrap(scalar: Any) -> Any:
    """See through dictionary, run-end and extension scalars."""
    import pyarrow as pa

    while isinstance(scalar, (pa.DictionaryScalar, pa.RunEndEncodedScalar, pa.ExtensionScalar)):
        if not scalar.is_valid:
            return pa.scalar(None)
        if isinstance(scalar, pa.RunEndEncodedScalar):
            scalar = pa.scalar(scalar.as_py(), scalar.type.value_type)
        else:
            scalar = scalar.value
    return scalar


def _digest(role: str, name: str, scalar: Any) -> Lanes:
    """Return the digest of one value (not of a top-level null, which adds nothing)."""
    scalar = _unwrap(scalar)
    if not scalar.is_valid:
        return mix(constants(f"{role}:null:{name}"))
    family, words = _family(scalar.type), _words(scalar)
    tag = f"decimal({scalar.type.scale})" if family == "decimal" else family
    return mix(_xor(words, constants(f"{role}:{tag}:{name}")))


def _words(scalar: Any) -> Lanes:
    family = _family(scalar.type)
    if family in ("int", "bool", "decimal"):
        return _whole(_integer(scalar))
    if family == "float":
        return _float(float(scalar.as_py()))
    if family in ("string", "binary"):
        return xxh3_128(bytes(scalar.as_buffer()))
    if family == "list":
        return _list(list(scalar.values))
    if family == "map":
        return _map(scalar.values)
    if family == "struct":
        return _struct(scalar)
    return _moment(scalar)


def _integer(scalar: Any) -> int:
    value = scalar.as_py()
    if not hasattr(value, "as_tuple"):
        return int(value)
    sign, digits, exponent = value.as_tuple()
    unscaled = int("".join(map(str, digits))) * 10 ** (exponent + scalar.type.scale)
    return int(-unscaled if sign else unscaled)


def _whole(number: int) -> Lanes:
    if -(1 << 63) <= number < 1 << 63:
        return number & _MASK, number & _MASK
    return _chain("wide", *(number >> 64 * limb & _MASK for limb in range(4)))


def _chain(label: str, *limbs: int) -> Lanes:
    folded = constants(label)
    for limb in limbs:
        folded = mix(_xor(folded, (limb, limb)))
    return folded


def _float(number: float) -> Lanes:
    if math.isnan(number):
        return 0x7FF8000000000000, 0x7FF8000000000000
    (bits,) = struct.unpack("<Q", struct.pack("<d", 0.0 if number == 0 else number))
    return bits, bits


def _moment(scalar: Any) -> Lanes:
    kind = str(scalar.type)
    if kind.startswith("date"):
        per, each = (1, 1) if kind.startswith("date32") else (1, 86_400_000)
    else:
        per, each = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}[scalar.type.unit]
    quotient, remainder = divmod(scalar.value * per, each)
    return _chain("remainder", quotient & _MASK, remainder) if remainder else _whole(quotient)


def _list(items: list[Any]) -> Lanes:
    total = (0, 0)
    for place, item in enumerate(items):
        step = place * _GOLDEN
        total = _plus(total, mix(_plus(_digest("item", "", item), (step, step))))
    return total[0] & _MASK, total[1] & _MASK


def _map(entries: Any) -> Lanes:
    total = (0, 0)
    for key, value in zip(entries.field(0), entries.field(1), strict=True):
        entry = _plus(_digest("key", "", key), _digest("value", "", value))
        total = _plus(total, mix(_plus(constants("entry"), entry)))
    return total[0] & _MASK, total[1] & _MASK


def _struct(scalar: Any) -> Lanes:
    total = (0, 0)
    for index, field in enumerate(scalar.type):
        total = _plus(total, _digest("field", field.name, scalar[index]))
    return total[0] & _MASK, total[1] & _MASK


def _family(kind: Any) -> str:
    """Name the family by the type's own name: deliberately another way than `dataplat.lake.canonical` goes."""
    name = str(kind)
    if name.startswith("timestamp"):
        return "timestamp_tz" if "tz=" in name else "timestamp"
    for prefix, family in _PREFIXES.items():
        if name.startswith(prefix):
            return family
    raise ValueError(f"no family for {name}")


_PREFIXES: Final = {
    "null": "null",
    "bool": "bool",
    "int": "int",
    "uint": "int",
    "halffloat": "float",
    "float": "float",
    "double": "float",
    "decimal": "decimal",
    "string": "string",
    "large_string": "string",
    "binary": "binary",
    "large_binary": "binary",
    "fixed_size_binary": "binary",
    "date": "date",
    "time": "time",
    "duration": "duration",
    "list": "list",
    "large_list": "list",
    "fixed_size_list": "list",
    "map": "map",
    "struct": "struct",
}


def _tree(kind: Any) -> str:
    while hasattr(kind, "storage_type") or _is_encoded(kind):
        kind = kind.storage_type if hasattr(kind, "storage_type") else kind.value_type
    family = _family(kind)
    if family == "list":
        return f"list<{_tree(kind.value_type)}>"
    if family == "map":
        return f"map<{_tree(kind.key_type)},{_tree(kind.item_type)}>"
    if family == "struct":
        fields = sorted(kind, key=lambda field: field.name.encode())
        spelt = [json.dumps(field.name, ensure_ascii=False) + ":" + _tree(field.type) for field in fields]
        return f"struct<{','.join(spelt)}>"
    return family


def _is_encoded(kind: Any) -> bool:
    return str(kind).startswith(("dictionary<", "run_end_encoded<"))
