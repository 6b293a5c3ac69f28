"""What a mode of writing makes of the rows it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.versioning.manifest import ManifestEdit


@dataclass(frozen=True, slots=True)
class Outcome:
    """An edit of the base version, and how many rows it adds and deletes."""

    edit: ManifestEdit
    rows_added: int
    rows_deleted: int

    @property
    def changes_rows(self) -> bool:
        """Whether any row comes or goes."""
        return bool(self.rows_added or self.rows_deleted)


class RowSink(Protocol):
    """Takes the rows of one change, batch by batch, and says at the end what they do to the base version."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch that has the dataset's schema."""
        ...

    def finish(self) -> Outcome:
        """Return the edit; nothing may be written after it."""
        ...

    def abandon(self) -> None:
        """Stop what is under way; whatever was written is of no use."""
        ...
