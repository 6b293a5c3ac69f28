"""What an export wrote, and what its format could not say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Exported:
    """Files that were written.

    Attributes:
        format: which format.
        files: what was written.
        answers: answers in them.
        marks: boxes, polygons or spans in them.
        left_out: what the format cannot hold, by reason.
    """

    format: str
    files: tuple[Path, ...]
    answers: int
    marks: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "format": self.format,
            "files": [str(file) for file in self.files],
            "answers": self.answers,
            "marks": self.marks,
            "left_out": dict(self.left_out),
        }

    def __str__(self) -> str:
        marks = f", {self.marks:,} marks" if self.marks else ""
        left = "".join(f"\n  left out: {count:,} {why}" for why, count in self.left_out.items())
        return f"{self.format}: {self.answers:,} answers{marks} in {', '.join(map(str, self.files))}{left}"
