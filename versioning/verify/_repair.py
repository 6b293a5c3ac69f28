"""Put right what is damaged, with the same bytes from another lake.

An object may come from any lake: its name says what it must be. A record, a tag or `lake.json` comes from the same
key, whole by its own checksum, and has to fit its neighbours. Where a store can exchange bytes in one step
(`SupportsReplace`), that is done; elsewhere good bytes are written beside first, as a generation, so that whoever is
killed in between leaves the object readable, and a record only after its bytes are in hand.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from dataplat.errors import ObjectExists
from dataplat.lake._object_keys import object_key
from dataplat.lake.objects import Objects
from dataplat.lake.stores import SupportsReplace
from dataplat.versioning._record import Record, decode_record, decode_tag, record_number
from dataplat.versioning.lakefile import LAKE_KEY, open_lake
from dataplat.versioning.transfer import is_ancestor
from dataplat.versioning.verify._history import DAMAGE, misfit
from dataplat.versioning.verify._report import Problem, Repair
from dataplat.versioning.verify._shelf import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataplat.lake.stores import Store

_RECORDS = "refs/branches/"
_TAGS = "refs/tags/"


def repair(store: Store, source: Store, url: str, problems: Iterable[Problem]) -> list[Repair]:
    """Put right those of `problems` for which `source` has good bytes; return what was. `url` names it in the report."""
    same = _same_lake(store, source)
    origin = Objects(source)
    done = []
    for problem in problems:
        data = None if problem.kind in {"inconsistent", "stray"} else _good(store, origin, problem.key)
        if data is not None:
            put_right(store, problem.key, data)
            done.append(Repair(problem.key, url))
    if same:
        for key, data in _lost_refs(store, origin):
            put_right(store, key, data)
            done.append(Repair(key, url))
    return done


def put_right(store: Store, key: str, data: bytes) -> None:
    """Make `data`, which is what belongs there, the bytes of `key`."""
    if isinstance(store, SupportsReplace):
        store.replace(key, data)
        return
    name = name_of(key)
    beside = None if name is None else object_key(name[0], f"~{secrets.token_hex(4)}{name[1]}")
    if beside is not None:
        with suppress(ObjectExists):  # nobody else has the token: it is ours, whatever carried it sent it twice
            store.create(beside, data)
    store.delete(key)
    with suppress(ObjectExists):  # somebody else repairs it, too
        store.create(key, data)
    if beside is not None:
        store.delete(beside)


def _same_lake(store: Store, source: Store) -> bool:
    """Whether `source` is a copy of the lake in `store`: by id, or, where that cannot be read, by its first record."""
    with suppress(*DAMAGE):
        return open_lake(store).id == open_lake(source).id
    first = f"{_RECORDS}main/{10**20 - 1:020d}.json"
    with suppress(*DAMAGE):
        return store.read(first) == source.read(first)
    return False


def _good(store: Store, origin: Objects, key: str) -> bytes | None:
    """Return the bytes that belong under `key`, None where the source has none that are good."""
    name = name_of(key)
    source = origin.store
    with suppress(*DAMAGE):
        if name is not None:
            return origin.read(*name)
        data = source.read(key)
        if key == LAKE_KEY:
            open_lake(source)
            return data
        if key.startswith(_RECORDS):
            return data if _fits(store, origin, decode_record(data, key)) else None
        if key.startswith(_TAGS):
            tag = decode_tag(data, key)
            return (
                data if Objects(store).exists(tag.commit_id, ".json") or origin.exists(tag.commit_id, ".json") else None
            )
    return None


def _fits(store: Store, origin: Objects, record: Record) -> bool:
    """Whether a record fits the readable ones before and after it: number, time, and that the branch moved forward."""
    folder = record.key.rpartition("/")[0]
    for number, later in ((record.number - 1, False), (record.number + 1, True)):
        other = _readable(store, f"{folder}/{10**20 - 1 - number:020d}.json") if number >= 0 else None
        if other is None:
            continue
        old, new = (record, other) if later else (other, record)
        forward = old.kind == "delete" or is_ancestor(origin, old.commit, new.commit)
        if misfit(old, new) or not forward:
            return False
    return record.commit.id == record.commit_id


def _readable(store: Store, key: str) -> Record | None:
    try:
        return decode_record(store.read(key), key)
    except DAMAGE:
        return None


def _lost_refs(store: Store, origin: Objects) -> Iterator[tuple[str, bytes]]:
    """Yield tags, and records behind the last one, that a copy of this lake has and that were here.

    Nothing here says that they were, so more is asked: the commit that a record names must be here, which it is not
    unless it was written here. So what was committed in the copy only is left alone.
    """
    here = {info.key for prefix in (_RECORDS, _TAGS) for info in store.list(prefix)}
    objects = Objects(store)
    there = [info.key for info in origin.store.list(_RECORDS)][::-1] + [info.key for info in origin.store.list(_TAGS)]
    for key in there:
        if key in here:
            continue
        with suppress(*DAMAGE):
            data = origin.store.read(key)
            if key.startswith(_TAGS):
                commit_id = decode_tag(data, key).commit_id
            else:
                record = decode_record(data, key)
                newest = max((record_number(k) for k in here if k.startswith(key.rpartition("/")[0] + "/")), default=-1)
                if record.number != newest + 1 or not _fits(store, origin, record):
                    continue
                commit_id = record.commit_id
            if objects.exists(commit_id, ".json"):
                here.add(key)
                yield key, data
