"""The feature store that users hold: a thin façade over what is done with definitions and data."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    import builtins
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    import pyarrow as pa

    from dataplat._features._audit import Audit
    from dataplat._features._explain import Explanation
    from dataplat._features._freshness import Freshness
    from dataplat._features._leaving import RetirePlan, RollbackPlan
    from dataplat._features._lineage import Node
    from dataplat._features._listing import Listed, Shown
    from dataplat._features._lookup import Looked, Lookups
    from dataplat._features._materialize import Materialized
    from dataplat._features._plan import Plan
    from dataplat._features._push import PushResult
    from dataplat._features._pushed_landed import Landed
    from dataplat._features._registry import Applied, Definition
    from dataplat._features._set import TrainingSet
    from dataplat._lake import Lake
    from dataplat.feature_store.definitions import FeatureService, FeatureView
    from dataplat.feature_store.online.plan import ServingPlan
    from dataplat.feature_store.online.store import OnlineStore, Snapshot
    from dataplat.feature_store.runs import Runs
    from dataplat.feature_store.verify import Verified
    from dataplat.feature_store.windows import Duration
    from dataplat.ingest import IngestResult
    from dataplat.ingest._progress import Listener
    from dataplat.lake.engine import Engine


class FeatureStore:
    """Features of a lake: declared once, the same in training and in serving. Get it from `Lake.features`.

    Args:
        lake: the lake.
        branch: the branch on which definitions and sources are.
    """

    def __init__(self, lake: Lake, branch: str = "main") -> None:
        self.lake = lake
        self.branch = branch
        self.known_definitions: dict[str, builtins.list[Definition]] = {}
        self.stamped = 0
        self.stamping = Lock()
        self.plans: dict[str, ServingPlan] = {}

    def __repr__(self) -> str:
        return f"FeatureStore({self.lake.url!r}, branch={self.branch!r})"

    @cached_property
    def online(self) -> OnlineStore:
        """Where features are served from: what `[features] online` names, else an LMDB in the user's state folder.

        Each branch has a place of its own there: a service of two branches is two, and so are rows that are pushed.
        """
        from dataplat.feature_store.online.connect import online_store

        whose = self.lake.id if self.branch == "main" else f"{self.lake.id}@{quote(self.branch, safe='')}"
        return online_store(None, whose)

    @cached_property
    def runs(self) -> Runs:
        """Where sorted rows of sources are remembered: the user's cache."""
        from dataplat.feature_store.runs import Runs

        return Runs.of_user()

    @cached_property
    def landed(self) -> Landed:
        """The keys of pushed rows that landed lately."""
        from dataplat._features._pushed_landed import Landed

        return Landed()

    @cached_property
    def _lookups(self) -> Lookups:
        from dataplat._features._lookup import Lookups

        return Lookups(self, self.online)

    def lookup(
        self,
        service: FeatureService | str,
        entities: Mapping[str, Any],
        *,
        t: datetime | int | None = None,
        statuses: bool = False,
        closure: str | None = None,
    ) -> Looked:
        """Look up a service's features, from the online store: what a training set would say of the same entities and time.

        Args:
            service: a service, its name (its newest version), or `name@version`.
            entities: by entity a list of keys, and by column of the request a list of values, all of one length.
            t: the time that is asked for, by default now; not before the snapshot's.
            statuses: whether the status and age of each cell are among the columns of `to_dict`, `to_arrow`, `to_pandas`.
            closure: the hash that a model was trained under; where it differs from the service's, it is refused (PIT 26).

        Raises:
            SchemaError: A column is missing or unknown, of another length, or holds a value of another type; it is named.
            FeatureNotFound: There is no such service, or not that version.
            NotMaterialized: It has no snapshot, or only one of after `t`: the clock went backwards.
            ClosureMismatch: The model was trained under other definitions.
            StoreError: The online store does not answer.
        """
        from dataplat._features._lookup import lookup

        return lookup(self._lookups, service, entities, t=t, statuses=statuses, closure=closure)

    def training_set(
        self,
        spine: Any,
        service: FeatureService | str,
        *,
        timestamp: str = "t",
        labels: str | None = None,
        label_on: Sequence[str] | str = (),
        label_known_at: str | None = None,
        horizon: Duration | None = None,
        as_known: Literal["now"] | None = None,
        statuses: bool = False,
        ages: bool = False,
        progress: Listener | None = None,
        engine: str | Engine = "local",
    ) -> TrainingSet:
        """Return a service's features for the rows of a spine, each as it was known at the row's time; pinned.

        N rows come in and N go out, in their order, with their columns, labels, and a column `view__feature` for each
        feature.

        Args:
            spine: an Arrow table, a frame of any library, a dictionary of columns, the reference of a dataset, or a query.
                With `engine="spark"` the rows of a frame of Spark's stay in its tasks.
            service: a service, its name (its newest version), or `name@version`.
            timestamp: the spine's column of times.
            labels: the reference of a dataset whose other columns are joined to the spine.
            label_on: the columns that they are joined by; by default its key.
            label_known_at: the column of labels that says when each was known, where they were committed later than that.
            horizon: how long after its time the label of a row is known: rows whose label could not be known when the
                newest label was (`label_known_at`; else when the labels were committed) are left out, and counted.
            as_known: "now" takes every row as known that is there now, whenever it came: not what a model would have seen.
            statuses: add `column__status`.
            ages: add `column__age`, how old the row is that a value is of.
            progress: is told how far it is.
            engine: `spark` has tasks of Spark make it, of the same definitions and to the last bit the same: they write its
                rows as parts of the lake, which `save` makes a version, and of which nothing comes here unless it is read.

        Raises:
            FeatureNotFound, DatasetNotFound: There is no such service, source or dataset of labels.
            SchemaError: A column is missing, of another type, or holds a time that is null or naive; it is named.
        """
        from dataplat._features._registry import resolve
        from dataplat._features._training import training_set
        from dataplat.ingest._progress import Meter

        return training_set(
            self,
            spine,
            resolve(self, service),
            timestamp=timestamp,
            labels=labels,
            label_on=label_on,
            label_known_at=label_known_at,
            horizon=horizon,
            as_known=as_known,
            statuses=statuses,
            ages=ages,
            meter=Meter(progress),
            engine=engine,
        )

    def save(
        self, sets: Mapping[str, TrainingSet], *, message: str | None = None, contract: Any = None
    ) -> dict[str, IngestResult]:
        """Make training sets versions of the datasets that they are named by, in one commit: all of them, or none.

        `store.save({"train": train, "train_holdout": held})` is for the sides of a split.

        Args:
            sets: by the name of a dataset what it becomes.
            message: of the commit; by default it says which sets.
            contract: what each has to meet.

        Raises:
            ContractFailed: One does not meet it; nothing landed.
        """
        from dataplat._features._saved import save

        return save(self, sets, message, contract)

    def history(self, view: FeatureView | str, start: datetime, end: datetime, *, statuses: bool = False) -> pa.Table:
        """Return a view's features over time: a row for each key and time at which something of it became known."""
        from dataplat._features._history import history
        from dataplat._features._registry import resolve_view

        return history(self, resolve_view(self, view), start, end, statuses=statuses)

    def explain(
        self, service: FeatureService | str, entities: Mapping[str, Any], t: datetime, *, limit: int = 20
    ) -> Explanation:
        """Return why the features of one key are what they are at `t`: the rows that could be served, and what became of each.

        Of each view there are at most `limit` rows, those around the newest.
        """
        from dataplat._features._explain import explain
        from dataplat._features._registry import resolve

        return explain(self, resolve(self, service), entities, t, limit=limit)

    def plan(self, service: FeatureService | str, *, progress: Listener | None = None) -> Plan:
        """Say what applying a service would do, what serving it will cost, and what is wrong with it; nothing is changed.

        Of one that is applied already (its name will do) it says what it costs and whether all is well with it now;
        `progress` is told how far it is.
        """
        from dataplat._features._plan import plan
        from dataplat._features._registry import resolve
        from dataplat.ingest._progress import Meter

        return plan(self, resolve(self, service), Meter(progress))

    def apply(self, service: FeatureService | str, *, message: str = "") -> Applied:
        """Keep the definition of a service in the lake, in a commit; the same again does nothing.

        It is planned before, and what the plan refuses is not applied. Limits of views (`freshness`, `max_events_per_key`,
        `drift`) may be others each time.

        Raises:
            ConfigError: The plan refuses it, or that version of it is defined otherwise: give the new one another version
                (PIT 26).
        """
        from dataplat._features._plan import plan
        from dataplat._features._registry import apply, resolve
        from dataplat.errors import ConfigError

        service = resolve(self, service)
        if refused := plan(self, service).refused:
            raise ConfigError(f"{service.name}@{service.version} cannot be applied: " + "; ".join(refused))
        return apply(self, service, message)

    def services(self) -> builtins.list[Definition]:
        """Return all versions of all services that were applied on the branch, by name and version."""
        from dataplat._features._registry import definitions

        return definitions(self)

    def audit(
        self,
        service: FeatureService | str,
        *,
        since: datetime | timedelta | None = None,
        until: datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Audit:
        """Hold what was served against the lake: every logged value and status again by the kernel, to the last bit.

        Rows of the log are answered anew from the versions that their snapshot was made of, and the rows that were pushed
        by then. Nothing may differ: each difference is told with its cause (`late`, `expired`, `definition`, `type`,
        `store`). Apart from that it counts what is stale: where a training set says otherwise now.

        Args:
            service: a service, its name (its newest version), or `name@version`.
            since: from when on, or how long back; by default all that was logged.
            until: until before when.
            progress: called with the rows that are done, and all.

        Raises:
            FeatureNotFound: There is no such service, or not that version.
        """
        from dataplat._features._audit import audit

        return audit(self, service, since=since, until=until, progress=progress)

    def materialize(
        self,
        service: FeatureService | str,
        *,
        full: bool = False,
        dry_run: bool = False,
        contracts: Mapping[str, Any] | None = None,
        accept_drift: bool = False,
        progress: Listener | None = None,
        engine: str | Engine = "local",
    ) -> Materialized:
        """Make the snapshot of a service that is served from then on: at first all of it, later only keys that changed.

        It is live at once at the end; whatever dies before that, the one before is served.

        Args:
            service: a service that was applied, its name (its newest version), or `name@version`.
            full: make all of it anew.
            dry_run: only say what would be done.
            contracts: by dataset what it has to meet before anything of it is served: a contract, or FILE:NAME.
            accept_drift: let features move further than their views allow (`FeatureView(…, drift=…)`), this once.
            progress: is told how far it is.
            engine: `spark` has tasks of Spark make the records where all of it is made; what changed later is made here.

        Raises:
            FeatureNotFound: It was not applied.
            ConfigError: A contract is of a dataset that is no source of it.
            ContractFailed: A source does not meet its contract, or features move too far; what was live is served.
            SnapshotConflict: Others made snapshots meanwhile, again and again; theirs is live.
            SchemaError: A source lost a column, or holds what features cannot be made of.
            StoreError: The online store does not answer, or its disk is full: the snapshot before is served.
        """
        from dataplat._features._materialize import Asked, materialize
        from dataplat.ingest._progress import Meter

        return materialize(self, service, Meter(progress), Asked(full, dry_run, contracts or {}, accept_drift, engine))

    def rollback(self, service: FeatureService | str) -> Snapshot:
        """Serve the snapshot before again, in one step.

        Raises:
            NotMaterialized: There is none before.
        """
        from dataplat._features._materialize import rollback
        from dataplat._features._registry import resolve

        return rollback(self, resolve(self, service))

    def plan_rollback(self, service: FeatureService | str) -> RollbackPlan:
        """Say what `rollback` would serve; nothing is changed.

        Raises:
            NotMaterialized: There is none before.
        """
        from dataplat._features._leaving import plan_rollback
        from dataplat._features._registry import resolve

        return plan_rollback(self, resolve(self, service))

    def push(self, view: FeatureView | str, rows: Any, *, idempotency: str | Sequence[str] | None = None) -> PushResult:
        """Serve rows of a view from now on, in every service that uses its dataset; they land in the dataset later.

        They are durable before they are seen, stamped with the time of now where the view has a `known_at`, and counted
        once for each idempotency key, however often they are sent. `materialize` and `flush` land them.

        Args:
            view: the view, or its name.
            rows: a frame, or a dictionary of columns, with the columns of the dataset.
            idempotency: a key for each row, or one for all of them together; by default none is like another.

        Raises:
            FeatureNotFound: There is no such view.
            ConfigError: Its source is a query, or made of commits.
            SchemaError: A column is unknown, missing, or holds a value of another type.
        """
        from dataplat._features._push import push

        return push(self, view, rows, idempotency)

    def flush(self, dataset: str) -> int:
        """Commit what was pushed to a dataset; return how many rows landed."""
        from dataplat._features._pushed_flush import flush

        return flush(self, dataset)

    def follow(
        self,
        service: FeatureService | str,
        tell: Callable[[Materialized], None] | None = None,
        *,
        every: float = 30.0,
        stop: threading.Event | None = None,
        contracts: Mapping[str, Any] | None = None,
        failed: Callable[[Exception, float], None] | None = None,
    ) -> None:
        """Make snapshots of a service as its sources change, until `stop` is set.

        What may heal does not end it: it is tried again, later each time, and told as an event; so is a view that gets
        stale, and one that is not any more (`[notify]`). What is live is served meanwhile.

        Args:
            service: a service that was applied, its name (its newest version), or `name@version`.
            tell: is given each new snapshot.
            every: how often it looks, in seconds.
            stop: ends it.
            contracts: by dataset what it has to meet before anything of it is served: a contract, or FILE:NAME.
            failed: is given what went wrong, and in how many seconds it is tried again.

        Raises:
            FeatureNotFound: It was not applied, or was retired.
            ConfigError: A setting or contract names what is not there, or the definition is another one.
        """
        from dataplat._features._follow import follow

        follow(self, service, tell, failed, every=every, stop=stop, contracts=contracts or {})

    def freshness(self, service: FeatureService | str) -> builtins.list[Freshness]:
        """Return how old what is served is, view by view, beside the limits that were declared."""
        from dataplat._features._freshness import freshness
        from dataplat._features._registry import resolve

        return freshness(self, resolve(self, service))

    def list(self) -> builtins.list[Listed]:
        """Return all versions of all services that were applied, with what is served of each."""
        from dataplat._features._listing import listed

        return listed(self)

    def show(self, name: str) -> Shown:
        """Return what a service (`name`, `name@version`) or a view is.

        Raises:
            FeatureNotFound: Neither is called so.
        """
        from dataplat._features._listing import show

        return show(self, name)

    def lineage(self, name: str) -> builtins.list[Node]:
        """Return from where a service's features come and where they went: source, view, service, snapshot, training set.

        `name` may be that of a service, of a view, or of a dataset that views read.
        """
        from dataplat._features._lineage import lineage

        return lineage(self, name)

    def retire(self, name: str, *, message: str = "") -> str | None:
        """Take a version of a service (`name@version`) out of use, and its snapshot; return the commit.

        Raises:
            FeatureNotFound: There is none.
        """
        from dataplat._features._registry import retire

        return retire(self, name, message)

    def plan_retire(self, name: str) -> RetirePlan:
        """Say what `retire` would take away; nothing is changed.

        Raises:
            FeatureNotFound: There is none.
        """
        from dataplat._features._leaving import plan_retire

        return plan_retire(self, name)

    def verify(
        self, service: FeatureService | str, *, worlds: int = 50, seed: int = 0, progress: Listener | None = None
    ) -> Verified:
        """Prove on a service's own definitions that training and serving agree, to the last bit.

        Rows are drawn in the shape of its sources, hard ones: ties, late and future rows, nulls, NaN, rows on the edges of
        windows. Training, parts in another order, searches without merging, and records that are served are compared.

        Args:
            service: a service, its name (its newest version), or `name@version`; it need not be applied.
            worlds: how many sets of rows.
            seed: of what is drawn.
            progress: is told how far it is.
        """
        from dataplat._features._registry import resolve
        from dataplat._features._verify import verify
        from dataplat.ingest._progress import Meter

        return verify(self, resolve(self, service), Meter(progress), worlds=worlds, seed=seed)
