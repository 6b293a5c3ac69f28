"""Judge data that lies in a lake, in a file or in memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.connectors.source import Rejects, SchemaWidened
from dataplat.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._version import Version
    from dataplat.connectors.source import Source
    from dataplat.lake.engine import Engine
    from dataplat.validation import Contract, Report
    from dataplat.validation.report import CheckOutcome
    from dataplat.validation.rules import Context
    from dataplat.validation.subject import Subject, VersionSubject


def validate(
    data: Any,
    contract: Any,
    *,
    key: str | Sequence[str] = (),
    strict: bool = False,
    environment: str | None = None,
    sample: float | None = None,
) -> Report:
    """Hold data to a contract, without a lake.

    Args:
        data: an Arrow, polars or pandas table, a reader or list of batches, or a file (a path, glob or folder, also on
            `s3://`, `gs://`, `hdfs://`). Rows of Parquet files and tables are read where they lie; others are kept in
            a temporary file while they are judged, so that memory stays bounded. Text is read by the types that the
            contract asks for, as `ingest` does.
        contract: a `Contract`, a pandera polars model or schema, or `FILE:NAME`.
        key: columns that name a row in the report.
        strict: what was not asked, or asked of a sample only, fails.
        environment: where the data is (`train`, `serve`): what the contract asks elsewhere only is not asked.
        sample: the share of row groups that row checks read; checks that need all rows are not asked. None: all.

    Raises:
        ContractError: the contract cannot be loaded or makes no sense.
        SourceError: the data cannot be read.
    """
    from dataplat.validation import load_contract

    loaded = load_contract(contract)
    columns = (key,) if isinstance(key, str) else tuple(key)
    subject, unread = subject_of(data, columns, loaded)
    report = loaded.judge(subject, strict=strict, environment=environment, sample=sample)
    return replace(report, checks=(*unread, *report.checks))


def validate_version(
    version: Version,
    contract: Any,
    *,
    strict: bool = False,
    environment: str | None = None,
    sample: float | None = None,
    engine: str | Engine = "local",
) -> Report:
    """Hold a version to a contract; what is known of its parts is not asked again."""
    from dataplat._engine import engine_of
    from dataplat.validation import load_contract

    subject = version_subject(version)
    return load_contract(contract).judge(
        subject,
        context=context_of(version),
        strict=strict,
        environment=environment,
        sample=sample,
        engine=engine_of(engine, version.objects),
    )


def version_subject(version: Version) -> VersionSubject:
    """Return a version as what is judged; versions before it in its history vouch for the parts they share."""
    from dataplat.validation.subject import VersionSubject
    from dataplat.versioning.history import versions

    def earlier() -> Iterator[str]:
        found = versions(version.objects, version.commit, version.dataset)
        ids = (entry.change.version for entry in found)
        return (each for each in ids if each is not None and each != version.id)

    return VersionSubject(version.objects, version.manifest, version.dataset, earlier)


def context_of(version: Version) -> Context:
    """Return what rules may look at beside a version: other datasets of its lake, as its own branch has them."""
    from dataplat.validation.lookup import context_in_lake

    objects, commit = version.objects, version.found_at
    return context_in_lake(objects, version.dataset, lambda name: commit.dataset(name, objects.read))


def subject_of(
    data: Any, key: Sequence[str] = (), contract: Contract | None = None
) -> tuple[Subject, list[CheckOutcome]]:
    """Return data outside a lake as what is judged, and an outcome for records of it that cannot be read.

    Text is read by the types that `contract` asks for.

    Raises:
        SourceError: the data cannot be read, or has several columns of one name.
    What is no table and no Parquet file lies in a temporary file for as long as the subject does.
    """
    import pyarrow as pa

    from dataplat.connectors.files import open_source
    from dataplat.ingest._schema import asked_types
    from dataplat.validation.subject import ParquetSubject, TableSubject

    if isinstance(data, list | tuple) and data and all(isinstance(each, pa.RecordBatch) for each in data):
        data = pa.Table.from_batches(list(data))
    if isinstance(data, str | Path) and (paths := _parquet_files(str(data))):
        subject = ParquetSubject(paths, str(data), key)
        _refuse_twice(subject.schema.names, subject.title)
        return subject, []
    if not isinstance(data, str | Path | pa.RecordBatchReader):
        source = open_source(data)
        (split,) = source.plan({})
        _refuse_twice(source.schema().names, f"the {split.label}")
        with closing(source.read(split)) as items:
            batches = [item for item in items if isinstance(item, pa.RecordBatch)]
        return TableSubject(pa.Table.from_batches(batches, source.schema()), f"the {split.label}", key), []
    folder = Path(tempfile.mkdtemp(prefix="dataplat-validate-"))
    try:
        data = str(data) if isinstance(data, Path) else data
        source = open_source(data)
        names: Sequence[str] = ()
        if contract is not None and data != "-" and source.is_text:
            names = source.schema().names  # a column that is not there is for the contract to say
            source = open_source(data, schema=pa.schema([each for each in asked_types(contract) if each.name in names]))
        _refuse_twice(source.schema().names, data if isinstance(data, str) else "the reader")
        path, rejects = _spooled(source, folder, names)
        subject = ParquetSubject([path], data if isinstance(data, str) else "the reader", key, named=False)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(subject, shutil.rmtree, folder, ignore_errors=True)
    return subject, _unread(rejects)


def _refuse_twice(names: Sequence[str], what: str) -> None:
    """Raise `SourceError` where several columns have one name: nobody could say which is meant."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"{what} has several columns of the name {', '.join(map(repr, twice))}: rename all but one")


def _parquet_files(name: str) -> list[Path]:
    """Return the local Parquet files that a name stands for, of one schema; else none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from dataplat.connectors.files._open import files_found_by

    if "://" in name or name == "-":
        return []
    path = Path(name).expanduser()
    found = [path] if path.is_file() else files_found_by(str(path)) if not path.is_dir() else sorted(path.rglob("*"))
    files = [each for each in found if each.is_file()]
    if not files or any(each.suffix not in {".parquet", ".pq"} for each in files):
        return []
    try:
        schemas = [pq.read_schema(each).remove_metadata() for each in files]
    except (OSError, pa.ArrowException):  # whoever reads files says what is wrong with one
        return []
    return files if all(schema == schemas[0] for schema in schemas) else []


def _spooled(source: Source, folder: Path, names: Sequence[str]) -> tuple[Path, list[Rejects]]:
    """Write the rows of a source into one Parquet file, as often as its types widen; `names` are its first columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "rows.parquet"
    splits = [split for split in source.plan({}) if split.skipped is None]
    while True:
        rejects: list[Rejects] = []
        try:
            found = source.schema()
            order = [*names, *(name for name in found.names if name not in names)]
            schema = pa.schema([found.field(name) for name in order])
            with pq.ParquetWriter(path, schema, compression="lz4") as writer:
                for split in splits:
                    with closing(source.read(split)) as items:
                        for item in items:
                            if isinstance(item, pa.RecordBatch):
                                batch: Any = item
                                writer.write_batch(batch.select(order))
                            elif isinstance(item, Rejects):
                                rejects.append(item)
        except SchemaWidened:
            continue
        return path, rejects


def _unread(rejects: Sequence[Rejects]) -> list[CheckOutcome]:
    from dataplat.validation.report import EXAMPLES_PER_CHECK, CheckOutcome, Example

    count = sum(each.batch.num_rows for each in rejects)
    if not count:
        return []
    rows = [row for each in rejects for row in each.batch.slice(0, EXAMPLES_PER_CHECK).to_pylist()]
    examples = tuple(
        Example(row.get("line"), bytes(row["raw"] or b"").decode("utf-8", "replace")[:200])
        for row in rows[:EXAMPLES_PER_CHECK]
    )
    detail = f"records that cannot be read: {rows[0]['error']}"
    return [CheckOutcome("readable", "schema", "failed", failing=count, rows=count, examples=examples, detail=detail)]
