"""What differs between two versions of a dataset, row by row, and between two states of a lake."""

from dataplat.versioning.diff._columns import ColumnDiff
from dataplat.versioning.diff._diff import Diff, DiffSummary
from dataplat.versioning.diff._lakewide import DatasetDiff, LakeDiff
from dataplat.versioning.diff._schema import SchemaChange
from dataplat.versioning.diff._stats import StatsDiff

__all__ = ["ColumnDiff", "DatasetDiff", "Diff", "DiffSummary", "LakeDiff", "SchemaChange", "StatsDiff"]
