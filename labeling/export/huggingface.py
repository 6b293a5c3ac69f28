"""A folder that `datasets.load_dataset(folder)` reads: Parquet, and a README whose head says what the columns are.

A row is an answer. A control of one choice is a ClassLabel, one of several a list of them; spans and regions are lists
of structs. Written without the library: the head follows https://huggingface.co/docs/datasets/repository_structure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.labeling.export._exported import Exported
from dataplat.labeling.export._labelled import Answer, Labels, Mark

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS: Final = 10_000  # in a row group
_FILE: Final = "data/train-00000-of-00001.parquet"
_NUMBERS: Final = ("x", "y", "width", "height", "rotation")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: its name, what it is read from, its type in Arrow and in the README's head."""

    name: str
    source: str
    kind: str  # "shown" | "whose" | "one" | "several" | "text" | "number" | "spans" | "regions"
    type: pa.DataType
    feature: dict[str, Any]
    labels: tuple[str, ...] = ()


def write(folder: Path, labels: Labels) -> Exported:
    """Write every answer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _columns(labels)
    schema = pa.schema([pa.field(each.name, each.type) for each in columns])
    file = folder / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    answers = marks = size = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        rows = _rows(labels, columns)
        while group := list(islice(rows, _ROWS)):
            table = pa.Table.from_pylist([row for row, _ in group], schema=schema)
            out.write_table(table)
            size += table.nbytes
            answers += len(group)
            marks += sum(count for _, count in group)
    readme = folder / "README.md"
    readme.write_text(_readme(columns, answers, size), encoding="utf-8")
    return Exported("huggingface", (readme, file), answers, marks, labels.left_out)


def _columns(labels: Labels) -> list[_Column]:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    found = [_Column(labels.id_column, "task", "whose", text, _scalar("string"))]
    found += [_Column(name, name, "shown", *_shown(labels, name)) for name in labels.columns]
    taken = {each.name for each in found}
    for control, type in labels.controls.items():
        made = _control(labels, control, type)
        if made is not None:
            found.append(made if made.name not in taken else _Column(f"label.{control}", *_rest(made)))
    whose = [("annotator", text, "string"), ("lead_time", number, "float64"), ("created_at", text, "string")]
    found += [
        _Column(name if name not in taken else f"label.{name}", name, "whose", type, _scalar(dtype))
        for name, type, dtype in whose
    ]
    return found


def _rest(column: _Column) -> tuple[Any, ...]:
    return column.source, column.kind, column.type, column.feature, column.labels


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype}


def _class(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": {"class_label": {"names": {str(at): name for at, name in enumerate(names)}}}}


def _shown(labels: Labels, name: str) -> tuple[pa.DataType, dict[str, Any]]:
    """Return the narrowest type that holds a column that tasks show."""
    import pyarrow as pa

    kinds = labels.kinds(name)
    if kinds <= {int}:
        return pa.int64(), _scalar("int64")
    if kinds <= {int, float}:
        return pa.float64(), _scalar("float64")
    if kinds <= {bool}:
        return pa.bool_(), _scalar("bool")
    return pa.string(), _scalar("string")


def _control(labels: Labels, control: str, type: str) -> _Column | None:
    import pyarrow as pa

    if type in {"rating", "number"}:
        return _Column(control, control, "number", pa.float64(), _scalar("float64"))
    if type.endswith("labels"):
        names = tuple(labels.names(control))
        return _regions(control, names) if labels.in_pictures(control) else _marks(control, names)
    if type in {"choices", "taxonomy", "pairwise"}:
        names = tuple(labels.names(control))
        if labels.several(control):
            return _Column(control, control, "several", pa.list_(pa.int64()), {"list": _class(names)["dtype"]}, names)
        return _Column(control, control, "one", pa.int64(), _class(names), names)
    return _Column(control, control, "text", pa.string(), _scalar("string"))


def _marks(control: str, names: tuple[str, ...]) -> _Column:
    import pyarrow as pa

    fields = {"start": pa.float64(), "end": pa.float64(), "text": pa.string()}
    return _structs(control, "spans", fields, names)


def _regions(control: str, names: tuple[str, ...]) -> _Column:
    import pyarrow as pa

    fields = dict.fromkeys(_NUMBERS, pa.float64()) | {"points": pa.list_(pa.float64())}
    return _structs(control, "regions", fields, names)


def _structs(control: str, kind: str, fields: dict[str, pa.DataType], names: tuple[str, ...]) -> _Column:
    """Return a column of lists of structs: where, which label, and what else was said of it (as JSON)."""
    import pyarrow as pa

    feature = [{"name": name, **_feature(type)} for name, type in fields.items()]
    feature += [{"name": "label", **_class(names)}, {"name": "said", **_scalar("string")}]
    type = pa.list_(pa.struct(fields | {"label": pa.int64(), "said": pa.string()}))
    return _Column(control, control, kind, type, {"list": feature}, names)


def _feature(type: pa.DataType) -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_list(type):
        return {"list": _feature(type.value_type)["dtype"]}
    return _scalar({"double": "float64"}.get(str(type), str(type)))


def _rows(labels: Labels, columns: list[_Column]) -> Iterator[tuple[dict[str, Any], int]]:
    numbers = {each.name: {name: at for at, name in enumerate(each.labels)} for each in columns}
    for task in labels:
        for answer in task.answers:
            row: dict[str, Any] = {}
            for column in columns:
                if column.kind == "shown":
                    row[column.name] = _plain(task.data.get(column.source), column.feature["dtype"])
                elif column.kind == "whose":
                    row[column.name] = task.task if column.source == "task" else _whose(answer, column.source)
                else:
                    row[column.name] = _said(answer, column, numbers[column.name])
            yield row, len(answer.marks)


def _plain(value: Any, dtype: str) -> Any:
    return json.dumps(value, ensure_ascii=False) if dtype == "string" and not isinstance(value, str | None) else value


def _whose(answer: Answer, name: str) -> Any:
    value = answer.row[name]
    return value.isoformat() if name == "created_at" and value is not None else value


def _said(answer: Answer, column: _Column, numbers: dict[str, int]) -> Any:
    if column.kind in {"spans", "regions"}:
        marks = [each for each in answer.marks if each.row["from_name"] == column.source]
        return [_mark(mark, label, column.kind, numbers) for mark in marks for label in mark.labels or [""]]
    value = answer.said.get(column.source)
    if value is None or column.kind in {"text", "number"}:
        return value if value is None or column.kind == "number" or isinstance(value, str) else json.dumps(value)
    said = [numbers[each] for each in value]
    return said if column.kind == "several" else said[0] if said else None


def _mark(mark: Mark, label: str, kind: str, numbers: dict[str, int]) -> dict[str, Any]:
    names = ("start", "end", "text") if kind == "spans" else (*_NUMBERS, "points")
    said = json.dumps(mark.said, ensure_ascii=False) if mark.said else None
    return {name: mark.row[name] for name in names} | {"label": numbers.get(label), "said": said}


def _readme(columns: list[_Column], answers: int, size: int) -> str:
    """Return the README: JSON is YAML, so the head needs no other writer."""
    head = {
        "dataset_info": {
            "features": [{"name": each.name, **each.feature} for each in columns],
            "splits": [{"name": "train", "num_examples": answers, "num_bytes": size}],
        },
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }
    lines = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items())
    told = "\n".join(f"- `{each.name}`: {_told(each)}" for each in columns)
    return f"---\n{lines}\n---\n\n# Labels\n\n{answers:,} answers.\n\n{told}\n"


def _told(column: _Column) -> str:
    if column.labels:
        return f"{column.kind}, of {', '.join(column.labels)}"
    if column.kind == "whose":
        return _WHOSE.get(column.name, "of the answer")
    return {"shown": "what was shown"}.get(column.kind, column.kind)


_WHOSE: Final = {
    "task": "the question",
    "annotator": "whose answer it is",
    "lead_time": "how long it took, in seconds",
    "created_at": "when it was given",
}
