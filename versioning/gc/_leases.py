"""Leases: who relies on versions that no branch or tag may name, and until when."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

import msgspec

from dataplat.errors import CommitInDoubt, IntegrityError, ObjectNotFound, StoreError
from dataplat.versioning._seal import seal, unseal
from dataplat.versioning._settle import Undecided, settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataplat.lake.stores import Store
    from dataplat.versioning.refs import Refs

FOLDER: Final = "leases/"
TTL: Final = 24 * 3600 * 1_000_000
"""How long a lease holds (µs)."""
_KEY: Final = re.compile(r"leases/[^/.]+\.json")
HORIZON: Final = 7 * 24 * 3600 * 1_000_000
"""No request lands, and no process wakes up, later than this after it was last heard of (µs)."""


class LeaseFile(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag="dataplat.lease/1"
):
    """What a lease says: it pins `versions`, those of all datasets at the commits `commits`, and `objects` (`.bin`).

    `branch` is one that its owner is about to create. A `write` lease of no commits holds back what is younger than itself.
    """

    kind: Literal["read", "write"]
    actor: str
    time: int
    nonce: str
    versions: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    branch: str = ""
    ttl: int = TTL


class Lease:
    """A lease that is held; end it, or use it as a context manager. It is renewed by `renew` when half its time is over."""

    def __init__(self, refs: Refs, file: LeaseFile) -> None:
        self._refs = refs
        self.file = file
        self._keys: list[str] = []
        self._take()

    def _take(self) -> None:
        key = f"{FOLDER}{self.file.nonce}.json"
        try:
            settle(self._refs.store, key, seal(self.file), self._refs.patience)
        except Undecided as error:
            raise CommitInDoubt(f"nobody knows whether the lease {key} landed: {error}", "") from error
        self._keys.append(key)

    def renew(self) -> bool:
        """Take it for its whole time again if half of it is over; return whether that was done.

        The file before stays until the next time: who lists leases just now would see neither it nor the new one.
        """
        if self._refs.now() < self.file.time + self.file.ttl // 2:
            return False
        self.file = msgspec.structs.replace(self.file, time=self._refs.now(), nonce=self._refs.nonce())
        self._take()
        while len(self._keys) > 2:
            self._delete(self._keys.pop(0))
        return True

    def end(self) -> None:
        """Give it up; where the store does not answer it ends by itself."""
        for key in self._keys:
            self._delete(key)

    def _delete(self, key: str) -> None:
        with suppress(StoreError):
            self._refs.store.delete(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, CommitInDoubt):  # what is in doubt may land later, and needs it then
            self.end()


def take_lease(
    refs: Refs,
    kind: Literal["read", "write"],
    *,
    versions: Sequence[str] = (),
    commits: Sequence[str] = (),
    objects: Sequence[str] = (),
    branch: str = "",
    ttl: int = TTL,
) -> Lease:
    """Take a lease, durably. Nothing it pins is safe before `guard.check_pinned` has looked at `gc/` afterwards."""
    return Lease(
        refs,
        LeaseFile(
            kind=kind,
            actor=refs.actor,
            time=refs.now(),
            nonce=refs.nonce(),
            versions=tuple(versions),
            commits=tuple(commits),
            objects=tuple(objects),
            branch=branch,
            ttl=ttl,
        ),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in the store: its key, what it says, and when it was created by the store's clock (µs)."""

    key: str
    file: LeaseFile
    created: int

    def holds(self, now: int) -> bool:
        """Whether it has not expired at `now`, by the store's clock."""
        return now < self.created + self.file.ttl

    def pins(self, now: int) -> bool:
        """Whether what it pins has to stay: of a branch or tag that may still be created, much longer."""
        return now < self.created + self.file.ttl + (HORIZON if self.file.kind == "write" else 0)


def is_lease_key(key: str) -> bool:
    """Whether a lease may lie there."""
    return _KEY.fullmatch(key) is not None


def read_lease(store: Store, key: str) -> LeaseFile:
    """Return what the lease at `key` says; raise `ObjectNotFound`, or `IntegrityError` with what to do."""
    data = store.read(key)
    try:
        return unseal(data, LeaseFile, key, "lease")
    except IntegrityError as error:
        raise IntegrityError(
            f"lease {key} was damaged: nobody knows what it holds, so nothing can be collected. Delete that file when nobody "
            "reads, pushes, tags or branches any more who began before it was found; after eight days that is sure."
        ) from error


def leases(store: Store) -> Iterator[Held]:
    """Yield all leases that are in the store."""
    for info in store.list(FOLDER):
        if not is_lease_key(info.key):
            continue
        try:
            file = read_lease(store, info.key)
        except ObjectNotFound:  # it has just ended
            continue
        yield Held(info.key, file, info.created)
