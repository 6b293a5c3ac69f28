"""Which types a text can have, and how they widen when a later value disagrees.

    null ── bool ─────────────────────────────┐
      ├──── int64 ── decimal128(38, 0) ───────┤
      │       └───── float64 ─────────────────┤
      ├──── date32 ── timestamp[us] ── [ns] ──┼── string
      ├──── timestamp[us, UTC] ── [ns, UTC] ──┤
      └──── list<…>, struct<…> (JSON) ── widen inside; against a scalar there is no common type

A value keeps its text's meaning exactly or the column becomes a string: leading zeros ("00501") and signs
("+49…") are strings, an integer beyond int64 is a decimal of up to 38 digits, an integer that float64 cannot
hold among floats makes the column a string. `nan` and `inf` are floats only beside real numbers. Dates and
times are ISO 8601; without a zone they are naive, with one they are UTC instants.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

INT64 = pa.int64()
FLOAT64 = pa.float64()
DECIMAL = pa.decimal128(38, 0)
BOOL = pa.bool_()
DATE = pa.date32()
STRING = pa.string()
NULL = pa.null()

TRUE_WORDS = ("true", "True", "TRUE")
FALSE_WORDS = ("false", "False", "FALSE")

_NUMBER = r"((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
INT_TEXT = r"^[ \t]*(0|-?[1-9][0-9]*)[ \t]*$"
FLOAT_TEXT = rf"^[ \t]*-?{_NUMBER}[ \t]*$"
NAN_TEXT = r"^[ \t]*-?(?i:nan|inf|infinity)[ \t]*$"
DATE_TEXT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?"
NAIVE_TEXT = rf"^{_TIME}$"
AWARE_TEXT = rf"^{_TIME}(Z|[-+][0-9]{{2}}(:?[0-9]{{2}})?)$"
TIME_TEXT = r"^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?$"
_DURATION = re.compile(
    r"(-?)P(?=.)(?:([0-9]{1,18})D)?"
    r"(?:T(?=.)(?:([0-9]{1,18})H)?(?:([0-9]{1,18})M)?(?:([0-9]{1,19})(?:\.([0-9]{1,18}))?S)?)?"
)
_COUNT = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NANOS = r"\.[0-9]{7,9}"
EXACT_IN_FLOAT = 2**53


def join(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds both without loss, or None where there is none (object and scalar)."""
    if left.equals(right) or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    if pa.types.is_nested(left) or pa.types.is_nested(right):
        return _join_nested(left, right)
    pair = {left, right}
    if pair == {INT64, DECIMAL}:
        return DECIMAL
    if pair == {INT64, FLOAT64}:
        return FLOAT64
    if pair <= _NAIVE or pair <= _AWARE:
        order = _NAIVE_ORDER if pair <= _NAIVE else _AWARE_ORDER
        return max(pair, key=order.index)
    return STRING


_NAIVE_ORDER = [DATE, pa.timestamp("us"), pa.timestamp("ns")]
_AWARE_ORDER = [pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC")]
_NAIVE = set(_NAIVE_ORDER)
_AWARE = set(_AWARE_ORDER)


def _join_nested(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if pa.types.is_list(left) and pa.types.is_list(right):
        inner = join(left.value_type, right.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        fields: dict[str, pa.DataType | None] = {field.name: field.type for field in left}
        for field in right:
            known = fields.get(field.name)
            fields[field.name] = field.type if known is None else join(known, field.type)
        if any(kind is None for kind in fields.values()):
            return None
        return pa.struct(list(fields.items()))
    return None


def matches(values: pa.Array, pattern: str) -> pa.BooleanArray:
    """Return which strings match `pattern` (null where null)."""
    return pc.match_substring_regex(values, pattern)


def infer(values: pa.Array) -> pa.DataType:
    """Return the narrowest type that holds every string of `values`; nulls have no say."""
    rest = values.drop_null()
    kind = NULL
    lost = False
    for pattern, refine in _KINDS:
        if len(rest) == 0:
            break
        mask = matches(rest, pattern)
        hits = rest.filter(mask)
        if len(hits):
            found = refine(hits)
            kind = STRING if kind.equals(STRING) or found is None else join(kind, found) or STRING
            rest = rest.filter(pc.invert(mask))
            lost = lost or kind.equals(STRING)
    if len(rest) and not lost and (kind.equals(FLOAT64) or kind.equals(INT64)):
        rest = rest.filter(pc.invert(matches(rest, NAN_TEXT)))
        kind = FLOAT64
    if len(rest):
        return STRING
    if kind.equals(FLOAT64) and not floats_hold(values):
        return STRING
    return kind


def floats_hold(values: pa.Array) -> bool:
    """Return whether float64 holds the strings' integers exactly and none of their numbers overflows."""
    trimmed = pc.ascii_trim(values.drop_null(), " \t")
    long = trimmed.filter(pc.greater(pc.binary_length(trimmed), 15))
    integers = long.filter(matches(long, INT_TEXT))
    if any(int(float(text)) != int(text) for text in integers.to_pylist() if _finite(text)):
        return False
    exponents = trimmed.filter(pc.or_(matches(trimmed, r"[eE]"), pc.greater(pc.binary_length(trimmed), 300)))
    numbers = exponents.filter(matches(exponents, FLOAT_TEXT)) if len(exponents) else exponents
    return not pc.any(pc.is_inf(pc.cast(numbers, FLOAT64)), min_count=0).as_py()


def _finite(text: str) -> bool:
    return abs(float(text)) != float("inf")


def duration_count(text: str, per_second: int) -> int | None:
    """Return an ISO 8601 duration (`P1DT2H`, `-PT0.5S`), or a whole number, as a count; None where that is not exact."""
    if _COUNT.fullmatch(text):
        count = int(text)
    else:
        found = _DURATION.fullmatch(text)
        if found is None:
            return None
        sign, days, hours, minutes, seconds, fraction = found.groups(default="0")
        whole = int(days) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + int(seconds)
        part, rest = divmod(int(fraction) * per_second, 10 ** len(fraction))
        if rest:
            return None
        count = whole * per_second + part
        count = -count if sign == "-" else count
    return count if -(2**63) <= count < 2**63 else None


def _int_kind(values: pa.Array) -> pa.DataType | None:
    digits = pc.ascii_trim(values, " \t")
    try:
        pc.cast(digits, INT64)
    except pa.ArrowInvalid:
        longest = pc.max(pc.binary_length(pc.ascii_ltrim(digits, "-"))).as_py()
        return DECIMAL if longest <= DECIMAL.precision else None
    return INT64


def _date_kind(values: pa.Array) -> pa.DataType | None:
    return DATE if castable(values, DATE) else None


def _naive_kind(values: pa.Array) -> pa.DataType | None:
    return _timestamp_kind(values, None)


def _aware_kind(values: pa.Array) -> pa.DataType | None:
    return _timestamp_kind(values, "UTC")


def _timestamp_kind(values: pa.Array, zone: str | None) -> pa.DataType | None:
    nanos = pc.any(matches(values, _NANOS), min_count=0).as_py()
    kind = pa.timestamp("ns" if nanos else "us", zone)
    return kind if castable(values, kind) else None


def castable(values: pa.Array, kind: pa.DataType) -> bool:
    """Return whether Arrow parses every string of `values` as `kind`."""
    try:
        pc.cast(values, kind)
    except pa.ArrowInvalid:
        return False
    return True


_KINDS: list[tuple[str, Callable[[pa.Array], pa.DataType | None]]] = [
    (INT_TEXT, _int_kind),
    (FLOAT_TEXT, lambda _: FLOAT64),
    (DATE_TEXT, _date_kind),
    (NAIVE_TEXT, _naive_kind),
    (AWARE_TEXT, _aware_kind),
    (rf"^({'|'.join(TRUE_WORDS + FALSE_WORDS)})$", lambda _: BOOL),
]
