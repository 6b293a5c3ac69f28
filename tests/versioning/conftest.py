"""Parts that need no rows, a lake in memory, and a way to commit to it."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace

import pytest

from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.part import ColumnStats, Part
from dataplat.lake.stores import MemoryStore
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.manifest import Manifest, ManifestEdit, load_manifest
from dataplat.versioning.publish import LakeIO, PlannedChange, commit
from dataplat.versioning.refs import Patience, Refs

SCHEMA = [
    {"name": "id", "type": "int64", "nullable": False},
    {"name": "name", "type": "string", "nullable": True},
]


@pytest.fixture(autouse=True)
def _fresh_caches():
    """Each test decodes what it reads, as a new process would."""
    forget_decoded()


@pytest.fixture
def make_part():
    """Return a function that makes a part, the same for the same number, with statistics that can be told apart."""

    def make(number, rows=10, **fields):
        name = sha256(str(number).encode()).hexdigest()
        stats = {"id": ColumnStats(0, 0, number * 10, number * 10 + 9), "name": ColumnStats(number % 3, 0, "a", "z")}
        digest = Digest(rows, number + 1, number * 7)
        return Part(name, rows, 100 + number, name[::-1], digest, fields.pop("stats", stats), **fields)

    return make


@pytest.fixture
def store():
    """Return a store in memory."""
    return MemoryStore()


@pytest.fixture
def stage(store):
    """Return a stage over it."""
    with Stage(store) as stage:
        yield stage


@pytest.fixture
def empty():
    """Return a manifest of no rows, keyed and sorted by `id`."""
    return Manifest.empty(SCHEMA, ("id",), ("id",))


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, time=1_000_000):
        self.time = time

    def __call__(self):
        """Return the time."""
        return self.time


@pytest.fixture
def clock():
    """Return a clock."""
    return Clock()


@pytest.fixture
def refs(store, clock):
    """Return refs that do not sleep between attempts."""
    return Refs(store, clock, actor="anna", patience=Patience(sleep=lambda _: None))


@pytest.fixture
def lake(store, refs, clock, make_part):
    """Return a lake with `refs`, `objects`, `io`, and functions to commit with."""
    create_lake(store, refs)
    io = LakeIO(Objects(store), refs)

    def head(dataset="orders", branch="main"):
        return refs.head(branch).commit.dataset(dataset, io.objects.read)

    def manifest(dataset="orders", branch="main"):
        return load_manifest(io.objects, head(dataset, branch).version)

    def change(*numbers, dataset="orders", branch="main", key=(), **options):
        state = head(dataset, branch)
        version = None if state is None else state.version
        schema = {"schema_json": SCHEMA, "key": key} if version is None else {}
        edit = ManifestEdit(add=[make_part(number) for number in numbers], **schema)
        return PlannedChange(**{"dataset": dataset, "mode": "append", "base_version": version, "edit": edit} | options)

    def publish(*changes, branch="main", **options):
        clock.time += 1_000_000
        with Stage(store) as stage:
            return commit(io, branch, changes, stage, **options)

    def append(*numbers, branch="main", message="", **options):
        return publish(change(*numbers, branch=branch, **options), branch=branch, message=message)

    return SimpleNamespace(
        store=store, refs=refs, objects=io.objects, io=io, clock=clock,
        head=head, manifest=manifest, change=change, publish=publish, append=append,
    )  # fmt: skip
