"""A version by Spark's own Parquet reader: its files are listed by the manifest, deletes are left out as they are read.

    lake["flights@v3"].to_spark().where("dep_delay > 60").groupBy("carrier").count()

Columns that nobody asks for are not read, and filters go down to row groups, as in any Parquet that Spark reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING

import xxhash

from dataplat.connectors.spark.types import spark_schema
from dataplat.errors import ConfigError, SchemaError
from dataplat.lake.scan import project
from dataplat.lake.schema import stored_name

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType

    from dataplat._version import Version
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

_SUFFIX = ".parquet"
_WORD = 64
_SPARK_SEED = 42
"""With which `xxhash64` of Spark begins."""
_PREFIX = {"s3": "s3a"}
"""How Hadoop calls the scheme of a store."""

Types = tuple["pa.DataType | None", ...]
"""What a part has under the stored names of delicate columns; None where it has no such column."""


@dataclass(frozen=True, slots=True)
class File:
    """A part, where Spark finds it."""

    part: Part
    path: str

    @property
    def name(self) -> str:
        """What Spark calls the file (`_metadata.file_name`)."""
        return self.path.rpartition("/")[2]


def to_spark(version: Version, spark: SparkSession | None = None, columns: Sequence[str] | None = None) -> DataFrame:
    """Return the rows of a version as a frame.

    Raises:
        SchemaError: A column is not there, or its type is none that Spark's Parquet reader has.
        ConfigError: The lake is in the memory of this process.
        IntegrityError: A part on this machine is missing or damaged.
    """
    fields = [version.manifest.schema.field(name) for name in project(version.manifest.schema, columns).names]
    _refuse_alike(version, fields)
    wanted = spark_schema(project(version.manifest.schema, columns))
    session = _session_for(version, spark)
    found = [part for part in version.parts if part.live]
    if not found:
        return session.createDataFrame([], wanted)
    reading = Reading.of(version.objects, fields, [field.dataType for field in wanted])
    files = located(version.objects, found)
    settings = _reader_settings(version.objects)
    frames = [_frame(session, reading, group, types, settings) for types, group in reading.groups(files)]
    return reduce(lambda one, other: one.unionAll(other), frames)


def _session_for(version: Version, spark: SparkSession | None) -> SparkSession:
    from dataplat._spark._session import session
    from dataplat.connectors.spark.jars import extras_of
    from dataplat.lake.stores import Address

    return session(extras=extras_of(Address.of(version.objects.store).url)) if spark is None else spark


def _refuse_alike(version: Version, fields: Sequence[pa.Field]) -> None:
    """Refuse columns that Spark takes for one: it does not tell `a` from `A`, not even where it is to read one of them."""
    held = [*(stored_name(field) for field in version.manifest.schema), *version.manifest.root.gone]
    for field in fields:
        own = stored_name(field)
        other = next((name for name in held if name != own and name.lower() == own.lower()), None)
        if other is not None:
            raise SchemaError(
                f"files of {version.dataset} hold {own!r} and {other!r}, and Spark's Parquet reader does not tell capitals: "
                f'read it by spark.read.format("dataplat").option("columns", {field.name!r}), or land it anew'
            )


# ------------------------------------------------------------------------------------------------------ where they are


def located(objects: Objects, parts: Sequence[Part]) -> list[File]:
    """Return where Spark finds parts: files of this machine, whose hashes are right, or URLs of a store.

    Raises:
        ConfigError: The store is in memory.
        IntegrityError: A file is missing or damaged.
    """
    from dataplat.lake.objects import object_key
    from dataplat.lake.stores import SupportsFiles, SupportsUrl
    from dataplat.lake.verified import verified_paths

    store = objects.store
    if objects.stage is not None or isinstance(store, SupportsFiles):
        return [File(part, path) for part, path in zip(parts, verified_paths(objects, parts), strict=True)]
    if not isinstance(store, SupportsUrl):
        raise ConfigError("the lake is in the memory of this process, where Spark cannot read it: open one in a folder")
    return [File(part, _hadoop(store.url(object_key(part.id, _SUFFIX)))) for part in parts]


def _hadoop(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{_PREFIX.get(scheme, scheme)}{separator}{rest}"


def _reader_settings(objects: Objects) -> dict[str, str]:
    """Return what Spark's reader is told: times as they are, and CRCs checked where nobody has hashed the file."""
    from dataplat.connectors.spark.stores import hadoop_settings
    from dataplat.lake.stores import SupportsFiles

    settings = {"datetimeRebaseMode": "CORRECTED", "int96RebaseMode": "CORRECTED", "mergeSchema": "false"}
    settings["__globPaths__"] = "false"  # a `[` of a folder's name is a `[`
    if objects.stage is None and not isinstance(objects.store, SupportsFiles):
        settings |= {"parquet.page.verify-checksum.enabled": "true", **hadoop_settings(objects.store)}
    return settings


# ------------------------------------------------------------------------------------------------------- what they hold


@dataclass(frozen=True, slots=True)
class Reading:
    """Columns to be read: as the schema has them (stored names), and what Spark shows for each.

    `delicate` are those that parts may hold in a type which Spark reads as if it were another: durations of another
    unit, integers below an unsigned one, nulls below anything. Of these the parts are asked what they have.
    """

    objects: Objects
    fields: Sequence[pa.Field]
    shown: Sequence[DataType]
    delicate: Sequence[int]

    @classmethod
    def of(cls, objects: Objects, fields: Sequence[pa.Field], shown: Sequence[DataType]) -> Reading:
        """Look which columns are delicate; refuse those that Spark cannot read."""
        for field in fields:
            if any(_is_unknown(kind, inside=bool(field.type.num_fields)) for kind in _leaves(field.type)):
                raise SchemaError(
                    f"column {field.name!r} is {field.type}, which Spark's Parquet reader does not know: leave "
                    'it out (columns=[…]), or read the version by spark.read.format("dataplat")'
                )
        delicate = [at for at, field in enumerate(fields) if not _is_plain(field.type)]
        return cls(objects, fields, shown, delicate)

    def groups(self, files: Sequence[File]) -> Iterator[tuple[Types, list[File]]]:
        """Yield files that are read alike, each once: a file that is in a version twice is in two groups."""
        found: dict[tuple[Types, bool, int], list[File]] = defaultdict(list)
        times: dict[str, int] = defaultdict(int)
        known: dict[str, Types] = {}
        for file in files:
            if file.part.id not in known:
                known[file.part.id] = self._types(file.part)
            found[known[file.part.id], file.part.deletes is not None, times[file.path]].append(file)
            times[file.path] += 1
        return ((types, group) for (types, _, _), group in found.items())

    def _types(self, part: Part) -> Types:
        """Return what a part has for the delicate columns; its footer is read only where statistics leave it open."""
        from dataplat.lake._part_open import open_part

        asked = [at for at in self.delicate if self._may_differ(part, self.fields[at])]
        if not asked:
            return tuple(self.fields[at].type for at in self.delicate)
        schema = open_part(self.objects, part).schema
        return tuple(_in(schema, self.fields[at]) if at in asked else self.fields[at].type for at in self.delicate)

    @staticmethod
    def _may_differ(part: Part, field: pa.Field) -> bool:
        import pyarrow as pa

        if pa.types.is_duration(field.type) or pa.types.is_uint64(field.type) or _is_converted(field.type):
            return True
        stats = part.stats.get(field.name)
        return stats is None or stats.nulls == part.rows


def _in(schema: pa.Schema, field: pa.Field) -> pa.DataType | None:
    name = stored_name(field)
    return schema.field(name).type if name in schema.names else None


def _leaves(kind: pa.DataType) -> Iterator[pa.DataType]:
    if not kind.num_fields:
        yield kind
    for at in range(kind.num_fields):
        yield from _leaves(kind.field(at).type)


def _is_unknown(kind: pa.DataType, *, inside: bool) -> bool:
    """Say whether Spark's reader has no way to a type: half floats, and inside of others what takes arithmetic."""
    import pyarrow as pa

    return bool(pa.types.is_float16(kind)) or (inside and _is_converted(kind))


def _is_plain(kind: pa.DataType) -> bool:
    """Say whether Spark reads all that may have been widened to a type as that type, and nulls, too."""
    import pyarrow as pa

    return bool(
        pa.types.is_signed_integer(kind)
        or pa.types.is_float32(kind)
        or pa.types.is_float64(kind)
        or pa.types.is_date32(kind)
    )


def _is_converted(kind: pa.DataType) -> bool:
    """Say whether values of a type are made of integers that Spark reads, by arithmetic."""
    import pyarrow as pa

    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return bool(kind.unit != "us")
    return bool(pa.types.is_timestamp(kind) and kind.unit == "ns")


# ------------------------------------------------------------------------------------------------------------- frames


def _frame(
    session: SparkSession, reading: Reading, files: Sequence[File], types: Types, settings: Mapping[str, str]
) -> DataFrame:
    """Return the rows of files that are read alike."""
    from pyspark.sql.types import StructField, StructType

    own = dict(zip(reading.delicate, types, strict=True))
    has_nans = _with_nans(reading.fields, files)
    asked, shown = [], []
    for at, (field, kind) in enumerate(zip(reading.fields, reading.shown, strict=True)):
        read, column = _column(field, own.get(at, field.type), kind, guarded=stored_name(field) in has_nans)
        if read is not None:
            asked.append(StructField(stored_name(field), read))
        shown.append(column.alias(field.name))
    reader = session.read.schema(StructType(asked)).options(**settings)
    frame = reader.parquet(*(file.path for file in files))
    return _without_deleted(session, frame, files, reading.objects).select(*shown)


def _with_nans(fields: Iterable[pa.Field], files: Sequence[File]) -> set[str]:
    """Return the stored names of columns that hold NaN somewhere.

    Spark takes NaN for greater than any number and prunes by the bounds that files say, in which no NaN is.
    """
    import pyarrow as pa

    floats = [field for field in fields if pa.types.is_floating(field.type)]
    stats = [file.part.stats for file in files]  # by the names of now
    return {stored_name(one) for one in floats if any(one.name in each and each[one.name].nans for each in stats)}


def _column(
    field: pa.Field, own: pa.DataType | None, shown: DataType, *, guarded: bool
) -> tuple[DataType | None, Column]:
    """Return as what Spark reads a column of a file (None: not at all), and what is made of it."""
    import pyarrow as pa
    from pyspark.sql import functions as F  # noqa: N812
    from pyspark.sql import types as T  # noqa: N812

    if own is None or pa.types.is_null(own):
        return None, F.lit(None) if isinstance(shown, T.NullType) else F.lit(None).cast(shown)
    name = _quoted(stored_name(field))
    column = F.col(name)
    if guarded:
        return shown, F.nanvl(column, F.lit(float("nan")).cast(shown))
    if _is_converted(own):
        read = T.IntegerType() if pa.types.is_time32(own) else T.LongType()
        return read, F.expr(_converted(own, name))
    if own != field.type and pa.types.is_unsigned_integer(own):
        return spark_schema(pa.schema([pa.field("c", own)]))[0].dataType, column.cast(shown)
    return shown, column


_MICROSECOND = "INTERVAL '0.000001' SECOND"


def _converted(kind: pa.DataType, name: str) -> str:
    """Return the expression for a value that lies in a file as an integer."""
    import pyarrow as pa

    micros = {"s": f"{name} * 1000000L", "ms": f"{name} * 1000L", "us": name, "ns": _exact(name)}[kind.unit]
    if pa.types.is_duration(kind):
        return f"({micros}) * {_MICROSECOND}"
    if pa.types.is_time(kind):
        return f"time_from_micros({micros})"
    if kind.tz is None:
        return f"TIMESTAMP_NTZ '1970-01-01 00:00:00' + ({micros}) * {_MICROSECOND}"
    return f"timestamp_micros({micros})"


def _exact(name: str) -> str:
    """Return microseconds of nanoseconds; values that have more are an error, as by `format("dataplat")`."""
    text = name.replace("'", "''")
    return (
        f"CASE WHEN {name} % 1000 = 0 THEN {name} div 1000 WHEN {name} IS NOT NULL THEN raise_error("
        f"'column {text} holds nanoseconds, which Spark has no type for: leave it out, or evolve it') END"
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


# ------------------------------------------------------------------------------------------------------------ deletes


def _without_deleted(session: SparkSession, frame: DataFrame, files: Sequence[File], objects: Objects) -> DataFrame:
    """Leave out the rows that no longer count, by a broadcast table of 64 positions a row.

    One integer says file and position: Spark looks that up several times faster than a text and an integer.
    """
    from pyspark.sql import functions as F  # noqa: N812

    if files[0].part.deletes is None:
        return frame
    seed, firsts = numbered([(file.name, _words_of(file.part)) for file in files])
    gone = F.broadcast(session.createDataFrame(words(objects, files, firsts)))
    place = frame.metadataColumn("_metadata")
    row = place["row_index"]
    first = F.shiftright(F.xxhash64(F.lit(seed), place["file_name"]), 1)
    bit = F.call_function("getbit", gone["bits"], row.bitwiseAND(_WORD - 1).cast("int"))
    here = (first + F.shiftright(row, 6) == gone["word"]) & (bit == 1)
    return frame.join(gone, here, "left_anti")


def _words_of(part: Part) -> int:
    return -(-part.rows // _WORD)


def numbered(files: Sequence[tuple[str, int]]) -> tuple[int, list[int]]:
    """Return where the words of each file begin in one row of numbers, and a seed with which no two files meet there.

    Args:
        files: the name of each, once, and how many words it has.

    Returns:
        The seed, and for each file what `shiftright(xxhash64(seed, name), 1)` is in Spark. Half of the range of a long:
        to add a position cannot leave it.
    """
    seed = 0
    while True:
        salt = xxhash.xxh64_intdigest(seed.to_bytes(4, "little"), _SPARK_SEED)
        firsts = [_signed(xxhash.xxh64_intdigest(name.encode(), salt)) >> 1 for name, _ in files]
        laid = sorted(zip(firsts, (count for _, count in files), strict=True))
        if all(one + count <= other for (one, count), (other, _) in pairwise(laid)):
            return seed, firsts
        seed += 1


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def words(objects: Objects, files: Sequence[File], firsts: Sequence[int]) -> pa.Table:
    """Return the positions that do not count, as words of 64 bits: (number of the word, its bits)."""
    import numpy as np
    import pyarrow as pa

    from dataplat.lake.deletes import load_deletes

    tables = []
    for file, first in zip(files, firsts, strict=True):
        positions = np.asarray(load_deletes(objects, file.part).to_array()).astype(np.int64)
        number, at = np.unique(positions // _WORD, return_inverse=True)
        bits = np.zeros(len(number), np.uint64)
        np.bitwise_or.at(bits, at, np.uint64(1) << (positions % _WORD).astype(np.uint64))
        tables.append(pa.table({"word": number + first, "bits": bits.view(np.int64)}))
    return pa.concat_tables(tables)
