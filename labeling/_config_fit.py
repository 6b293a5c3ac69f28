"""Holds a label config against the columns of a dataset: are they there, shown, and of a type that the tag takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dataplat.errors import LabelConfigError
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.labeling._config_reading import Reference


def check_fit(references: Iterable[Reference], schema: pa.Schema, show: Sequence[str]) -> None:
    """Raise `LabelConfigError` for the first reference that cannot be shown."""
    for each in references:
        if each.column not in schema.names:
            raise LabelConfigError(
                f"{each.where}, but the data has no such column{did_you_mean(each.column, schema.names)}"
            )
        if each.column not in show:
            raise LabelConfigError(
                f"{each.where}, which is not among the columns shown ({', '.join(show)}): show it, too"
            )
