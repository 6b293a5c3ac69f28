"""How large, how often, and whether with the peers that take minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes in rows, rounds per side, whether slow peers (dlt, delta-rs, DVC) run, and small files in a folder."""

    small: int = 1_000_000
    large: int = 10_000_000
    repeat: int = 3
    slow: bool = True
    files: int = 100_000

    @property
    def sizes(self) -> tuple[int, ...]:
        """Both sizes, once where they are equal."""
        return (self.small,) if self.small == self.large else (self.small, self.large)

    def __str__(self) -> str:
        peers = "" if self.slow else ", without dlt, delta-rs and DVC"
        return f"{self.small:,} and {self.large:,} rows, {self.repeat} rounds{peers}"
