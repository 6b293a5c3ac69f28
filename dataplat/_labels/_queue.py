"""The queue that users hold: a thin façade over what is done with it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from dataplat._labels._state import State
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from dataplat._labels._agreement import QueueAgreement
    from dataplat._labels._blame import Said
    from dataplat._labels._consensus import QueueConsensus
    from dataplat._labels._pull import PullResult
    from dataplat._labels._push import PushResult
    from dataplat._labels._region_consensus import QueueRegions
    from dataplat._labels._status import QueueStatus
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest._progress import Listener
    from dataplat.labeling.cost import Cost
    from dataplat.labeling.estimate import Estimate, Sample
    from dataplat.labeling.export import Exported, Format
    from dataplat.labeling.server import LabelServer
    from dataplat.labeling.spec import QueueSpec
    from dataplat.labeling.weak import WeakLabels


class QueueOptions(TypedDict, total=False):
    """How a queue is made; see `dataplat.labeling.spec.QueueSpec` for what each says.

    One of `choices`, `template` (text-classification, ner, image-boxes, image-classification, pairwise; its labels are
    `choices`) or `config` (Label Studio's XML, or a file of it) says what is asked.
    """

    where: str | None
    show: Sequence[str] | str
    key: Sequence[str] | str
    choices: Sequence[str] | str | None
    template: str | None
    config: str | Path | None
    overlap: int
    annotators: Sequence[str] | str
    gold: str | None
    answer: str
    gold_every: int
    pause_below: float
    holdout: Sequence[str] | str
    order: Any
    prelabel: str | None
    lease: float
    media_for: float
    adjudicator: str | None


class LabelQueue:
    """Rows of a dataset that people are asked about. Get one from `Lake.label_queue`.

    Args:
        lake: the lake.
        name: the queue's name.
        branch: the branch on which its datasets are.
        server: the annotation server; None finds the one in force when it is needed.
    """

    def __init__(self, lake: Lake, name: str, branch: str = "main", server: LabelServer | None = None) -> None:
        self.lake = lake
        self.name = name
        self.branch = branch
        self._server = server

    @property
    def spec(self) -> QueueSpec:
        """The definition, as it is now."""
        return self._state.spec

    @property
    def server(self) -> LabelServer:
        """The annotation server: the one given, that of `[label]` in `dataplat.toml`, or the one that runs here.

        Raises:
            ConfigError: There is none.
        """
        if self._server is None:
            from dataplat.labeling.connect import find_server

            found = find_server()
            weakref.finalize(self, found.close)
            self._server = found
        return self._server

    @property
    def tasks(self) -> Version:
        """The tasks, as `NAME.tasks`."""
        return self._state.version("tasks")

    @property
    def annotations(self) -> Version:
        """The answers, as `NAME.annotations`: `result` is what the server gave, written one way."""
        return self._state.version("annotations")

    @property
    def regions(self) -> Version:
        """The items of all results laid flat, as `NAME.regions`."""
        return self._state.version("regions")

    def set(self, **changes: Unpack[QueueOptions]) -> QueueSpec:
        """Change the queue: who is asked, how many answer, the choices. What a task is cannot change."""
        from dataplat._labels._create import change
        from dataplat._labels._options import changes_of

        state = self._state
        return change(state, **changes_of(state, changes)).spec

    def push(self, limit: int | None = None, *, plan: bool = False, progress: Listener | None = None) -> PushResult:
        """Make tasks of what is new in the source, and put them before annotators, each before `overlap` of them.

        It may be called again at any time, after any failure: nothing is asked twice.

        Args:
            limit: the most tasks that wait before each annotator; None: all.
            plan: return what would be done, and change nothing.
            progress: called with `Progress` a few times a second.

        Raises:
            LabelError: the queue is closed, or there is nobody to ask.
            LabelServerError: the server did not do it; call it again.
        """
        from dataplat._labels._media import media_links
        from dataplat._labels._push import PushRequest, push
        from dataplat.ingest._progress import Meter

        server = None if plan else self.server
        meter = Meter(progress)
        return push(self.lake, PushRequest(self.name, self.branch, server, media_links, meter, limit, plan))

    def pull(self, *, full: bool = False, contract: Any = None, progress: Listener | None = None) -> PullResult:
        """Bring the answers that came since, in one commit; nothing where there are none.

        Args:
            full: read all of them, whatever was seen before.
            contract: what the answers (`NAME.annotations`) are to meet; where they do not, nothing is committed.
            progress: called with `Progress` a few times a second.
        """
        from dataplat._labels._pull import PullRequest, pull
        from dataplat.ingest._progress import Meter

        request = PullRequest(self.name, self.branch, self.server, Meter(progress), full=full, contract=contract)
        return pull(self.lake, request)

    def follow(
        self,
        tell: Callable[[PullResult], None] | None = None,
        *,
        every: float = 30.0,
        contract: Any = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Pull again and again until `stop` is set: when a webhook says that something changed, else every `every` seconds.

        Once a day all answers are read, whatever was seen before. A server that does not answer is asked again.

        Args:
            tell: called with the result of each pull.
            every: seconds between pulls where nothing is heard.
            contract: as `pull` takes it.
            stop: set it, and this returns after the pull at hand.
        """
        from dataplat._labels._follow import follow

        follow(self, tell, every, contract, stop)

    def status(self) -> QueueStatus:
        """Return how far each annotator is, from what was pulled."""
        from dataplat._labels._status import status

        return status(self._state)

    def next(self, annotator: str) -> str:
        """Return the page on which an annotator answers what comes next."""
        from dataplat._labels._status import next_page

        return next_page(self._state, self.server, annotator)

    def close(self) -> QueueSpec:
        """Pull once more, and take no more; unanswered tasks stay on the server, to be looked at."""
        self.pull()
        from dataplat._labels._create import change

        return change(self._state, closed=True).spec

    def agreement(
        self, *, level: Literal["nominal", "ordinal", "interval", "ratio"] | None = None, bootstrap: int = 1_000
    ) -> QueueAgreement:
        """Return how far annotators agree: Krippendorff's alpha with an interval, and each pair's kappa."""
        from dataplat._labels._agreement import agreement

        return agreement(self._state, level, bootstrap)

    def adjudicate(self, below: float = 1.0, *, plan: bool = False, progress: Listener | None = None) -> PushResult:
        """Put tasks on which people disagree before the adjudicator, whose answers decide.

        They see what the others said. Those that were put there before stay as they are.

        Args:
            below: the share of votes for the most frequent answer (of spans and boxes F1) below which a task goes there.
            plan: return what would be done, and change nothing.
            progress: called with `Progress` a few times a second.

        Raises:
            LabelError: nobody decides, or the queue is closed.
        """
        from dataplat._labels._adjudicate import adjudicate
        from dataplat._labels._media import media_links
        from dataplat._labels._push import PushRequest
        from dataplat.ingest._progress import Meter

        server = None if plan else self.server
        request = PushRequest(self.name, self.branch, server, media_links, Meter(progress), plan=plan)
        return adjudicate(self._state, request, below)

    def consensus(
        self,
        method: Literal["majority", "weighted", "dawid-skene"] = "majority",
        *,
        weights: Mapping[str, float] | None = None,
        weak: WeakLabels | None = None,
    ) -> QueueConsensus | QueueRegions:
        """Return one label for each task; `.commit(into=…)` makes it a dataset, joined to the rows asked about.

        Where only spans, boxes or outlines are asked for, it is the regions that most people drew.

        Args:
            method: `majority`; `weighted` by `weights` (else by each annotator's share of right gold tasks);
                `dawid-skene`, which learns what each annotator mistakes for what.
            weights: by annotator.
            weak: what labelling functions say (`queue.weak`): they vote beside the people.
        """
        from dataplat._labels._consensus import consensus
        from dataplat._labels._region_consensus import region_consensus

        state = self._state
        if state.config.answer is None and weak is None:
            return region_consensus(state, method)
        return consensus(state, method, weights, weak)

    def weak(self, functions: Sequence[Any]) -> WeakLabels:
        """Ask labelling functions about the rows that the queue asks about; `.table` says how good each is.

        Args:
            functions: Polars expressions, Python functions of a row, or what `labeling_function` makes of them
                (`dataplat.labeling.weak`); each gives a label, or None.
        """
        from dataplat._labels._weak import weak

        return weak(self._state, functions)

    def sample(self) -> Sample:
        """Return the beginning of the queue that is answered, each task with the chance that it had to be in it.

        Its `mean`, `total` and `accuracy` speak of all tasks, whatever the order preferred.

        Raises:
            LabelError: the order is fixed, so nothing follows for the others.
        """
        from dataplat._labels._estimate import sample

        return sample(self._state)

    def accuracy(self, predictions: str, *, confidence: float = 0.95) -> Estimate:
        """Estimate the share of all tasks that predictions have right, from the beginning of the queue that is answered.

        Args:
            predictions: the reference of rows with a column `label`, by what is shown or the source's key.
            confidence: of the interval.
        """
        from dataplat._labels._estimate import accuracy

        return accuracy(self._state, predictions, confidence)

    def blame(self, where: Mapping[str, Any] | str) -> list[Said]:
        """Return who said what about rows, and when: every version of every answer, the oldest first.

        Args:
            where: values of columns of the source (`{"flight_id": 3}`), or the beginning of a task's id.

        Raises:
            LabelError: no task is of such rows.
        """
        from dataplat._labels._blame import blame

        return blame(self._state, where)

    def cost(self, *, longest: float | None = None, per_hour: float | None = None) -> Cost:
        """Return the time that answers took, by annotator and label.

        Args:
            longest: seconds that one answer counts at most: who leaves the page open is not at work.
            per_hour: what an hour of an annotator costs.
        """
        from dataplat.labeling.cost import cost_of

        return cost_of(self.annotations.to_arrow(), self._state.config, longest=longest, per_hour=per_hour)

    def export(self, format: Format, folder: str | Path, *, whose: str | None = None) -> Exported:
        """Write labels into a folder, as others read them; what a format cannot hold is counted.

        Args:
            format: `coco` (pictures), `conll` (texts), `csv`, or `huggingface` (a folder that its `datasets` loads).
            folder: where to; files of an export before are replaced.
            whose: one annotator's answers; `"consensus"`: what all of them come to; None: all, of which COCO and CoNLL
                take the last one of each task.
        """
        from dataplat._labels._export import export

        return export(self._state, format, folder, whose)

    def report(self, path: str | Path, *, tasks: int = 24) -> Path:
        """Write a page about the queue that needs no network: who answered, agreement, answers with what was drawn.

        Args:
            path: the file.
            tasks: how many tasks are shown with their answers, those on which people differ first.
        """
        from dataplat._labels._report import report

        return report(self._state, path, tasks)

    @property
    def _state(self) -> State:
        return State.at_head(self.lake, self.name, self.branch)

    def __repr__(self) -> str:
        return f"LabelQueue({self.name!r}, from {self.spec.source!r})"


def label_queue(
    lake: Lake, name: str, source: str | None, branch: str, server: LabelServer | None, options: QueueOptions
) -> LabelQueue:
    """Open a queue, or make one of `source`."""
    queue = LabelQueue(lake, name, branch, server)
    if source is None:
        if options:
            raise ConfigError(
                f"to make queue {name!r} say which rows are asked about (source=); to change it: queue.set(…)"
            )
        _ = queue.spec
        return queue
    from dataplat._labels._create import create
    from dataplat._labels._options import spec_of

    create(lake, spec_of(lake, name, source, branch, options), branch)
    return queue
