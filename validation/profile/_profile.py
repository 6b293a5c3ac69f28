"""A profile: what is known of all columns of a version, a file or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dataplat.errors import SchemaError
from dataplat.validation.profile._column import ColumnProfile, merge

_TOGETHER: Final = 256


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Profile:
    """What is known of some rows, column by column; the same rows in the same parts give the same profile.

    Args:
        title: what was looked at.
        rows: how many rows.
        columns: what is known of each column, by name, in the order of the schema.
        version: the version id, where it is one.
        where: which of its rows, where not all.
        parts: of how many parts.
        remembered: of how many of them a memo was read instead of their rows.
        unread: records of a file that cannot be read, and are in nothing above.
    """

    title: str
    rows: int
    columns: Mapping[str, ColumnProfile] = field(repr=False)
    version: str | None = None
    where: str | None = None
    parts: int = 1
    remembered: int = 0
    unread: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values: counts, moments, quantiles, a histogram, frequent values, patterns, gaps."""
        from dataplat.validation.profile._dict import dict_of

        return dict_of(self)

    def to_html(self) -> str:
        """Return it as one HTML page that needs nothing beside itself."""
        from dataplat.validation.profile._html import page_of

        return page_of(self)

    def __getitem__(self, name: str) -> ColumnProfile:
        return self.columns[name]

    def __repr__(self) -> str:
        from dataplat.validation.profile._text import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        from dataplat.validation.profile._html import fragment_of

        return fragment_of(self)


def merge_columns(several: Sequence[Mapping[str, ColumnProfile]]) -> dict[str, ColumnProfile]:
    """Merge the columns of several parts; of the same parts it is the same, in whatever order and grouping.

    Raises:
        SchemaError: They have not the same columns.
    """
    if len(several) > _TOGETHER:  # what is merged together is to fit into the caches of the machine
        several = [merge_columns(several[at : at + _TOGETHER]) for at in range(0, len(several), _TOGETHER)]
    names = list(several[0])
    for other in several:
        if list(other) != names:
            raise SchemaError(f"profiles of other columns cannot be merged: {', '.join(other)}, not {', '.join(names)}")
    return {name: merge([columns[name] for columns in several]) for name in names}
