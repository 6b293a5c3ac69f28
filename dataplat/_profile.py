"""Profile data that lies in a lake, in a file or in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from dataplat._version import Version
    from dataplat.lake.engine import Engine
    from dataplat.validation.profile import Profile


def profile(data: Any, *, columns: str | Sequence[str] | None = None, where: str | pl.Expr | None = None) -> Profile:
    """Say what data holds, column by column, without a lake.

    Counts, exact moments, quantiles, distinct and frequent values, lengths and patterns of texts, gaps in times.

    Args:
        data: an Arrow, polars or pandas table, a reader of batches, or a file (a path, glob or folder, also on `s3://`,
            `gs://`, `hdfs://`); records that cannot be read are counted (`unread`) and left out.
        columns: the columns to look at (default: all).
        where: the rows to look at, as SQL text or a Polars expression (default: all).

    Raises:
        SourceError: the data cannot be read.
        BadColumn: a column is not there.
        PredicateError: `where` cannot be evaluated.
    """
    from dataplat._validate import subject_of
    from dataplat.validation.profile._run import profile_subject

    subject, unread = subject_of(data)
    found = profile_subject(subject, columns=_names(columns), where=where)
    return replace(found, unread=sum(each.failing or 0 for each in unread))


def profile_version(
    version: Version,
    *,
    columns: str | Sequence[str] | None = None,
    where: str | pl.Expr | None = None,
    engine: str | Engine = "local",
) -> Profile:
    """Profile a version; of parts that are remembered no row is read."""
    from dataplat._engine import engine_of
    from dataplat.validation.profile import _run

    return _run.profile_version(
        version.objects,
        version.manifest,
        version.dataset,
        columns=_names(columns),
        where=where,
        engine=engine_of(engine, version.objects),
    )


def _names(columns: str | Sequence[str] | None) -> Sequence[str] | None:
    return (columns,) if isinstance(columns, str) else columns
