"""Sums without any rounding, for every prefix of a column at once, and their nearest float (PIT 23).

A sum is held as integers, one for every 32 bits of its binary expansion ("limbs"), after Kulisch's long accumulator. Limb
`i` weighs 2^(32 i) on one grid for all data, so states of different parts are added limb by limb, in any order and
grouping, and a window is the difference of two prefixes. Only limbs that occur are held: 1 to 4 for usual columns, up to
66 where values reach from the smallest to the largest float. Integers and decimals are summed by the same code.

Values that are not finite are counted apart: NaN, or both infinities, make NaN; one kind of infinity that infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.errors import SchemaError
from dataplat.feature_store.kernel.limbs import magnitude, nearest

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]
    Floats: TypeAlias = NDArray[np.float64]

_MASK: Final = np.int64(0xFFFF_FFFF)
_UMASK: Final = np.uint64(0xFFFF_FFFF)
_U32: Final = np.uint64(32)
_CHUNK: Final = 1 << 14
"""Rows that are worked on at once: what is made of them fits into a core's cache."""
_NAN: Final = 1 << 20
"""Beyond all weights: NaN, inf and -inf are counted in its place, and the two that follow."""
_NARROW: Final = float(1 << 48)
"""Integers below it are summed as they are: 2^14 of them are below 2^62."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers, as they are summed.

    Attributes:
        words: float64, int64 or uint64, or, for decimals, the two halves of 128 bits: the low one first.
        valid: which are not null; None: all.
        scale: of decimals, how many digits are behind the point; 0 for others.
    """

    words: tuple[NDArray[Any], ...]
    valid: NDArray[np.bool_] | None = None
    scale: int = 0

    @classmethod
    def of(cls, column: pa.Array, what: str = "column") -> Numbers:
        """Read an Arrow column of numbers or booleans; raise `SchemaError` for another one."""
        import pyarrow as pa

        kind = column.type
        valid = None if column.null_count == 0 else np.asarray(column.is_valid())
        if pa.types.is_decimal128(kind):
            halves = np.frombuffer(column.buffers()[1], np.uint64)[2 * column.offset :][: 2 * len(column)]
            return cls((halves[::2], halves[1::2].view(np.int64)), valid, kind.scale)
        if pa.types.is_boolean(kind):
            column = column.cast(pa.uint8())
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise SchemaError(f"{what} holds {kind}, which cannot be summed: cast it to a number")
        wide = np.float64 if pa.types.is_floating(kind) else np.uint64 if kind == pa.uint64() else np.int64
        filled = column if valid is None else column.fill_null(pa.scalar(0).cast(column.type))
        return cls((np.asarray(filled).astype(wide, copy=False),), valid)

    def __len__(self) -> int:
        return len(self.words[0])

    def take(self, rows: Ints) -> Numbers:
        """Return the numbers of some rows, in their order."""
        return Numbers(tuple(word[rows] for word in self.words), self._some(rows), self.scale)

    def cut(self, start: int, stop: int) -> Numbers:
        """Return the numbers of neighbouring rows."""
        return Numbers(tuple(word[start:stop] for word in self.words), self._some(slice(start, stop)), self.scale)

    def _some(self, rows: Any) -> NDArray[np.bool_] | None:
        return None if self.valid is None else self.valid[rows]


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums, one per column of `limbs`.

    Attributes:
        first: the weight of the first limb is 2^(32 first).
        limbs: int64, one row for each weight, the lowest first. Each may be negative, or above 32 bits.
        wild: how many NaN, inf and -inf there are, as three rows; None: none.
    """

    first: int
    limbs: Ints
    wild: Ints | None = None

    def __len__(self) -> int:
        return int(self.limbs.shape[1])

    def __sub__(self, other: Sums) -> Sums:
        first = min(self.first, other.first)
        height = max(self.first + len(self.limbs), other.first + len(other.limbs)) - first
        limbs = np.zeros((height, len(self)), np.int64)
        limbs[self.first - first :][: len(self.limbs)] = self.limbs
        limbs[other.first - first :][: len(other.limbs)] -= other.limbs
        if self.wild is None and other.wild is None:
            return Sums(first, limbs)
        wild = np.zeros((3, len(self)), np.int64) if self.wild is None else self.wild.copy()
        if other.wild is not None:
            wild -= other.wild
        return Sums(first, limbs, wild)

    def take(self, places: Any) -> Sums:
        """Return some of the sums."""
        return Sums(self.first, self.limbs[:, places], None if self.wild is None else self.wild[:, places])

    def settled(self) -> Sums:
        """Return the same sums, with limbs that are the same whatever they were summed from: 32 bits, the top one signed."""
        rows: list[Ints] = []
        carry: Ints = np.zeros(len(self), np.int64)
        for limb in self.limbs:
            value = limb + carry
            rows.append(value & _MASK)
            carry = value >> np.int64(32)
        rows.append(carry)
        while len(rows) > 1 and bool((rows[-1] == -(rows[-2] >> np.int64(31))).all()):  # it only repeats the sign
            top = rows.pop()
            rows[-1] = rows[-1] + (top << np.int64(32))
        first = self.first
        while len(rows) > 1 and not rows[0].any():
            first, rows = first + 1, rows[1:]
        wild = self.wild if self.wild is not None and self.wild.any() else None
        return Sums(first if len(rows) > 1 or rows[0].any() else 0, np.stack(rows), wild)

    def rounded(self) -> Floats:
        """Return the nearest floats, ties to even: `math.fsum` of the values; infinite beyond the largest."""
        found = np.empty(len(self))
        for at in range(0, len(self), _CHUNK):
            some = self.take(slice(at, at + _CHUNK))
            negative, limbs = magnitude(some.limbs)
            some_found = nearest(limbs, some.first)
            np.negative(some_found, out=some_found, where=negative)
            found[at : at + _CHUNK] = some_found
        return self.tamed(found)

    def tamed(self, found: Floats) -> Floats:
        """Put NaN and infinities where values that are not finite ask for them."""
        if self.wild is None:
            return found
        nan, up, down = self.wild
        found = np.where(up > 0, np.inf, np.where(down > 0, -np.inf, found))
        return np.where((nan > 0) | ((up > 0) & (down > 0)), np.nan, found)

    def integers(self) -> list[int]:
        """Return the sums as Python's integers; they are integers where what was summed was."""
        assert self.first >= 0
        found = np.zeros(len(self), object)
        for place, limb in enumerate(self.limbs, self.first):
            found = found + (limb.astype(object) << (32 * place))
        return [int(each) for each in found]

    def int64(self, what: str = "the sum") -> Ints:
        """Return integer sums; raise `SchemaError` where one does not fit."""
        assert self.first >= 0
        negative, limbs = magnitude(self.limbs)
        padded = np.zeros((max(self.first + len(limbs), 2), len(self)), np.int64)
        padded[self.first : self.first + len(limbs)] = limbs
        found = padded[0] | (padded[1] << np.int64(32))
        smallest = negative & (found == np.iinfo(np.int64).min)
        if np.any(padded[2:]) or np.any((found < 0) & ~smallest):
            raise SchemaError(f"{what} does not fit into int64: cast the column to float64 or decimal")
        signed: Ints = np.where(negative, -found, found)
        return signed


def zeros(length: int) -> Sums:
    """Return sums of nothing."""
    return Sums(0, np.zeros((1, length), np.int64))


def prefixes(numbers: Numbers, cuts: Sequence[Ints], power: int = 1) -> list[Sums]:
    """Return sums of the first `cut` values, or of their squares (power 2), for each of some rising lists of cuts.

    Nulls are nothing. Limbs of a prefix may have wrapped around; differences are right for up to 2^29 values.
    """
    found: list[dict[int, Ints]] = [{} for _ in cuts]
    before: dict[int, np.int64] = {}
    lows = [0] * len(cuts)
    for start in range(0, max(len(numbers), 1), _CHUNK):
        some = numbers.cut(start, start + _CHUNK)
        totals = {weight: np.concatenate(([0], total)) for weight, total in _running(some, power)}
        for weight in totals.keys() - before.keys():
            before[weight] = np.int64(0)
        for at, (ends, columns) in enumerate(zip(cuts, found, strict=True)):
            low, high = lows[at], int(np.searchsorted(ends, start + len(some), "right"))
            places = ends[low:high] - start
            for weight, carry in before.items():
                column = columns.setdefault(weight, np.zeros(len(ends), np.int64))
                column[low:high] = totals[weight][places] + carry if weight in totals else carry
            lows[at] = high
        with np.errstate(over="ignore"):
            for weight, total in totals.items():
                before[weight] = before[weight] + total[-1]
    return [_stacked(columns, len(ends)) for ends, columns in zip(cuts, found, strict=True)]


def _stacked(found: dict[int, Ints], length: int) -> Sums:
    weights = [weight for weight in found if weight < _NAN]
    if not weights:
        sums = zeros(length)
    else:
        first = min(weights)
        limbs = np.zeros((max(weights) - first + 1, length), np.int64)
        for weight in weights:
            limbs[weight - first] = found[weight]
        sums = Sums(first, limbs)
    if _NAN not in found:
        return sums
    return Sums(sums.first, sums.limbs, np.stack([found[_NAN + each] for each in range(3)]))


def _running(some: Numbers, power: int) -> Iterator[tuple[int, Ints]]:
    """Yield (weight, running totals of that limb) of a few rows; counts of wild values as three weights from `_NAN`."""
    word = some.words[0]
    if not len(word):
        return
    if len(some.words) == 1 and power == 1 and (whole := _whole(some)) is not None:
        total = np.cumsum(whole)
        if np.abs(whole).max() < 1 << 33:
            yield 0, total
        else:
            yield 0, total & _MASK
            yield 1, total >> np.int64(32)
        return
    if word.dtype == np.float64:
        wild = ~np.isfinite(word)
        if wild.any():
            valid = True if some.valid is None else some.valid
            for kind, flags in enumerate((np.isnan(word), word == np.inf, word == -np.inf)):
                yield _NAN + kind, np.cumsum(flags & valid, dtype=np.int64)
        left_out = wild if some.valid is None else wild | ~some.valid
        found = _extracted(np.where(left_out, 0.0, word), power)
        if found is not None:
            yield from found
            return
    yield from _limbs(some, power)


def _extracted(values: Floats, power: int) -> list[tuple[int, Ints]] | None:
    """Return (weight, running totals of that limb) of finite floats, by their own arithmetic; None: too large or small.

    Adding 1.5·2^(52 + 32 w), and taking it away, rounds to a multiple of 2^(32 w), which is the limb; what remains is
    exact (Rump, Ogita and Oishi: Accurate floating-point summation, 2008). Running totals of 2^14 limbs are exact, too.
    """
    parts = [values]
    sizes = np.abs(values)
    top = float(sizes.max())
    if power == 2:
        least = float(sizes.min(initial=np.inf, where=sizes > 0))
        if top > 2.0**480 or least < 2.0**-480:
            return None
        parts = _squared(values)
        top *= top
    found: list[tuple[int, Ints]] = []
    weight = (math.frexp(top)[1] - 1) >> 5
    while parts:
        if not -31 <= weight <= 29:
            return None
        big = math.ldexp(1.5, 52 + 32 * weight)
        limb: Floats = np.zeros(len(values))
        for part in parts:
            rounded = (part + big) - big
            part -= rounded
            limb += rounded
        found.append((weight, (np.cumsum(limb) * math.ldexp(1.0, -32 * weight)).astype(np.int64)))
        parts = [part for part in parts if bool(part.any())]
        weight -= 1
    return found


def _squared(values: Floats) -> list[Floats]:
    """Return squares as two floats that add up to them without error (Dekker, 1971)."""
    wide = values * 134_217_729.0
    high = wide - (wide - values)
    low = values - high
    square = values * values
    return [square, ((high * high - square) + 2.0 * high * low) + low * low]


def _whole(some: Numbers) -> Ints | None:
    """Return the values as int64, nulls as 0, if all are integers so small that a chunk's sum fits."""
    word = some.words[0] if some.valid is None else np.where(some.valid, some.words[0], some.words[0].dtype.type(0))
    if word.dtype == np.float64 and bool((np.rint(word[:32]) != word[:32]).any()):
        return None  # as of most columns of floats the first few tell
    if not (np.abs(word.astype(np.float64)) < _NARROW).all():
        return None
    whole = word.astype(np.int64)
    return whole if word.dtype != np.float64 or bool((whole == word).all()) else None


def _limbs(some: Numbers, power: int) -> Iterator[tuple[int, Ints]]:
    """Yield (weight, running totals of that limb): every value is scattered over the three limbs that it touches."""
    negative, magnitudes, exponents = _parts(some)
    if power == 2:
        words = [(word, 2 * exponents + shift) for word, shift in _squares(magnitudes)]
    else:
        words = [(word, exponents + 64 * place) for place, word in enumerate(magnitudes)]
    words = [(word, bits) for word, bits in words if bool(word.any())]
    if not words:
        return
    first = min(int(bits[word > 0].min()) for word, bits in words) >> 5
    height = (max(int(bits[word > 0].max()) for word, bits in words) >> 5) + 3 - first
    length = len(some)
    table = np.zeros((height, length), np.int64)
    flat = table.reshape(-1)
    rows = np.arange(length)
    sign = -negative.astype(np.int64) if power == 1 else None
    for word, bits in words:
        at = np.clip((bits >> 5) - first, 0, height - 3) * length + rows
        shift = (bits & 31).astype(np.uint64)
        for step, piece in enumerate(
            ((word << shift) & _UMASK, (word >> (_U32 - shift)) & _UMASK, (word >> _U32) >> (_U32 - shift))
        ):
            signed = piece.view(np.int64)
            flat[at + step * length] += signed if sign is None else (signed ^ sign) - sign
    for place in range(height):
        yield first + place, np.cumsum(table[place])


def _parts(some: Numbers) -> tuple[NDArray[np.bool_], list[Words], Ints]:
    """Return for each value whether it is negative, its magnitude in words of 64 bits, and the exponent of two."""
    exponents: Ints = np.zeros(len(some), np.int64)
    last = some.words[-1]
    if last.dtype == np.float64:
        bits = np.ascontiguousarray(last).view(np.int64)
        stored = (bits >> np.int64(52)) & np.int64(0x7FF)
        word = (bits & np.int64((1 << 52) - 1)) | ((stored > 0).astype(np.int64) << np.int64(52))
        words = [np.where(stored == 0x7FF, 0, word).view(np.uint64)]
        negative, exponents = bits < 0, np.maximum(stored, 1) - 1075
    elif last.dtype == np.uint64:
        negative, words = np.zeros(len(some), bool), [last]
    else:
        negative = last < 0
        flip = np.where(negative, ~np.uint64(0), np.uint64(0))
        words = [word.view(np.uint64) ^ flip for word in some.words]
        words[0] = words[0] + negative  # of two's complement the magnitude is the inverse, and one
        if len(words) == 2:
            words[1] = words[1] + (negative & (words[0] == 0))
    if some.valid is not None:
        words = [np.where(some.valid, word, np.uint64(0)) for word in words]
    return negative, words, exponents


def _squares(words: list[Words]) -> Iterator[tuple[Words, int]]:
    """Yield what the square of a magnitude is the sum of: (64 bits, shift)."""
    halves = [half for word in words for half in (word & _UMASK, word >> _U32)]
    for i, one in enumerate(halves):
        for j, other in enumerate(halves[i:], i):
            yield one * other, 32 * (i + j) + (i != j)
