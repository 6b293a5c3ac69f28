"""Mixers, salts and constants of the content id (format 1), in numpy and in place.

`docs/content-id.md` defines every number here; none may change within the format. Arrays are worked through in
blocks that stay in the processor's second-level cache, which is what the speed comes from: one operation on
16,384 words costs about 0.1 ns a word, on a million words three times that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Lane: TypeAlias = npt.NDArray[np.uint64]
Positions: TypeAlias = npt.NDArray[np.int64]

FORMAT: Final = 1
BLOCK: Final = 16_384
MASK: Final = (1 << 64) - 1


def lane_words(label: str) -> tuple[int, int]:
    """Return the two 64-bit constants (one per lane) that a label stands for: the head of its SHA-256."""
    head = hashlib.sha256(f"dataplat/content-id/{FORMAT}/{label}".encode()).digest()
    return int.from_bytes(head[0:8], "little"), int.from_bytes(head[8:16], "little")


def salt(role: str, family: str, name: str = "") -> tuple[int, int]:
    """Return what tells the value of one field from the same value in another: by role, family and name."""
    return lane_words(f"{role}:{family}:{name}")


# Per lane: shift, factor, shift, factor, shift. Lane 0 is the finaliser of splitmix64 (Steele, Lea, Flood 2014,
# constants of Stafford's variant 13), lane 1 that of MurmurHash3 (Appleby): bijections with full avalanche.
_STEPS: Final = (
    (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31),
    (33, 0xFF51AFD7ED558CCD, 33, 0xC4CEB9FE1A85EC53, 33),
)
_NUMPY_STEPS: Final = tuple(tuple(np.asarray(step, np.uint64) for step in steps) for steps in _STEPS)

GOLDEN: Final = 0x9E3779B97F4A7C15  # the step between the places of a list: odd, so no place repeats
ROW: Final = lane_words("row")
ENTRY: Final = lane_words("entry")
WIDE: Final = lane_words("wide")
REMAINDER: Final = lane_words("remainder")


def mix_int(lane: int, word: int) -> int:
    """Mix one word: the plain form of `mix`, for constants."""
    first, factor, second, other, third = _STEPS[lane]
    word = (word ^ word >> first) * factor & MASK
    word = (word ^ word >> second) * other & MASK
    return word ^ word >> third


def _mix_block(lane: int, words: Lane, spare: Lane) -> None:
    first, factor, second, other, third = _NUMPY_STEPS[lane]
    np.right_shift(words, first, out=spare)
    np.bitwise_xor(words, spare, out=words)
    np.multiply(words, factor, out=words)
    np.right_shift(words, second, out=spare)
    np.bitwise_xor(words, spare, out=words)
    np.multiply(words, other, out=words)
    np.right_shift(words, third, out=spare)
    np.bitwise_xor(words, spare, out=words)


def mix(lane: int, words: Lane) -> Lane:
    """Mix every word in place, and return the array."""
    spare = np.empty(min(BLOCK, len(words)), np.uint64)
    for start in range(0, len(words), BLOCK):
        block = words[start : start + BLOCK]
        _mix_block(lane, block, spare[: len(block)])
    return words


@dataclass(frozen=True, slots=True)
class Words:
    """The values of an array as one 64-bit word per lane, before the salt; what lies at a null means nothing.

    For most families both lanes are one and the same array, often the Arrow buffer itself: never write to them.
    """

    lane0: Lane
    lane1: Lane
    nulls: Positions | None = None

    def __len__(self) -> int:
        return len(self.lane0)


@dataclass(frozen=True, slots=True)
class Sums:
    """Two lanes of running sums, one pair per row."""

    lane0: Lane
    lane1: Lane

    @classmethod
    def zeros(cls, rows: int) -> Sums:
        """Begin with nothing added."""
        return cls(np.zeros(rows, np.uint64), np.zeros(rows, np.uint64))

    def rows(self, start: int, stop: int) -> Sums:
        """Return the sums of some rows, not a copy of them."""
        return Sums(self.lane0[start:stop], self.lane1[start:stop])

    def clear(self) -> None:
        """Begin again with nothing added."""
        self.lane0.fill(0)
        self.lane1.fill(0)

    def add(self, words: Words, salts: tuple[int, int], null: tuple[int, int] = (0, 0)) -> None:
        """Add `mix(word ^ salt)` to every row; a null adds the digest `null` instead (0: nothing)."""
        work = np.empty((2, min(BLOCK, len(words))), np.uint64)
        numpy_salts = (np.asarray(salts[0], np.uint64), np.asarray(salts[1], np.uint64))
        for start in range(0, len(words), BLOCK):
            stop = min(start + BLOCK, len(words))
            mixed, spare = work[0, : stop - start], work[1, : stop - start]
            absent = None if words.nulls is None else _within(words.nulls, start, stop)
            for lane, (source, total) in enumerate(((words.lane0, self.lane0), (words.lane1, self.lane1))):
                np.bitwise_xor(source[start:stop], numpy_salts[lane], out=mixed)
                _mix_block(lane, mixed, spare)
                if absent is not None:
                    mixed[absent] = null[lane]
                total_block = total[start:stop]
                np.add(total_block, mixed, out=total_block)

    def finish(self, constants: tuple[int, int]) -> None:
        """Turn the sums into row digests in place: `mix(constant + sum)`."""
        for lane, total in enumerate((self.lane0, self.lane1)):
            constant = np.asarray(constants[lane], np.uint64)
            spare = np.empty(min(BLOCK, len(total)), np.uint64)
            for start in range(0, len(total), BLOCK):
                block = total[start : start + BLOCK]
                np.add(block, constant, out=block)
                _mix_block(lane, block, spare[: len(block)])


def _within(nulls: Positions, start: int, stop: int) -> Positions:
    low, high = np.searchsorted(nulls, (start, stop))
    return nulls[low:high] - start


def chain(lane: int, constant: tuple[int, int], *limbs: Lane) -> Lane:
    """Fold several words into one, in order: `h = constant; h = mix(h ^ limb)` for each limb."""
    folded = np.full(len(limbs[0]), constant[lane], np.uint64)
    for limb in limbs:
        np.bitwise_xor(folded, limb, out=folded)
        mix(lane, folded)
    return folded
