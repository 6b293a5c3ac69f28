"""Answers as Label Studio gives them, read into the tables of a queue: an answer's `result` verbatim, and laid flat.

Both of its forms are read, the export and the listing of tasks; the same answer gives the same rows from either, and
whatever the order of delivery. A `result` that cannot be read flat is kept all the same; `unflat` says which and why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

from dataplat.errors import LabelServerError
from dataplat.labeling._flat import Flat, Owners
from dataplat.labeling._items import reason_of
from dataplat.labeling._json_array import BLOCK, blocks
from dataplat.labeling._json_text import as_written
from dataplat.labeling._loose import loose, loose_list, marked, unmarked
from dataplat.labeling._offsets import Shown
from dataplat.labeling.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.labeling.config import LabelConfig


class Seen(NamedTuple):
    """A task as the server had it: whose question it is, when it was last touched, how many answers it has."""

    task: str
    updated_at: datetime | None
    annotations: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Some tasks' answers.

    Attributes:
        annotations: a row for each answer; these three tables have the schemas of `dataplat.labeling.tables`. `result`
            is the text that came, but for white space and signs that the server writes now one way, now another.
        regions: a row for each item of a result.
        relations: a row for each relation of a result.
        seen: the tasks that were read, by their id on the server.
        foreign: ids of tasks that no queue put there (they have no `dataplat_id`), with the number of their answers,
            which are in no table.
        unflat: answers without rows in `regions` and `relations`, since their result could not be read, and why.
    """

    annotations: pa.Table
    regions: pa.Table
    relations: pa.Table
    seen: dict[int, Seen]
    foreign: dict[int, int]
    unflat: dict[str, str]


_Id: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class _Annotation(msgspec.Struct, gc=False):
    id: _Id | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    completed_by: _Id | dict[str, Any] | None = None
    was_cancelled: bool | None = None
    lead_time: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    parent_prediction: _Id | None = None
    parent_annotation: _Id | None = None
    ground_truth: bool | None = None
    project: _Id | None = None


class _Task(msgspec.Struct, gc=False):
    id: _Id | None = None
    data: dict[str, Any] = {}
    annotations: list[_Annotation] = []
    updated_at: datetime | None = None
    project: _Id | None = None


_TASKS: Final = msgspec.json.Decoder(list[_Task])
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TEXTS: Final = frozenset({"Text", "HyperText", "Paragraphs"})


def read_export(
    chunks: Iterable[bytes], config: LabelConfig | None, names: Mapping[int, str], *, block: int = BLOCK
) -> Iterator[Answers]:
    """Read a JSON export (`exportType=JSON`), a piece at a time.

    Args:
        chunks: its bytes, cut anywhere.
        config: the label config that was shown; None: `config` is null, and texts are found by what spans say.
        names: what the queue calls the people who answered, by their id on the server.
        block: bytes that are decoded at once, which bound the memory.

    Yields:
        The answers of some tasks, in the order of the export.

    Raises:
        LabelServerError: The bytes are no JSON array, or end before it does.
    """
    for text in blocks(chunks, block):
        yield _read(text, config, names)


def read_tasks(tasks: Sequence[Mapping[str, Any]], config: LabelConfig | None, names: Mapping[int, str]) -> Answers:
    """Read tasks as `GET /api/tasks?fields=all` lists them, as plain values.

    Of a task that is there twice, as it
    is where pages shift meanwhile, the one that was updated last counts.
    """
    text = json.dumps(list(tasks), ensure_ascii=False, separators=(",", ":"), default=str)
    read = _tasks(text.encode(errors="backslashreplace"))  # half a character becomes its escape
    last: dict[Any, _Task] = {}
    for at, task in enumerate(read):
        key = -1 - at if task.id is None else task.id
        if key not in last or (task.updated_at or _EPOCH) >= (last[key].updated_at or _EPOCH):
            last[key] = task
    return _answers(list(last.values()), config, names)


def _read(text: bytes, config: LabelConfig | None, names: Mapping[int, str]) -> Answers:
    try:
        return _answers(_tasks(text), config, names)
    except UnicodeDecodeError as error:
        near = error.object[max(error.start - 20, 0) : error.start + 20]
        raise LabelServerError(f"the export is not UTF-8 near {near!r}") from error


def _tasks(text: bytes) -> list[_Task]:
    try:
        return _TASKS.decode(text)
    except msgspec.DecodeError:
        text.decode()  # else some of it would be taken for tasks of nobody
    elements = loose_list(marked(text))
    if elements is None:
        raise LabelServerError(f"the export is no JSON array of tasks, or broken; it begins with {text[:60]!r}")
    return [_loose_task(each) for each in elements]


def _loose_task(text: bytes) -> _Task:
    task = loose(text, _Task) or _Task()
    raw = bytes((loose(text, _Answered) or _Answered()).annotations)
    each = loose_list(raw)
    odd = [] if raw == b"null" else [raw]
    task.annotations = [_loose_annotation(one) for one in (odd if each is None else each)]
    return task


class _Answered(msgspec.Struct, gc=False):
    annotations: msgspec.Raw = msgspec.Raw(b"null")


def _loose_annotation(text: bytes) -> _Annotation:
    found = loose(text, _Annotation) or _Annotation(result=msgspec.Raw(text))
    found.result = msgspec.Raw(unmarked(bytes(found.result)))
    return found


def _answers(tasks: Sequence[_Task], config: LabelConfig | None, names: Mapping[int, str]) -> Answers:
    rows: list[tuple[Any, ...]] = []
    flat = Flat(_columns(config))
    seen: dict[int, Seen] = {}
    foreign: dict[int, int] = {}
    unflat: dict[str, str] = {}
    odd: set[str] = set()
    for task in tasks:
        whose = task.data.get("dataplat_id")
        if not isinstance(whose, str) or not whose:
            number = -1 if task.id is None else task.id
            foreign[number] = foreign.get(number, 0) + len(task.annotations)
            continue
        if task.id is not None:
            seen[task.id] = Seen(whose, _aware(task.updated_at), len(task.annotations))
        shown = Shown.of(task.data)
        for annotation in task.annotations:
            result = as_written(bytes(annotation.result))
            key = _key(annotation, whose, result)
            if annotation.id is None:  # a name is there once
                if key in odd:
                    continue
                odd.add(key)
            why = flat.add(len(rows), result, shown)
            if why is not None:
                unflat[key] = why
            rows.append(_row(annotation, key, task, whose, result, config, names))
    annotations = _table(rows)
    owners = Owners(annotations["annotation"], annotations["task"], annotations["annotator"])
    return Answers(annotations, *flat.tables(owners), seen, foreign, unflat)


def _columns(config: LabelConfig | None) -> dict[str, str | None]:
    return {} if config is None else {each.name: each.column for each in config.objects if each.tag in _TEXTS}


def _row(
    annotation: _Annotation,
    key: str,
    task: _Task,
    whose: str,
    result: bytes,
    config: LabelConfig | None,
    names: Mapping[int, str],
) -> tuple[Any, ...]:
    skipped = bool(annotation.was_cancelled)
    return (
        key, annotation.id, whose, _name(annotation.completed_by, names),
        task.project if annotation.project is None else annotation.project,
        result.decode(), skipped, reason_of(result) if skipped else None,
        annotation.lead_time, annotation.created_at, annotation.updated_at,
        None if config is None else config.id,
        annotation.parent_prediction, annotation.parent_annotation, annotation.ground_truth,
    )  # fmt: skip


def _key(annotation: _Annotation, whose: str, result: bytes) -> str:
    """Return what names an answer wherever it is read: the listing of tasks does not tell its `unique_id`."""
    if annotation.id is None:
        return f"odd-{sha256(whose.encode() + result).hexdigest()[:32]}"
    created = _aware(annotation.created_at)
    return f"{annotation.id}-{0 if created is None else (created - _EPOCH) // _MICROSECOND}"


def _name(user: int | dict[str, Any] | None, names: Mapping[int, str]) -> str | None:
    number = user.get("id") if isinstance(user, dict) else user
    return None if number is None else names.get(number, f"user-{number}")


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    fields = schema("annotations")
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=fields)
