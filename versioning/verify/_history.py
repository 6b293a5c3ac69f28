"""Records and tags: each read, those of a branch against each other, and which of them reach which commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dataplat.errors import IntegrityError, LakeFormatError, LakeNotFound, StoreError
from dataplat.versioning._record import (
    Record,
    Tag,
    decode_record,
    decode_tag,
    is_record_key,
    is_tag_key,
    record_key,
    record_number,
)
from dataplat.versioning.lakefile import LAKE_KEY, open_lake

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.verify._report import Kind

DAMAGE: Final = (IntegrityError, LakeFormatError, LakeNotFound, StoreError)
"""What reading damaged or missing bytes raises."""

_STAY: Final = frozenset({"delete", "fence", "protect"})

Note = Callable[[str, "Kind", str, tuple[str, ...]], object]
"""Takes key, kind, what is wrong, and the refs that it touches."""


@dataclass(slots=True)
class History:
    """The records that can be read, by folder and number; tags; and all commits that records hold, by id."""

    branches: dict[str, dict[int, Record]] = field(default_factory=dict)
    tags: list[Tag] = field(default_factory=list)
    commits: dict[str, Commit] = field(default_factory=dict)

    def heads(self) -> list[Record]:
        """Return the newest readable record of each branch that was not deleted."""
        newest = [records[max(records)] for records in self.branches.values() if records]
        return [record for record in newest if record.kind != "delete"]

    def starts(self) -> dict[str, list[str]]:
        """Return by commit id the branches and tags that stand at it."""
        found: dict[str, list[str]] = defaultdict(list)
        for record in self.heads():
            found[record.commit_id].append(record.branch)
        for tag in self.tags:
            found[tag.commit_id].append(tag.name)
        return found


def read_history(store: Store, note: Note) -> History:
    """Read `lake.json`, every record and every tag; what is wrong with them is noted, not raised."""
    history = History()
    try:
        open_lake(store)
    except DAMAGE as error:
        note(LAKE_KEY, *fault(store, LAKE_KEY, error), ())
    for info in store.list("refs/branches/"):
        if not is_record_key(info.key):
            continue
        folder = info.key.rpartition("/")[0]
        records = history.branches.setdefault(folder, {})
        try:
            record = decode_record(store.read(info.key), info.key)
            history.commits[record.commit_id] = record.commit
        except (*DAMAGE, ValueError) as error:
            note(info.key, *fault(store, info.key, error), (folder.rpartition("/")[2],))
        else:
            records[record.number] = record
    for folder, records in history.branches.items():
        _check_branch(store, folder, records, note)
    if "refs/branches/main" not in history.branches:
        note(record_key("main", 0), "missing", "a lake has a branch main, and there is no record of it", ("main",))
    for info in store.list("refs/tags/"):
        if not is_tag_key(info.key):
            continue
        try:
            history.tags.append(decode_tag(store.read(info.key), info.key))
        except DAMAGE as error:
            name = info.key.rpartition("/")[2].removesuffix(".json")
            note(info.key, *fault(store, info.key, error), (name,))
    return history


def fault(store: Store, key: str, error: Exception) -> tuple[Kind, str]:
    """Return what is wrong with a sealed file that raised `error`."""
    try:
        data = store.read(key)
    except FileNotFoundError:
        return "missing", "there is no such key in the store"
    except StoreError:
        return "unreadable", str(error)
    if not data or (key.endswith(".json") and not data.endswith(b"}")):
        return "truncated", f"it has {len(data):,} bytes" if data else "it is empty"
    moved = isinstance(error, IntegrityError) and "it was moved there" in str(error)
    return ("swapped" if moved else "changed"), str(error)


def _check_branch(store: Store, folder: str, records: dict[int, Record], note: Note) -> None:
    """Check that numbers have no gap, times ascend, and records that move nothing stay where the one before was."""
    stored = {record_number(info.key) for info in store.list(f"{folder}/") if is_record_key(info.key)}
    name = folder.rpartition("/")[2]
    for number in sorted(set(range(max(stored, default=-1))) - stored):
        at = f"{folder}/{record_key('', number).rpartition('/')[2]}"
        note(at, "missing", f"record {number} is not there, and later ones are", (name,))
    for number, record in sorted(records.items()):
        before = records.get(number - 1)
        wrong = "" if before is None else misfit(before, record)
        if wrong:
            note(record.key, "inconsistent", wrong, (record.branch,))


def misfit(before: Record, record: Record) -> str:
    """Return what does not fit between a record and the one before it, "" where they do."""
    if record.time <= before.time:
        return f"its time is not later than that of record {before.number}"
    bars = record.kind == before.kind == "delete"  # a collection took the number of a branch about to be created
    if record.kind in _STAY and record.commit_id != before.commit_id and not bars:
        return f"it is of kind {record.kind}, which does not move a branch, but names another commit"
    if record.kind == "create" and before.kind != "delete":
        return "it creates a branch that was there"
    return ""
