"""Commits: what changed, who changed it and why, and where every dataset of the lake stands.

A commit is an object named by the SHA-256 of its canonical JSON; a random nonce makes each its own. It records the
datasets that it changed, each with the commit that changed it before, and the state of all datasets as a map whose
bulk lies in shared segments: so its bytes stay bounded however long the history and however many the datasets.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from dataplat.errors import IntegrityError, LakeFormatError
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._json import canonical, object_id
from dataplat.versioning._lsm import MapRef, Read

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects, Stage

COMMIT_FORMAT: Final = "dataplat.commit/1"

Position: TypeAlias = Any
"""Where a source had been read to: any JSON value (offsets, cursor, file fingerprint, resume token)."""

Mode: TypeAlias = Literal[
    "append", "create", "delete", "describe", "drop", "evolve", "merge", "rename", "replace", "rollback", "upsert",
    "compact", "erase",
]  # fmt: skip

_INLINE_STATE: Final = 8 * 1024
_INLINE_POSITIONS: Final = 2 * 1024
_BULK: Final = 8 * 1024


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of a contract or quality check on the dataset as it is after the commit.

    `rows` were looked at and `failed` of them did not pass; `report` is the id of an object (`.json`) with details.
    """

    name: str
    ok: bool
    rows: int = 0
    failed: int = 0
    detail: str = ""
    report: str = ""


class Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change was made from: a version of a dataset, or a source outside the lake."""

    name: str
    kind: str = "dataset"
    version: str = ""
    detail: dict[str, Any] = {}


class Moved(msgspec.Struct, frozen=True, array_like=True):
    """Where a compaction brought the rows of a run of parts, in order.

    `inputs` are (place, rows that it read, deletes object that it left out), `outputs` (place, rows).
    """

    inputs: tuple[tuple[int, int, str | None], ...]
    outputs: tuple[tuple[int, int], ...]


class DatasetChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a commit did to one dataset.

    `version` is what it became (None: dropped), `base` the version that it was made from, `before` the id of the
    commit that changed the dataset before ("" for none; of a renamed one, the commit that changed the old name).
    `starts` are the positions that were assumed, `positions` those that the change advanced to, by source; where
    they are many, both lie in the object `bulk`. `moved` says where a compaction brought rows. `rows` and `bytes` are totals afterwards.
    """

    mode: Mode
    version: str | None = None
    base: str | None = None
    before: str = ""
    rows: int = 0
    bytes: int = 0
    rows_added: int = 0
    rows_deleted: int = 0
    where: str | None = None
    starts: dict[str, Position] = {}
    positions: dict[str, Position] = {}
    bulk: str = ""
    checks: tuple[Check, ...] = ()
    lineage: tuple[Input, ...] = ()
    description: str | None = None
    renamed_from: str = ""
    renamed_to: str = ""
    moved: tuple[Moved, ...] = ()

    def load_starts(self, read: Read) -> dict[str, Position]:
        """Return the positions that the change assumed (None: the source had not been read)."""
        return self.starts if not self.bulk else _load_bulk(self.bulk, read).starts

    def load_positions(self, read: Read) -> dict[str, Position]:
        """Return the positions that the change advanced to."""
        return self.positions if not self.bulk else _load_bulk(self.bulk, read).positions


class _Bulk(msgspec.Struct, frozen=True, omit_defaults=True):
    starts: dict[str, Position] = {}
    positions: dict[str, Position] = {}


StateOf: TypeAlias = "Callable[[str], DatasetState | None]"
"""Where a dataset stands by its name; None: there never was one."""


class DatasetState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a dataset stands: its version (None: dropped), the commit that changed it last, and its positions.

    In the commit that made the change `commit` is "", because a commit cannot hold its own id; readers of `Commit`
    get it filled in. `time` is that commit's (µs UTC).
    """

    version: str | None = None
    commit: str = ""
    rows: int = 0
    bytes: int = 0
    time: int = 0
    description: str = ""
    positions: MapRef = MapRef()

    def position(self, source: str, read: Read) -> Position | None:
        """Return where `source` had been read to, None if it never was."""
        raw = self.positions.get(source, read)
        return None if raw is None else msgspec.json.decode(raw)

    def load_positions(self, sources: Iterator[str] | list[str] | None, read: Read) -> dict[str, Position]:
        """Return the positions of those `sources` that were read (None: of all)."""
        raws = self.positions.items(read) if sources is None else dict(self.positions.get_many(sources, read))
        return {source: msgspec.json.decode(raw) for source, raw in raws.items()}

    def advanced(self, positions: Mapping[str, Position], stage: Stage, read: Read) -> MapRef:
        """Return the positions with those in `positions` in place of older ones."""
        if not positions:
            return self.positions
        puts = {source: msgspec.Raw(canonical(position)) for source, position in positions.items()}
        return self.positions.updated(puts, stage, read, limit=_INLINE_POSITIONS)


class Commit(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True, tag_field="format", tag=COMMIT_FORMAT
):
    """One commit. `time` is in µs UTC; `changes` by dataset; `parents` are commit ids, the branch's own first."""

    author: str
    time: int
    nonce: str
    message: str = ""
    parents: tuple[str, ...] = ()
    changes: dict[str, DatasetChange] = {}
    state: MapRef = MapRef()

    @cached_property
    def data(self) -> bytes:
        """The commit as it is stored."""
        return canonical(self)

    @cached_property
    def id(self) -> str:
        """The commit id: SHA-256 of its canonical JSON."""
        return object_id(self.data)

    def dataset(self, name: str, read: Read) -> DatasetState | None:
        """Return where the dataset stands; `version` is None where it was dropped. None if there never was one."""
        if name in self.state.inline:
            return self._here(name)
        raw = self.state.get(name, read)
        return None if raw is None else self._filled(raw)

    def datasets(self, read: Read, *, dropped: bool = False) -> dict[str, DatasetState]:
        """Return the state of all datasets by name, in order; with `dropped` also of those that are gone."""
        here = self.state.inline
        states = {
            name: self._here(name) if name in here else self._filled(raw)
            for name, raw in self.state.items(read).items()
        }
        return {name: state for name, state in states.items() if dropped or state.version is not None}

    def _here(self, name: str) -> DatasetState:
        """Return the state of a dataset that lies in the commit itself; it is decoded once."""
        states: dict[str, DatasetState] = vars(self).setdefault("states", {})
        if name not in states:
            states[name] = self._filled(self.state.inline[name])
        return states[name]

    def _filled(self, raw: msgspec.Raw) -> DatasetState:
        state = decode_state(bytes(raw))
        return state if state.commit else msgspec.structs.replace(state, commit=self.id)


def decode_state(data: bytes) -> DatasetState:
    """Read the state of a dataset as a commit holds it."""
    return msgspec.json.decode(data, type=DatasetState)


def new_nonce() -> str:
    """Return 128 random bits in hex."""
    return secrets.token_hex(16)


def decode_commit(data: bytes | msgspec.Raw, what: str) -> Commit:
    """Read a commit; its id is that of the bytes as they are, whoever wrote them.

    Raises:
        LakeFormatError: It is no commit, or one of a newer dataplat; `what` names it in the message.
    """
    stored = bytes(data)
    try:
        commit = msgspec.json.decode(stored, type=Commit)
    except msgspec.ValidationError as error:
        raise LakeFormatError(f"{what} is not a commit that this dataplat can read: {error}") from error
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{what} is not readable: {error}. Run `dataplat version verify`.") from error
    vars(commit)["data"] = stored  # instead of the text that we would write ourselves
    return commit


def load_commit(objects: Objects, id: str) -> Commit:
    """Return the commit of that id; raise `ObjectNotFound` or `LakeFormatError`."""
    return decode_commit(objects.read(id, ".json"), f"object {id}")


def with_bulk(change: DatasetChange, stage: Stage) -> DatasetChange:
    """Return the change with its positions moved to an object of their own if they are large."""
    data = canonical(_Bulk(change.starts, change.positions))
    if len(data) <= _BULK:
        return change
    (packed,) = pack([data])
    return msgspec.structs.replace(change, starts={}, positions={}, bulk=stage.put(packed, ".bin"))


def next_state(parent: Commit | None, states: Mapping[str, DatasetState], stage: Stage, read: Read) -> MapRef:
    """Return the state map of a child of `parent` that changes `states` (whose `commit` is "": the child itself)."""
    puts = {name: msgspec.Raw(canonical(state)) for name, state in states.items()}
    if parent is None:
        return MapRef().updated(puts, stage, read, limit=_INLINE_STATE, keep=puts)
    inline = {}
    for name, raw in parent.state.inline.items():
        if name not in puts:
            inline[name] = msgspec.Raw(canonical(parent._filled(raw)))  # noqa: SLF001
    return MapRef(inline, parent.state.runs).updated(puts, stage, read, limit=_INLINE_STATE, keep=puts)


def _load_bulk(id: str, read: Read) -> _Bulk:
    return msgspec.json.decode(unpack(read(id, ".bin"), f"positions {id}"), type=_Bulk)
