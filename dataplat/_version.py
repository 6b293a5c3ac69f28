"""A dataset version: immutable rows, named by their content."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from dataplat.lake.schema import plain_columns
from dataplat.versioning.history import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from dataplat._suggest import Tried
    from dataplat.lake.engine import Engine
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.lake.where import Where
    from dataplat.validation import Report
    from dataplat.validation.profile import Profile
    from dataplat.validation.suggest import Suggestion
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.export import ExportResult
    from dataplat.versioning.gc.lease import Lease
    from dataplat.versioning.manifest import Manifest


class Version:
    """One immutable version of one dataset.

    Reading applies deletes, reads only the columns asked for, and skips parts and row groups that `where`
    cannot match. `where` is SQL text (`"dep_delay > 60 and carrier = 'UA'"`) or a Polars expression.
    """

    def __init__(self, objects: Objects, dataset: str, manifest: Manifest, commit: Commit) -> None:
        self.dataset = dataset
        self.manifest = manifest
        self.objects = objects
        self._found_at = commit

    @property
    def id(self) -> str:
        """The version id: SHA-256 of the manifest, 64 hex digits."""
        return self.manifest.id

    @property
    def redacted_from(self) -> str | None:
        """The id that was asked for, where rows were erased from that version since; None where it is this one."""
        return self.manifest.redacted_from

    @cached_property
    def commit(self) -> Commit:
        """The commit that made the version."""
        from dataplat.versioning.history import versions

        changes = versions(self.objects, self._found_at, self.dataset)
        return next((entry.commit for entry in changes if entry.change.version in self._ids), self._found_at)

    @property
    def rows(self) -> int:
        """Rows that count."""
        return self.manifest.rows

    @property
    def nbytes(self) -> int:
        """Bytes of the parts on the store."""
        return self.manifest.nbytes

    @property
    def parts(self) -> Sequence[Part]:
        """The Parquet parts, in row order."""
        return self.manifest.parts()

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns; empty for a dataset without a key."""
        return self.manifest.key

    @property
    def sort(self) -> tuple[str, ...]:
        """The columns by which each part is sorted."""
        return self.manifest.sort

    @property
    def schema(self) -> pa.Schema:
        """Columns and Arrow types."""
        from dataplat.lake.schema import plain_schema

        return plain_schema(self.manifest.schema)

    @property
    def schema_json(self) -> list[dict[str, Any]]:
        """Columns and types as plain values, without loading Arrow."""
        return plain_columns(self.manifest.schema_json)

    @property
    def created(self) -> datetime:
        """When the version was committed (UTC)."""
        return moment(self.commit.time)

    @cached_property
    def content_id(self) -> str:
        """The digest of schema and rows alone: equal rows, equal id, whatever order, files or engine.

        Where it is pending (after an upsert or delete) it is computed from the rows that went, and remembered; they
        are kept too, which makes a diff with the version before quick.
        """
        from dataplat.versioning.content import content_id_of

        if (known := self.content_id_if_known) is not None:
            return known
        changes = self.commit.changes.values()
        base = next((change.base for change in changes if change.version in self._ids), None)
        return content_id_of(self.objects, self.manifest, base)

    @property
    def content_id_if_known(self) -> str | None:
        """The content id, or None where computing it would read rows."""
        from dataplat.versioning.content import known_content_id

        return known_content_id(self.objects, self.manifest)

    def batches(
        self, size: int = 65_536, *, columns: Sequence[str] | None = None, where: str | pl.Expr | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows in batches of at most `size` rows, in row order, in bounded memory."""
        from dataplat.lake.scan import scan

        return scan(
            self.objects, self.parts, self.manifest.schema, columns=columns, where=self._where(where), batch_rows=size
        )

    def to_arrow(self, *, columns: Sequence[str] | None = None, where: str | pl.Expr | None = None) -> pa.Table:
        """Return the rows as an Arrow table."""
        from dataplat.lake.scan import to_table

        return to_table(self.objects, self.parts, self.manifest.schema, columns=columns, where=self._where(where))

    def to_polars(self, *, columns: Sequence[str] | None = None, where: str | pl.Expr | None = None) -> pl.DataFrame:
        """Return the rows as a Polars frame."""
        from dataplat._frames import to_polars

        return to_polars(self.to_arrow(columns=columns, where=where))

    def to_pandas(self, *, columns: Sequence[str] | None = None, where: str | pl.Expr | None = None) -> pd.DataFrame:
        """Return the rows as a pandas frame with Arrow-backed columns."""
        from dataplat._frames import to_pandas

        return to_pandas(self.to_arrow(columns=columns, where=where))

    def to_duckdb(self) -> duckdb.DuckDBPyRelation:
        """Return the rows as a DuckDB relation over the version's own Parquet parts."""
        from dataplat._duckdb import connect, quoted, register

        connection = connect()
        register(connection, self.dataset, self)
        return connection.table(quoted(self.dataset))

    def to_spark(self, spark: SparkSession | None = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return the rows as a frame of Spark, read by its own Parquet reader from the version's own parts.

        Filters and the choice of columns reach the files. `spark` is the session (default: the one that runs, or a new
        one); its tasks have to see the lake: a folder that all machines share, or a store.

        Raises:
            SchemaError: A column is not there, or Spark's reader has no type for it.
            ConfigError: The lake is in memory, or there is no Spark to be had.
        """
        from dataplat._spark._fast import to_spark

        return to_spark(self, spark, columns)

    def outliers(
        self,
        *,
        method: str = "robust_z",
        columns: Sequence[str] | None = None,
        bound: float | None = None,
        limit: int = 100_000,
        seed: int = 0,
    ) -> pa.Table:
        """Return the rows that lie far from the others, each with its place, its key and the reason.

        See `dataplat.outliers` for the arguments, and for what is returned.
        """
        from dataplat._validate import version_subject
        from dataplat.validation.outliers import find_outliers

        subject = version_subject(self)
        return find_outliers(subject, method=method, columns=columns, bound=bound, limit=limit, seed=seed)

    def head(self, n: int = 10) -> pa.Table:
        """Return the first `n` rows."""
        import pyarrow as pa

        batches, missing = [], n
        for batch in self.batches(max(n, 1)):
            batches.append(batch.slice(0, missing))
            missing -= batches[-1].num_rows
            if missing <= 0:
                break
        return pa.Table.from_batches(batches, self.schema)

    def export(
        self, directory: str | Path, *, to: str = "parquet", link: str = "copy", remote: str | Path | None = None
    ) -> ExportResult:
        """Write the version's rows (or, of a file tree, its files) into the folder, or to the URL, `directory`.

        `to` is parquet, csv, ndjson, arrow, dvc, iceberg or delta; `link` is copy (by reflink where the file system
        can) or hardlink (read-only, and only where bytes are stored as they are); `remote` the DVC remote's folder.
        """
        from dataplat.versioning.export import Origin, export

        origin = Origin(self.dataset, self._found_at.id)
        return export(self.objects, self.manifest, directory, origin=origin, to=to, link=link, remote=remote)

    def validate(
        self,
        contract: Any,
        *,
        strict: bool = False,
        environment: str | None = None,
        sample: float | None = None,
        engine: str | Engine = "local",
    ) -> Report:
        """Hold the version to a contract: a `Contract`, a pandera polars model or schema, or `FILE:NAME`.

        What statistics prove, and what is remembered of the same parts, is not read again. With `strict` what was not
        asked, or of a sample only, fails. `environment` says where the data is (`train`, `serve`): what the contract
        asks elsewhere only is not asked. Of a `sample` (0 to 1) this share of the row groups is read, the same ones each
        time, and checks that need all rows are not asked. With `engine="spark"` tasks read the rows; the report is the same.

        Raises:
            ContractError: The contract cannot be loaded or makes no sense.
            EngineError: Spark could not finish a task.
        """
        from dataplat._validate import validate_version

        return validate_version(self, contract, strict=strict, environment=environment, sample=sample, engine=engine)

    def profile(
        self,
        *,
        columns: str | Sequence[str] | None = None,
        where: str | pl.Expr | None = None,
        engine: str | Engine = "local",
    ) -> Profile:
        """Say what the version holds, column by column: counts, exact moments, quantiles, distinct and frequent values.

        Each part is looked at once and remembered with its deletes, segments of parts and the whole are, too: the next
        version costs what changed. It is the same, byte for byte, whatever was remembered, and with `engine="spark"`,
        where tasks read the rows.

        Raises:
            BadColumn: A column is not there.
            PredicateError: `where` cannot be evaluated.
        """
        from dataplat._profile import profile_version

        return profile_version(self, columns=columns, where=where, engine=engine)

    def suggest_contract(self, *, history: bool = False, versions: int = 50) -> Suggestion:
        """Infer a contract: `.text` is the Python file to read, change and keep.

        With `history` rules are learned from up to `versions` versions, and each is tried on them as it would have been,
        learned from those before: it comes with the false alarms that it would have raised.
        """
        from dataplat._suggest import suggest_contract

        return suggest_contract(self, history=history, versions=versions)

    def try_contract(self, contract: Any, *, versions: int = 50) -> list[Tried]:
        """Hold this version and those before it to a contract, the newest first; shared parts are looked at once."""
        from dataplat._suggest import try_contract

        return try_contract(self, contract, versions=versions)

    @property
    def found_at(self) -> Commit:
        """The commit at which it was looked up; other datasets of that commit belong to it."""
        return self._found_at

    def lease(self) -> Lease:
        """Hold the version while it is read for long, so that no collection takes it: `with version.lease(): …`.

        It holds for 24 hours; `renew()` on it, called now and then, makes that last.

        Raises:
            CommitConflict: A collection that is under way may delete it.
            VersionNotFound: It was collected.
        """
        from dataplat.versioning.gc.lease import lease_versions
        from dataplat.versioning.refs import Refs

        return lease_versions(self.objects, Refs(self.objects.store), [self.id])

    def local_parts(self) -> list[str] | None:
        """Return the paths of the parts where they lie on this machine and their hashes are right, else None.

        None, too, where columns were renamed or dropped since parts were written: files keep what was written.
        """
        from dataplat.lake.verified import verified_paths

        return None if self.manifest.root.renames else verified_paths(self.objects, self.parts)

    @property
    def _ids(self) -> tuple[str | None, ...]:
        return (self.id, self.redacted_from or self.id)

    def __len__(self) -> int:
        return self.rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and (self.dataset, self.id) == (other.dataset, other.id)

    def __hash__(self) -> int:
        return hash((self.dataset, self.id))

    def __repr__(self) -> str:
        columns = ", ".join(f"{field['name']}: {field['type']}" for field in self.schema_json[:6])
        more = f", … {len(self.schema_json) - 6} more" if len(self.schema_json) > 6 else ""
        return (
            f"Version({self.dataset}@id:{self.id[:12]}, {self.rows:,} rows × {len(self.schema_json)} columns, "
            f"{self.nbytes:,} bytes in {self.manifest.n_parts} parts, {self.created:%Y-%m-%d %H:%M:%S}Z)\n"
            f"  {columns}{more}"
        )

    def _repr_html_(self) -> str:
        from dataplat.versioning._html import html_text

        head = self.head(5)
        titles = "".join(
            f"<th style='text-align:left'>{html_text(field.name)}<br><small>{html_text(field.type)}</small></th>"
            for field in head.schema
        )
        body = "".join(
            f"<tr>{''.join(f'<td>{html_text(value)}</td>' for value in row.values())}</tr>" for row in head.to_pylist()
        )
        caption = (
            f"{html_text(self.dataset)} <code>{self.id[:12]}</code> · {self.rows:,} rows · {self.nbytes:,} bytes · "
            f"{self.created:%Y-%m-%d %H:%M}Z"
        )
        return f"<table><caption>{caption}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"

    def _where(self, where: str | pl.Expr | None) -> Where | None:
        if where is None:
            return None
        from dataplat.lake.where import parse_where

        return parse_where(where, self.schema)
