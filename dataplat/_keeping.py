"""The part of `Lake` about what is stored: what is kept, what goes, what is erased, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import polars as pl

    from dataplat._collect import GcPlan, GcResult
    from dataplat._doctor import DoctorReport
    from dataplat._erase import ErasePlan, EraseResult
    from dataplat._lake import Lake
    from dataplat._quarantine import Quarantine
    from dataplat._verify import VerifyReport
    from dataplat.ingest import ReplayResult, StreamProof
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import SchemaLike
    from dataplat.versioning.gc.du import Use
    from dataplat.versioning.refs import Record


class Keeping:
    """Methods of `Lake`."""

    @property
    def quarantine(self) -> Quarantine:
        """What waits because it did not meet a contract: `list`, `release`, `replay`, `drop`, and each by its id."""
        from dataplat._quarantine import Quarantine

        return Quarantine(cast("Lake", self))

    def du(self, dataset: str | None = None, *, progress: Listener | None = None) -> Use:
        """Return how many bytes each dataset and version needs, how many nobody else needs, and what nothing needs."""
        from dataplat._collect import du

        return du(cast("Lake", self), dataset, progress)

    def verify_ingest(self, dataset: str, *, branch: str = "main") -> StreamProof:
        """Prove that a dataset holds every offset of its streams once; the proof names holes and overlaps.

        Commits are followed from the head back to the first; rows are counted too where `_partition` and `_offset` are kept.

        Raises:
            DatasetNotFound: There is no such dataset on the branch.
            SourceError: Nothing of it came from a stream.
        """
        from dataplat.ingest._stream_verify import verify_ingest

        return verify_ingest(cast("Lake", self), dataset, branch)

    def replay(
        self,
        dataset: str,
        from_rejects: str | None = None,
        *,
        source_format: str | None = None,
        registry: str | None = None,
        schema: SchemaLike | None = None,
        older: bool = False,
        branch: str = "main",
        message: str | None = None,
        plan: bool = False,
        progress: Listener | None = None,
    ) -> ReplayResult:
        """Try rejected records of streams again: those that are rows now land and leave `<dataset>.rejects`, in one commit.

        For when what rejected them is mended: a registry that knows a schema by now, a column with a wider type, the right
        format. Each lands once, whoever replays at the same time and wherever one is killed.

        In a dataset with a key, records stay of which it is not known that they are newer than what the dataset holds: it
        is where rows keep `_partition` and `_offset`. With `older` they land nevertheless, and become the state of their key.

        Args:
            dataset: The dataset, not its rejects.
            from_rejects: Which of them, as a condition on their columns: `"topic = 'orders' and offset < 100"`.
            source_format: What messages are, as in `ingest`; so are `registry` and `schema`.
            registry: The URL of a schema registry.
            schema: Types of JSON values, or the schema of Avro ones.
            older: Whether a record may replace a state that came later.
            branch: The branch.
            message: Why, for the log.
            plan: Return what would be done, and touch nothing.
            progress: Called with `Progress` a few times a second.

        Raises:
            DatasetNotFound: There is no such dataset on the branch.
            SourceUnreachable: The registry does not answer.
            PositionConflict, CommitConflict: Others were faster again and again. Nothing was committed.
        """
        from dataplat.ingest._replay import replay, replay_request

        request = replay_request(
            dataset,
            from_rejects,
            source_format=source_format,
            registry=registry,
            schema=schema,
            older=older,
            branch=branch,
            message=message,
        )
        return replay(cast("Lake", self), request, progress, plan=plan)

    def keep(self, branch: str, rule: str) -> Record:
        """Say what collections keep of a branch: "all", "30d" (younger), "10" (newest of each dataset), "30d,10" (either).

        The newest version of each dataset always stays, and so does what a tag names, or a merge of two branches begins with.
        """
        from dataplat._collect import keep

        return keep(cast("Lake", self), branch, rule)

    def plan_gc(
        self,
        keep: str | None = None,
        *,
        grace: str = "1h",
        explain: bool = False,
        progress: Listener | None = None,
    ) -> GcPlan:
        """Return what `gc` with the same arguments would delete, and touch nothing."""
        from dataplat._collect import plan_gc

        return plan_gc(cast("Lake", self), keep, grace, progress, explain=explain)

    def gc(
        self,
        keep: str | None = None,
        *,
        grace: str = "1h",
        explain: bool = False,
        planned: Callable[[GcPlan], object] | None = None,
        progress: Listener | None = None,
    ) -> GcResult:
        """Delete what no branch, tag, rule or lease needs; others may write and read meanwhile.

        Args:
            keep: The rule ("30d", "10", "30d,10") of branches that have none of their own; without it they keep all.
            grace: Leave alone what is younger ("1h", "0s"): it saves writers of this moment from writing twice.
            explain: Compute for each version which bytes only it needs.
            planned: Called with the plan before anything is deleted.
            progress: Called a few times a second.

        Raises:
            CommitConflict: A later collection took over; this one deleted nothing.
            IntegrityError: What has to stay cannot be read; nothing was deleted.
        """
        from dataplat._collect import gc

        return gc(cast("Lake", self), keep, grace, progress, explain=explain, planned=planned)

    def erase(
        self,
        dataset: str,
        where: str | pl.Expr,
        reason: str,
        *,
        also: Sequence[str] = (),
        rejects: bool = True,
        planned: Callable[[ErasePlan], object] | None = None,
        progress: Listener | None = None,
    ) -> EraseResult:
        """Erase rows from every version of a dataset, on all branches, so that nothing stored holds them any more.

        All versions, tags and references stay, without these rows, and the rows do not come in again. An erase that was
        stopped goes on when the same is called again. What cannot be erased from here is in the result's notes.

        Args:
            dataset: Its name; it is followed through renames.
            where: SQL text or a Polars expression. Of `user_id = 42` only a digest of the value is kept.
            reason: For the log.
            also: Datasets that have the very same versions, and are to be erased with it.
            rejects: Erase records of its rejects, too: those that have such a value in them, or, where the
                condition is no matter of equal values, all.
            planned: Called with the plan before anything is touched; it may raise.
            progress: Called a few times a second.

        Raises:
            PredicateError: The condition does not fit the dataset. Nothing was touched.
            ConfigError: No reason is given, or others have the very same versions.
            CommitConflict: Branches moved all the time; call it again.
        """
        from dataplat._erase import erase

        return erase(cast("Lake", self), dataset, where, reason, also, progress, rejects=rejects, planned=planned)

    def plan_erase(
        self,
        dataset: str,
        where: str | pl.Expr,
        *,
        also: Sequence[str] = (),
        rejects: bool = True,
        progress: Listener | None = None,
    ) -> ErasePlan:
        """Return what `erase` with the same arguments would do, and touch nothing."""
        from dataplat._erase import plan_erase

        return plan_erase(cast("Lake", self), dataset, where, also, progress, rejects=rejects)

    def verify(
        self,
        reference: str | None = None,
        *,
        repair_from: str | Path | None = None,
        progress: Listener | None = None,
    ) -> VerifyReport:
        """Hash again every object of a version, or of all that there is, and compare counts and digests with rows.

        With `repair_from`, the place of another lake, what is damaged here and whole there is put right.
        """
        from dataplat._verify import verify

        return verify(cast("Lake", self), reference, progress, repair_from)

    def doctor(self) -> DoctorReport:
        """Try the store as `init` did, measure its latency and throughput, and look at what it is reached with.

        Some 100 small objects and one of 32 MB are created and deleted again. What fails is in the report.
        """
        from dataplat._doctor import examined

        lake = cast("Lake", self)
        return examined(lake.store, lake.url, lake.id)
