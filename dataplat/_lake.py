"""The lake that users hold: a thin façade over the rooms."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from dataplat._branching import Branching
from dataplat._keeping import Keeping
from dataplat._sparking import Sparking
from dataplat.errors import AlreadyExists, LakeNotFound, StoreError
from dataplat.lake.objects import Objects
from dataplat.versioning.lakefile import MAIN
from dataplat.versioning.refs import Refs

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from dataplat._commits import CommitInfo
    from dataplat._compact import CompactPlan, CompactResult
    from dataplat._drift import DriftOptions
    from dataplat._evolve import EvolveOptions, EvolvePlan
    from dataplat._features import FeatureStore
    from dataplat._labels import LabelQueue
    from dataplat._labels._queue import QueueOptions
    from dataplat._listing import DatasetInfo, LogEntry
    from dataplat._query import Query
    from dataplat._status import Status
    from dataplat._transaction import Transaction
    from dataplat._transfer import Transfer
    from dataplat._version import Version
    from dataplat.ingest import IngestPlan, IngestResult
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import IngestOptions
    from dataplat.labeling.server import LabelServer
    from dataplat.lake.engine import Engine
    from dataplat.lake.stores import ProbeReport, Store
    from dataplat.validation.drift import DriftReport
    from dataplat.versioning import Diff
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.diff import LakeDiff
    from dataplat.versioning.publish import LakeIO

DEFAULT_FOLDER = ".dataplat"


def open(  # noqa: A001  (dp.open, like io.open)
    url: str | Path = DEFAULT_FOLDER, *, create: bool = True, options: Mapping[str, Any] | None = None
) -> Lake:
    """Open the lake at `url`, a folder or a URL; create it where there is none, unless `create=False`.

    Args:
        url: a path, or `s3://bucket/prefix`, `gs://bucket/prefix`, `hdfs://host:port/path`.
        create: whether a lake is made where there is none.
        options: settings of a store over a network, as in a `[stores]` table of `dataplat.toml`, which they come
            before; secrets as `"env:NAME"` or `"file:PATH"`.

    Raises:
        ConfigError: The URL or an option is wrong, or credentials are missing.
        LakeNotFound: There is no lake, and `create` is False.
        StoreError: The place is a file, there is no such bucket, or access is denied.
        StoreTimeout: The server does not answer.
        StoreUnsuitable: The store cannot create a name atomically, so no lake may be made there.
    """
    return open_with_report(url, create=create, options=options)[0]


def open_with_report(
    url: str | Path, *, create: bool, options: Mapping[str, Any] | None = None
) -> tuple[Lake, ProbeReport | None]:
    """Open or create the lake at `url`; of one that was created say what its store was tried for."""
    from dataplat.lake.stores import open_store, probe
    from dataplat.versioning.lakefile import create_lake, open_lake

    if not create and "://" not in str(url) and not Path(url).is_dir():
        raise LakeNotFound(_no_lake(url))
    if "://" not in str(url) and Path(url).is_file():
        raise StoreError(f"{url} is a file, and a lake is a folder: name another place")
    store = open_store(url, options)
    try:
        return Lake(store, open_lake(store).id, str(url)), None
    except LakeNotFound:
        if not create:
            raise LakeNotFound(_no_lake(url)) from None
    report = probe(store)
    with suppress(AlreadyExists):  # somebody else was as quick; theirs is as good
        create_lake(store)
    return Lake(store, open_lake(store).id, str(url)), report


def clone(url: str | Path, folder: str | Path = DEFAULT_FOLDER, *, progress: Listener | None = None) -> Lake:
    """Make a new lake in `folder` with all that the lake at `url` has: every branch and its log, every tag and version.

    A clone that was stopped is no lake yet, and goes on when it is called again.

    Raises:
        AlreadyExists: There is a lake in `folder`.
        LakeNotFound: There is none at `url`.
    """
    from dataplat._transfer import clone

    return clone(url, folder, listener=progress)


def _no_lake(url: str | Path) -> str:
    return f"there is no lake at {url}: make one with `dataplat init {url}`, or name another with --lake"


class Lake(Branching, Keeping, Sparking):
    """A lake: datasets in versions, on branches. Get one from `dataplat.open`.

    `lake["flights"]`, `lake["flights@v1"]`, `lake["flights@main~1"]` are versions. Every method that changes
    something makes one commit, and either all of it holds or nothing does.
    """

    def __init__(self, store: Store, lake_id: str, url: str) -> None:
        self.store = store
        self.id = lake_id
        self.url = url
        self.objects = Objects(store)
        self.refs = Refs(store)

    @property
    def io(self) -> LakeIO:
        """Objects, refs and the gate of protected branches, as the rooms take them."""
        from dataplat._gate import ContractGate
        from dataplat.versioning.publish import LakeIO

        return LakeIO(self.objects, self.refs, ContractGate())

    # ------------------------------------------------------------------------------------------------- looking

    def __getitem__(self, reference: str) -> Version:
        """Return the version that a reference names; see `dataplat.versioning.references` for the grammar."""
        from dataplat._version import Version
        from dataplat.versioning.references import resolve

        return Version(self.objects, *resolve(self.refs, self.objects, reference))

    def version(self, dataset: str, branch: str = MAIN, commit: Commit | None = None) -> Version:
        """Return the version of `dataset` at the head of `branch`, or at `commit`."""
        from dataplat._version import Version
        from dataplat.versioning.manifest import load_manifest

        if commit is None:
            return self[f"{dataset}@{branch}"]
        state = commit.dataset(dataset, self.objects.read)
        assert state is not None
        assert state.version is not None
        return Version(self.objects, dataset, load_manifest(self.objects, state.version), commit)

    def datasets(self, branch: str = MAIN) -> list[DatasetInfo]:
        """Return the datasets at the head of `branch`, in order of name; reads no data."""
        from dataplat._listing import list_datasets

        return list_datasets(self.objects, self.refs.head(branch).commit)

    def log(self, dataset: str, branch: str = MAIN, limit: int | None = None) -> list[LogEntry]:
        """Return the changes of `dataset`, newest first, reading only the commits that changed it."""
        from dataplat._listing import list_log

        return list_log(self.objects, self.refs.head(branch).commit, dataset, limit)

    def commit(self, ref: str) -> CommitInfo:
        """Return the commit that a reference names: `"main"`, `"@v1"`, `"main~2"`, `"@id:…"`."""
        from dataplat._commits import info
        from dataplat.versioning.references import resolve_commit

        return info(resolve_commit(self.refs, self.objects, ref))

    def commits(self, *branches: str, limit: int | None = None) -> list[CommitInfo]:
        """Return the newest commits that these branches (none given: all) reach, each before its parents."""
        from dataplat._commits import list_commits

        return list_commits(self, branches or None, limit)

    def diff(self, before: str, after: str, *, engine: str | Engine = "local") -> Diff:
        """Return what differs between two versions, row by row: `lake.diff("flights@v1", "flights")`.

        With `engine="spark"` tasks read and match the rows, and `frame(kind)` and `batches(kind)` give them.
        """
        from dataplat._diff import diff

        return diff(self, before, after, engine)

    def compare(self, before: str, after: str = MAIN) -> LakeDiff:
        """Return which datasets differ between two commits: `lake.compare("v1", "main")`, each with its diff."""
        from dataplat.versioning.diff import LakeDiff
        from dataplat.versioning.references import resolve_commit

        commits = (resolve_commit(self.refs, self.objects, reference) for reference in (before, after))
        return LakeDiff(self.objects, *commits)

    def drift(self, before: Any, after: Any, **options: Unpack[DriftOptions]) -> DriftReport:
        """Say which columns are distributed otherwise than before: `lake.drift("flights@v1", "flights")`.

        A side is a reference, or what `dataplat.drift` takes: a version, a frame, live batches. It has the options, too.
        """
        from dataplat._drift import drift_in

        return drift_in(self, before, after, options)

    def changes(self, dataset: str, since: str, to: str = MAIN) -> Diff:
        """Return what has changed in `dataset` since a reference (`v1`, `main~3`, a date), up to `to`."""
        from dataplat._listing import reference_to

        return self.diff(reference_to(dataset, since), reference_to(dataset, to))

    # ------------------------------------------------------------------------------------------------- writing

    def ingest(
        self,
        source: Any,
        into: str,
        *,
        progress: Listener | None = None,
        stop: threading.Event | None = None,
        **options: Unpack[IngestOptions],
    ) -> IngestResult:
        """Land rows as a new version of the dataset `into`.

        Args:
            source: A path, glob or folder; `-` for standard input; an Arrow table or reader, a pandas or Polars frame;
                or a stream, `kafka://HOST:PORT/TOPIC`, each cut of which becomes a commit with its positions.
            into: The dataset's name.
            progress: Called with `Progress` a few times a second.
            stop: Set it, and a stream that is followed ends after the commit at hand.
            **options: `mode` ("append", "upsert", "replace"), `where` (the slice that a replace replaces), `key`,
                `sort` (columns), `order` (column that says which of several rows of one key is newest), `contract`
                (a pandera polars model or schema, a `Contract`, or "FILE:NAME"), `branch`, `message`, `schema`
                (Arrow schema, or `{column: type}`), `null` (words that mean null), `on_error` ("reject", "fail"),
                `source_format`. Of a stream also those of `dataplat.ingest.StreamOptions`: `follow`, `every`, `keep`, …

        Raises:
            SourceError, SchemaMismatch, KeyViolation, ContractFailed, CommitConflict: The branch did not move.
        """
        from dataplat.connectors.kafka import is_kafka
        from dataplat.connectors.kafka._memory import give_freed_memory_back

        if is_kafka(source):
            give_freed_memory_back()
        from dataplat.ingest import ingest
        from dataplat.ingest._request import request_of

        return ingest(self, request_of(source, into, **options), progress, stop)

    def plan_ingest(self, source: Any, into: str, **options: Unpack[IngestOptions]) -> IngestPlan:
        """Return what `ingest` with the same arguments would do, and touch nothing."""
        from dataplat.ingest import plan_ingest
        from dataplat.ingest._request import request_of

        return plan_ingest(self, request_of(source, into, **options))

    def status(
        self,
        dataset: str,
        folder: str | Path | None = None,
        *,
        branch: str = MAIN,
        content: bool = False,
        progress: Listener | None = None,
    ) -> Status:
        """Return which files are new, changed or gone since `dataset` was landed from them; changes nothing.

        Sizes and times of change decide, and a file is read only where the time alone differs (with `content`: always).
        A dataset of the files of a folder is compared with `folder`, or the one that it was landed from; of any other
        the files are looked at that its rows came from, with `folder` those below it.

        Raises:
            ConfigError: The dataset was not landed from files, or from several folders, and none is named.
            SourceNotFound: There is no such folder.
        """
        from dataplat._status import status

        return status(self, dataset, folder, branch, progress, content=content)

    def label_queue(
        self,
        name: str,
        source: str | None = None,
        *,
        branch: str = MAIN,
        server: LabelServer | None = None,
        **options: Unpack[QueueOptions],
    ) -> LabelQueue:
        """Open the queue `name`; with `source` make it: its rows are what people are asked about.

        Args:
            name: letters, digits, `_`, `-`; its datasets are called `NAME.tasks`, `NAME.annotations` and so on.
            source: the reference of a dataset; a queue that is there already has to be the same.
            branch: the branch on which its datasets are.
            server: the annotation server, where it is not the one of `dataplat.toml` or of this machine.
            **options: `show` (columns that people see), what they are asked (`choices`, `template`, `config`), by how
                many (`overlap`) and whom (`annotators`), in which `order`; see `QueueOptions`.

        Raises:
            QueueNotFound: There is no such queue, and no `source`.
            AlreadyExists: There is one that is defined otherwise.
            LabelConfigError, BadColumn: What is asked does not fit the columns.
        """
        from dataplat._labels._queue import label_queue

        return label_queue(self, name, source, branch, server, options)

    def label_queues(self, branch: str = MAIN) -> list[LabelQueue]:
        """Return the queues on a branch, in order of name."""
        from dataplat._labels import LabelQueue
        from dataplat._labels._state import queue_names

        return [LabelQueue(self, name, branch) for name in queue_names(self, branch)]

    @property
    def features(self) -> FeatureStore:
        """The feature store of this lake, on branch `main`; `dataplat.FeatureStore(lake, branch)` for another one."""
        from dataplat._features import FeatureStore

        return FeatureStore(self)

    def sql(self, query: str, branch: str = MAIN) -> Query:
        """Return a query over versions, named as quoted references: `select … from "flights@v1"`."""
        from dataplat._query import Query

        return Query(self, query, branch)

    def delete(self, dataset: str, where: str | pl.Expr, *, branch: str = MAIN, message: str = "") -> IngestResult:
        """Delete the rows that `where` selects; earlier versions keep them."""
        from dataplat._changes import delete

        return delete(self, dataset, where, branch, message)

    def compact(
        self,
        dataset: str,
        *,
        branch: str = MAIN,
        target_bytes: int | None = None,
        message: str = "",
        progress: Listener | None = None,
        engine: str | Engine = "local",
    ) -> CompactResult:
        """Join small parts and fold deletes in; rows, their order and the content id stay. Others' changes win.

        `target_bytes` is the size that parts should have (default: 64 MB). With `engine="spark"` tasks write them.

        Raises:
            DatasetNotFound: There is no such dataset on the branch.
            IntegrityError: What was written are not the rows that were there. The branch did not move.
        """
        from dataplat._compact import compact

        return compact(self, dataset, branch, target_bytes, message, progress, engine)

    def plan_compact(self, dataset: str, *, branch: str = MAIN, target_bytes: int | None = None) -> CompactPlan:
        """Return what `compact` with the same arguments would do, and touch nothing."""
        from dataplat._compact import plan_compact

        return plan_compact(self, dataset, branch, target_bytes)

    @overload
    def rollback(
        self, reference: str, *, all: Literal[False] = False, branch: str = ..., message: str = ...
    ) -> Version: ...
    @overload
    def rollback(
        self, reference: str, *, all: Literal[True], branch: str = ..., message: str = ...
    ) -> Commit | None: ...
    def rollback(
        self,
        reference: str,
        *,
        all: bool = False,  # noqa: A002  (the flag of the command)
        branch: str = MAIN,
        message: str = "",
    ) -> Version | Commit | None:
        """Make an earlier version of a dataset (`"orders@main~1"`) the newest again, positions included.

        With `all` every dataset becomes what it was at the commit that `reference` (`"@v1"`) names, in one commit,
        and those that came since are dropped; returned is the commit, None where everything is so.
        """
        from dataplat._changes import rollback, rollback_all

        return (rollback_all if all else rollback)(self, reference, branch, message)

    def drop(self, dataset: str, *, branch: str = MAIN, message: str = "") -> Commit:
        """Take a dataset off a branch; its earlier versions stay."""
        from dataplat._changes import change, drop_step

        return change(self, branch, message, drop_step(dataset))

    def rename(self, dataset: str, to: str, *, branch: str = MAIN, message: str = "") -> Commit:
        """Give a dataset another name; its history follows it."""
        from dataplat._changes import change, rename_step

        return change(self, branch, message, rename_step(dataset, to))

    def describe(self, dataset: str, text: str, *, branch: str = MAIN) -> Commit:
        """Say in words what a dataset is."""
        from dataplat._changes import change, describe_step

        return change(self, branch, "", describe_step(dataset, text))

    def evolve(
        self, dataset: str, *, branch: str = MAIN, message: str = "", **changes: Unpack[EvolveOptions]
    ) -> Version:
        """Change the columns of a dataset; no part is written anew, and earlier versions read as they were.

        Args:
            dataset: its name.
            branch: the branch that moves.
            message: why, for the log; by default what changes.
            **changes: done in this order, each by the names that the last one left: `drop` (columns), `rename`
                (`{"old": "new"}`), `add` (`{"name": type}`, or texts "name type"; null in all rows), `widen` (`{"name":
                type}`, one that holds all values), `nullable`, `required` (columns), `order` (columns that come first).

        Raises:
            SchemaError: A column is not there, or there already; of the key, and to be dropped; or a type does not fit.
            SchemaMismatch: A column that is to be required is null in some row.
        """
        from dataplat._evolve import evolution, evolve

        return evolve(self, dataset, evolution(**changes), branch, message)

    def plan_evolve(self, dataset: str, *, branch: str = MAIN, **changes: Unpack[EvolveOptions]) -> EvolvePlan:
        """Return what `evolve` with the same arguments would do, and touch nothing."""
        from dataplat._evolve import evolution, plan_evolve

        return plan_evolve(self, dataset, evolution(**changes), branch)

    def transaction(self, branch: str = MAIN, message: str = "") -> Transaction:
        """Return a block whose changes, of any number of datasets, become one commit at its end, or nothing does.

        `with lake.transaction(message="Friday") as tx:` and in it `tx.ingest(…)`, `tx.delete(…)` and what else there is.
        """
        from dataplat._transaction import Transaction

        return Transaction(self, branch, message)

    # ------------------------------------------------------------------------------------------------ other lakes

    def push(
        self,
        url: str | Path,
        branches: Sequence[str] | None = (MAIN,),
        *,
        tags: bool = False,
        plan: bool = False,
        progress: Listener | None = None,
    ) -> Transfer:
        """Bring branches (None: all) into the lake at `url`: only what it lacks travels, and branches move forward.

        Args:
            url: The other lake.
            branches: Names of branches; one that is not there is made.
            tags: Whether the tags that these branches reach go too.
            plan: Return what would travel, and copy nothing.
            progress: Called with `Progress` a few times a second.

        Raises:
            CommitConflict: A branch has commits there that it lacks here: pull, merge, push again. Nothing was copied.
            ContractFailed, BranchProtected: The branch there is held to a contract that was not met.
        """
        from dataplat._transfer import push

        return push(self, url, branches, tags=tags, plan=plan, listener=progress)

    def pull(
        self,
        url: str | Path,
        branch: str = MAIN,
        *,
        tags: bool = False,
        plan: bool = False,
        progress: Listener | None = None,
    ) -> Transfer:
        """Bring a branch of the lake at `url` here; where both have moved it becomes `pulled/<branch>`, to be merged."""
        from dataplat._transfer import pull

        return pull(self, url, branch, tags=tags, plan=plan, listener=progress)

    # ------------------------------------------------------------------------------------------------ as Python has it

    def __iter__(self) -> Iterator[str]:
        return iter(info.name for info in self.datasets())

    def __contains__(self, dataset: object) -> bool:
        return any(info.name == dataset for info in self.datasets())

    def __repr__(self) -> str:
        return f"Lake({self.url!r}, {len(self.datasets())} datasets, {len(self.branches())} branches)"

    def _repr_html_(self) -> str:
        from dataplat._listing import datasets_html

        return datasets_html(self.url, self.datasets())
