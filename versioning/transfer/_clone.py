"""A whole lake brought to a new place: all commits, and every record and tag as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from dataplat.errors import AlreadyExists, CommitInDoubt, IntegrityError, LakeNotFound, ObjectExists
from dataplat.versioning._protection import contract_objects
from dataplat.versioning._record import decode_record, decode_tag, is_stray
from dataplat.versioning._seal import seal
from dataplat.versioning._settle import Undecided, settle
from dataplat.versioning.commit import load_commit
from dataplat.versioning.erasures import erases
from dataplat.versioning.gc.guard import GC, GC_LAST
from dataplat.versioning.lakefile import LAKE_KEY, LakeFile, open_lake
from dataplat.versioning.names import segment
from dataplat.versioning.redactions import FOLDER as REDACTIONS
from dataplat.versioning.transfer._branches import fetched

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning._record import Record
    from dataplat.versioning.publish import LakeIO
    from dataplat.versioning.transfer._copy import Told
    from dataplat.versioning.transfer._missing import Missing

_BRANCHES: Final = "refs/branches/"
_TAGS: Final = "refs/tags/"


def cloned(
    source: LakeIO,
    target: LakeIO,
    told: Told = lambda _: None,
    found: Callable[[Missing], object] = lambda _: None,
) -> tuple[LakeFile, Missing]:
    """Make the store of `target` a lake that has all that `source` has, under an id of its own.

    Records are read first and written after the commits that they name, `lake.json` comes last: a clone that was
    killed is no lake yet, and the same call goes on with it.

    Raises:
        AlreadyExists: There is a lake in the target, or something of another one.
        IntegrityError: Something is damaged in the source.
    """
    refuse_lake(target.objects.store)
    written = _written(source.objects.store)
    records = [decode_record(data, key) for key, data in written.items() if key.startswith(_BRANCHES)]
    tags = [decode_tag(data, key) for key, data in written.items() if key.startswith(_TAGS)]
    _refuse_gaps(records)
    newest = {record.branch: record for record in records}.values()
    commits = {record.commit_id: record.commit for record in records}
    commits.update({tag.commit_id: load_commit(source.objects, tag.commit_id) for tag in tags})
    branches = [record for record in newest if record.kind != "delete"]
    kept = [tag for tag in tags if not tag.is_over(source.refs.now())]  # of others the versions may be gone
    live = dict.fromkeys([*(record.commit_id for record in branches), *(tag.commit_id for tag in kept)])
    heads = [commits.pop(commit_id) for commit_id in live]
    texts = [name for record in branches for name in contract_objects(record)]
    lists = {id for erase in erases(source.objects.store) for id in erase.suppress.values()}  # also not yet on a branch
    texts += [(id, ".bin") for id in sorted(lists) if source.objects.stored(id, ".bin")]
    lacking = fetched(source, target, heads, also=list(commits.values()), beside=texts, told=told, found=found)
    for key, data in written.items():
        _write(target.objects.store, key, data)
    for head in target.refs.branches():
        if head.settings.keys() & {GC, GC_LAST}:  # collections of the source are not the clone's
            own = {name: value for name, value in head.settings.items() if name not in {GC, GC_LAST}}
            target.refs.publish(head.branch, head, head.commit, kind="fence", message="cloned", settings=own)
    return _found(target), lacking


def refuse_lake(store: Store) -> None:
    """Raise `AlreadyExists` where there is a lake."""
    try:
        there = open_lake(store)
    except LakeNotFound:
        return
    raise AlreadyExists(
        f"there is a lake ({there.id[:12]}) in that place already: clone to another one, or pull into it"
    )


def _refuse_gaps(records: Iterable[Record]) -> None:
    """Raise `IntegrityError` where a record is lost: numbers have no gaps, and a clone would not know of it."""
    last: dict[str, int] = {}
    for record in records:  # of each branch the oldest first
        expected = last.get(segment(record.branch), -1) + 1
        if record.number != expected:
            raise IntegrityError(
                f"record {expected} of branch {record.branch!r} is missing in the lake that is to be cloned. Run "
                "`dataplat version verify` there. Nothing was copied."
            )
        last[segment(record.branch)] = record.number


def _written(store: Store) -> dict[str, bytes]:
    """Return records, tags and redactions by key, of each branch the oldest record first: names count down."""
    keys = [info.key for info in store.list(_BRANCHES)][::-1]
    keys += [info.key for prefix in (_TAGS, REDACTIONS) for info in store.list(prefix)]
    return {key: store.read(key) for key in keys if not is_stray(key)}


def _write(store: Store, key: str, data: bytes) -> None:
    try:
        store.create(key, data)
    except ObjectExists:
        if store.read(key) != data:
            raise AlreadyExists(
                f"{key} is there already and says something else: the place holds part of another lake. "
                "Clone to an empty one."
            ) from None


def _found(target: LakeIO) -> LakeFile:
    lake = LakeFile(id=target.refs.nonce(), created=target.refs.now())
    try:
        won = settle(target.objects.store, LAKE_KEY, seal(lake), target.refs.patience)
    except Undecided as error:
        raise CommitInDoubt(f"nobody knows whether the clone was finished: {error}", lake.id) from error
    if not won:
        raise AlreadyExists("somebody else finished the same clone; open it instead")
    return lake
