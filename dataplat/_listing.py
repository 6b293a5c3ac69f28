"""What a lake holds, as plain values: datasets, and the log of one. Reads metadata only."""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from dataplat.versioning.history import log, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset at the head of a branch; `commit` changed it last, at `changed`. Bytes are those of its parts."""

    name: str
    version: str
    rows: int
    nbytes: int
    changed: datetime
    commit: str
    description: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.name,
            "version": self.version,
            "rows": self.rows,
            "bytes": self.nbytes,
            "changed": self.changed.isoformat(),
            "commit": self.commit,
            "description": self.description,
        }


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One change of a dataset: what it became (`version` None: dropped), and by whom, when and why."""

    dataset: str
    version: str | None
    commit: str
    time: datetime
    author: str
    mode: str
    message: str
    rows: int
    rows_added: int
    rows_deleted: int
    nbytes: int
    inputs: tuple[str, ...]
    checks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "dataset": self.dataset,
            "version": self.version,
            "commit": self.commit,
            "time": self.time.isoformat(),
            "author": self.author,
            "mode": self.mode,
            "message": self.message,
            "rows": self.rows,
            "rows_added": self.rows_added,
            "rows_deleted": self.rows_deleted,
            "bytes": self.nbytes,
            "inputs": list(self.inputs),
            "checks": list(self.checks),
        }


def list_datasets(objects: Objects, commit: Commit) -> list[DatasetInfo]:
    """Return the datasets of `commit`, in order of name."""
    return [
        DatasetInfo(
            name, state.version or "", state.rows, state.bytes, moment(state.time), state.commit, state.description
        )
        for name, state in commit.datasets(objects.read).items()
    ]


def list_log(objects: Objects, head: Commit, dataset: str, limit: int | None) -> list[LogEntry]:
    """Return the changes of `dataset`, newest first, `limit` of them at most."""
    return [
        LogEntry(
            dataset=entry.dataset,
            version=entry.change.version,
            commit=entry.commit.id,
            time=moment(entry.commit.time),
            author=entry.commit.author,
            mode=entry.change.mode,
            message=entry.commit.message,
            rows=entry.change.rows,
            rows_added=entry.change.rows_added,
            rows_deleted=entry.change.rows_deleted,
            nbytes=entry.change.bytes,
            inputs=tuple(
                f"{given.name}@id:{given.version[:12]}" if given.version else given.name
                for given in entry.change.lineage
            ),
            checks=tuple(f"{check.name}: {'passed' if check.ok else 'failed'}" for check in entry.change.checks),
        )
        for entry in islice(log(objects, head, dataset), limit)
    ]


def datasets_html(url: str, datasets: Sequence[DatasetInfo]) -> str:
    """Return a table of datasets for a notebook."""
    rows = "".join(
        f"<tr><td>{html.escape(info.name)}</td><td style='text-align:right'>{info.rows:,}</td>"
        f"<td style='text-align:right'>{info.nbytes:,}</td><td><code>{info.version[:12]}</code></td>"
        f"<td>{info.changed:%Y-%m-%d %H:%M}Z</td></tr>"
        for info in datasets
    )
    titles = "".join(f"<th>{title}</th>" for title in ("dataset", "rows", "bytes", "version", "changed"))
    return f"<table><caption>{html.escape(url)}</caption><tr>{titles}</tr>{rows}</table>"


def reference_to(dataset: str, reference: str) -> str:
    """Return the reference of a version of `dataset` for one that may leave its name out."""
    if reference.startswith((f"{dataset}@", "~")):
        return reference if reference[0] != "~" else dataset + reference
    return f"{dataset}@{reference.removeprefix('@')}"
