"""Redactions: where the object of an erased version, or report, leads now. See `docs/erase.md`.

`redactions/<id of the old object>.json` is created once and never removed. An erase of what an earlier erase made leads
on, so a redaction is followed until there is no further one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from dataplat.errors import CommitInDoubt, IntegrityError, ObjectNotFound
from dataplat.versioning._seal import seal, unseal
from dataplat.versioning._settle import Undecided, settle

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning._settle import Patience

FOLDER: Final = "redactions/"
_LOG: Final = "erase-"
"""Begins the names of the files in the same folder that say which erases there were (see `erasures`)."""


class Redaction(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag="dataplat.redaction/1"
):
    """That the object `old` (`.json`) was erased, and `new` is in its place. `time` is in µs UTC."""

    old: str
    new: str
    erase: str
    actor: str
    time: int
    reason: str = ""

    @property
    def key(self) -> str:
        """Where it lies in the store."""
        return redaction_key(self.old)


def redaction_key(old: str) -> str:
    """Return the key of the redaction of an object."""
    return f"{FOLDER}{old}.json"


def read_redaction(store: Store, old: str) -> Redaction:
    """Return the redaction of an object; raise `ObjectNotFound` if it was not erased."""
    key = redaction_key(old)
    return unseal(store.read(key), Redaction, key, "redaction")


def write_redaction(store: Store, redaction: Redaction, patience: Patience) -> bool:
    """Create a redaction, durably; return False if another leads on from the same object.

    Raises:
        CommitInDoubt: The store never said whether it landed.
    """
    try:
        return settle(store, redaction.key, seal(redaction), patience)
    except Undecided as error:
        raise CommitInDoubt(f"nobody knows whether {redaction.key} landed: {error} Erase again.", "") from error


def followed(store: Store, id: str) -> str:
    """Return the object that `id` leads to, itself where it was not erased; asks the store once for each step."""
    seen = {id}
    while True:
        try:
            id = read_redaction(store, id).new
        except ObjectNotFound:
            return id
        if id in seen:
            raise IntegrityError(f"redactions lead from {id} back to it: {FOLDER} was damaged")
        seen.add(id)


@dataclass(frozen=True, slots=True)
class Redactions:
    """All redactions of a lake, by the id of the old object."""

    leads: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Store) -> Redactions:
        """Read them; one listing where there is none."""
        leads = {}
        for info in store.list(FOLDER):
            old = info.key.removeprefix(FOLDER).removesuffix(".json")
            if not old.startswith(_LOG):
                leads[old] = read_redaction(store, old).new
        return cls(leads)

    def follow(self, id: str) -> str:
        """Return the object that `id` leads to, itself where it was not erased."""
        for _ in range(len(self.leads) + 1):
            if id not in self.leads:
                return id
            id = self.leads[id]
        raise IntegrityError(f"redactions lead from {id} back to it: {FOLDER} was damaged")

    def chain(self, id: str) -> list[str]:
        """Return the ids of the redactions that are followed from `id`, in order."""
        found = []
        while id in self.leads:
            found.append(id)
            id = self.leads[id]
        return found

    def leading_to(self, id: str) -> set[str]:
        """Return the ids that lead to `id`, which is among them."""
        return {id, *(old for old in self.leads if self.follow(old) == id)}


def erased_beginning(store: Store, digits: str) -> list[str]:
    """Return the ids of erased objects that begin with these hex digits."""
    found = (info.key.removeprefix(FOLDER).removesuffix(".json") for info in store.list(FOLDER + digits))
    return sorted(found)
