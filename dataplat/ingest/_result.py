"""What an ingest did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat._version import Version
    from dataplat.validation import Report


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an ingest did: the commit that it made (None if the branch did not move), and where every row went.

    `rows_in` = rows read; of these `rows_quarantined` failed the contract and wait on branch `quarantine`;
    `rows_suppressed` of them were erased before, and did not land; `rows_rejected` more records could not be read and lie in `<dataset>.rejects`. `rows_added` and
    `rows_deleted` are what the version changed by. `new_bytes` were written to the store.
    """

    dataset: str
    branch: str
    commit: str | None
    version: Version | None
    rows_in: int = 0
    rows_added: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    rows_quarantined: int = 0
    rows_suppressed: int = 0
    quarantine: str | None = None
    report: Report | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    new_bytes: int = 0
    seconds: float = 0.0

    @property
    def nothing_to_do(self) -> bool:
        """Whether the rows were there already, so that no commit was needed."""
        changed = self.rows_added or self.rows_deleted or self.rows_rejected or self.rows_quarantined
        return self.commit is None and not changed

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "commit": self.commit,
            "version": None if self.version is None else self.version.id,
            "rows": None if self.version is None else self.version.rows,
            "rows_in": self.rows_in,
            "rows_added": self.rows_added,
            "rows_deleted": self.rows_deleted,
            "rows_rejected": self.rows_rejected,
            "rows_quarantined": self.rows_quarantined,
            "rows_suppressed": self.rows_suppressed,
            "quarantine": self.quarantine,
            "contract": None if self.report is None else self.report.to_dict(),
            "nothing_to_do": self.nothing_to_do,
            "notes": list(self.notes),
            "new_bytes": self.new_bytes,
            "seconds": round(self.seconds, 3),
        }
