"""Which erases a lake has had: `redactions/erase-<n>.json`, each created once, numbered from 1.

Each says which lists of suppressed rows hold from then on, by dataset; so the newest alone is what a branch has to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from dataplat.errors import CommitInDoubt
from dataplat.versioning._seal import seal, unseal
from dataplat.versioning._settle import Undecided, settle

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning._settle import Patience

PREFIX: Final = "redactions/erase-"


class EraseFile(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag="dataplat.erase/1"
):
    """One erase: its number, the names of the dataset, and the lists (object ids) of all datasets from then on.

    `entry` names the condition without saying it; `time` is in µs UTC.
    """

    number: int
    datasets: tuple[str, ...]
    entry: str
    suppress: dict[str, str]
    actor: str
    time: int
    nonce: str
    reason: str = ""


def erases(store: Store) -> list[EraseFile]:
    """Return all erases, oldest first."""
    keys = [info.key for info in store.list(PREFIX)]
    return [unseal(store.read(key), EraseFile, key, "erase") for key in keys]


def newest(store: Store) -> EraseFile | None:
    """Return the newest erase, None where there never was one."""
    keys = [info.key for info in store.list(PREFIX)]
    return unseal(store.read(keys[-1]), EraseFile, keys[-1], "erase") if keys else None


def write(store: Store, file: EraseFile, patience: Patience) -> bool:
    """Create the file of an erase, durably; return False if somebody else took its number."""
    key = f"{PREFIX}{file.number:020}.json"
    try:
        return settle(store, key, seal(file), patience)
    except Undecided as error:
        raise CommitInDoubt(f"nobody knows whether {key} landed: {error} Erase again.", "") from error
