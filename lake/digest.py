"""The sum of row digests that a content id is made of."""

from __future__ import annotations

from dataclasses import dataclass

_WRAP = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Digest:
    """Row count and two lanes (unsigned 64-bit sums of row digests), additive modulo 2**64."""

    rows: int = 0
    lane0: int = 0
    lane1: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, self.lane0 + other.lane0 & _WRAP, self.lane1 + other.lane1 & _WRAP)

    def __sub__(self, other: Digest) -> Digest:
        return Digest(self.rows - other.rows, self.lane0 - other.lane0 & _WRAP, self.lane1 - other.lane1 & _WRAP)

    def encode(self) -> str:
        """Return the fixed text form `rows:lane0:lane1` (lanes as 16 hex digits)."""
        return f"{self.rows}:{self.lane0:016x}:{self.lane1:016x}"

    @classmethod
    def decode(cls, text: str) -> Digest:
        """Read what `encode` wrote."""
        rows, lane0, lane1 = text.split(":")
        return cls(int(rows), int(lane0, 16), int(lane1, 16))
