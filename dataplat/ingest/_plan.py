"""What an ingest would do, found out without touching the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.lake.schema import schema_to_json, type_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.connectors.source import Split
    from dataplat.ingest._request import IngestRequest
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What would be read, what would be left out and why, and what the dataset would look like."""

    request: IngestRequest
    splits: tuple[Split, ...]
    existing: Manifest | None
    schema: pa.Schema | None

    @property
    def to_read(self) -> tuple[Split, ...]:
        """The splits that would be read."""
        return tuple(split for split in self.splits if split.skipped is None)

    @property
    def skipped(self) -> tuple[Split, ...]:
        """The splits that would be left out, each with its reason."""
        return tuple(split for split in self.splits if split.skipped is not None)

    @property
    def nbytes(self) -> int:
        """Bytes that would be read, as stored."""
        return sum(split.nbytes or 0 for split in self.to_read)

    @property
    def schema_changes(self) -> list[str]:
        """Columns that the dataset would gain, lose or widen."""
        if self.existing is None or self.schema is None:
            return []
        before = {field["name"]: type_text(field["type"]) for field in self.existing.schema_json}
        after = {field["name"]: type_text(field["type"]) for field in schema_to_json(self.schema)}
        changes = [f"adds column {name} ({kind})" for name, kind in after.items() if name not in before]
        changes += [f"drops column {name} ({kind})" for name, kind in before.items() if name not in after]
        changes += [
            f"column {name}: {before[name]} -> {kind}" for name, kind in after.items() if before.get(name, kind) != kind
        ]
        return changes

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        request = self.request
        return {
            "dataset": request.into,
            "branch": request.branch,
            "mode": request.mode,
            "exists": self.existing is not None,
            "base": None if self.existing is None else self.existing.id,
            "key": list(request.key or (self.existing.key if self.existing else ())),
            "sort": list(request.sort or (self.existing.sort if self.existing else ())),
            "contract": None if request.contract is None else request.contract.name,
            "read": [{"source": split.label, "bytes": split.nbytes} for split in self.to_read],
            "skipped": [{"source": split.label, "reason": split.skipped} for split in self.skipped],
            "bytes": self.nbytes,
            "schema": None if self.schema is None else schema_to_json(self.schema),
            "schema_changes": self.schema_changes,
        }

    def lines(self) -> list[str]:
        """Return the plan as a person would want to read it."""
        request = self.request
        where = f"{request.into}@{request.branch}"
        state = "a new dataset" if self.existing is None else f"now {self.existing.rows:,} rows"
        lines = [f"would {request.mode} to {where} ({state})"]
        lines += [f"  read   {split.label}{_size(split)}" for split in _shown(self.to_read)]
        lines += [f"  skip   {split.label}: {split.skipped}" for split in _shown(self.skipped)]
        if self.schema is not None and self.existing is None:
            lines += [f"  column {field['name']}: {type_text(field['type'])}" for field in schema_to_json(self.schema)]
            lines.append("  types are those of the beginning of the input; a later value may widen them")
        lines += [f"  {change}" for change in self.schema_changes]
        if request.contract is not None:
            lines.append(f"  check  contract {request.contract.name} before the branch moves")
        if not self.to_read:
            lines.append("  nothing to do: everything has landed already")
        return lines


def _size(split: Split) -> str:
    return "" if split.nbytes is None else f" ({split.nbytes:,} bytes)"


def _shown(splits: Sequence[Split], most: int = 20) -> Sequence[Split]:
    return splits[:most]
