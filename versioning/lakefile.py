"""`lake.json`, which makes a folder a lake, and the first commit."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from dataplat.errors import AlreadyExists, CommitInDoubt, LakeNotFound, ObjectNotFound
from dataplat.lake.objects import Stage
from dataplat.versioning._seal import seal, unseal
from dataplat.versioning._settle import Undecided, settle
from dataplat.versioning.commit import Commit
from dataplat.versioning.refs import Refs

if TYPE_CHECKING:
    from dataplat.lake.stores import Store

LAKE_FORMAT: Final = "dataplat.lake/1"
LAKE_KEY: Final = "lake.json"
MAIN: Final = "main"


class LakeFile(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=LAKE_FORMAT):
    """What a lake says of itself: a random id (hex) and the time of its creation (µs UTC)."""

    id: str
    created: int


def create_lake(store: Store, refs: Refs | None = None) -> LakeFile:
    """Make `store` a lake with an empty branch `main`; one that was half made by a killed process is finished.

    `lake.json` comes last: where it is, everything else is. Probe the store before (`dataplat.lake.stores.probe`).

    Raises:
        AlreadyExists: There is a lake.
        CommitInDoubt: The store never said whether `lake.json` landed.
    """
    refs = Refs(store) if refs is None else refs
    if _exists(store):
        raise AlreadyExists("there is a lake already; open it instead")
    created = refs.now()
    first = Commit(author=refs.actor, time=created, nonce=refs.nonce(), message="create the lake")
    with Stage(store) as stage:
        stage.put(first.data, ".json")
        stage.flush()
    with suppress(AlreadyExists):
        refs.begin(MAIN, first)
    lake = LakeFile(id=refs.nonce(), created=created)
    try:
        won = settle(store, LAKE_KEY, seal(lake), refs.patience)
    except Undecided as error:
        raise CommitInDoubt(f"nobody knows whether the lake was created: {error}", first.id) from error
    if not won:
        raise AlreadyExists("somebody else created the lake at the same time; open it instead")
    return lake


def open_lake(store: Store) -> LakeFile:
    """Return what the lake in `store` says of itself.

    Raises:
        LakeNotFound: There is no lake.
        LakeFormatError: It has a format that this dataplat does not know.
        IntegrityError: `lake.json` was damaged.
    """
    try:
        data = store.read(LAKE_KEY)
    except ObjectNotFound:
        raise LakeNotFound(f"there is no lake in {store!r}; `dataplat init` makes one") from None
    return unseal(data, LakeFile, f"{LAKE_KEY} in {store!r}", "lake")


def _exists(store: Store) -> bool:
    try:
        store.read(LAKE_KEY, (0, 1))
    except ObjectNotFound:
        return False
    return True
