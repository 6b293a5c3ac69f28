"""What lies on the server for a queue: its projects, found again by their marks, and what the lake knows of their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from dataplat.errors import LabelConfigError
from dataplat.labeling.server import LabelServer, Project, project_mark
from dataplat.labeling.tables import KEYS, dataset, schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._transaction import Transaction
    from dataplat.labeling.config import LabelConfig

_TITLE = 50
"""Characters of a title, as Label Studio allows."""


@dataclass(slots=True)
class Placement:
    """One task before one annotator; `news` says that the lake does not have it so."""

    task: str
    annotator: str
    project: int
    id: int
    copies: list[int] = field(default_factory=list)
    state: str = "open"
    until: datetime | None = None
    seen: datetime | None = None
    news: bool = True
    new: bool = True

    def row(self) -> dict[str, Any]:
        """Return it as a row of `NAME.placements`."""
        names = ("task", "annotator", "project", "id", "copies", "state", "until", "seen")
        return {name: getattr(self, name) for name in names}

    @property
    def there(self) -> bool:
        """Whether the task lies on the server."""
        return self.state not in {"moved", "gone", "kept"}

    def lose(self) -> bool:
        """Note that the task lies on the server no more; return whether it was open, so that it is asked again."""
        was_open = self.state == "open"
        self.state, self.copies, self.news = "gone" if was_open else "kept", [], True
        return was_open


class Placements:
    """All placements of a queue, and those that changed since they were read."""

    def __init__(self, table: pa.Table) -> None:
        self._all: dict[tuple[str, str], Placement] = {}
        for row in table.to_pylist():
            row["copies"] = row["copies"] or []
            self._all[row["task"], row["annotator"]] = Placement(**row, news=False, new=False)

    def __iter__(self) -> Iterator[Placement]:
        return iter(self._all.values())

    def get(self, task: str, annotator: str) -> Placement | None:
        """Return the placement of a task before an annotator."""
        return self._all.get((task, annotator))

    def of(self, project: int) -> list[Placement]:
        """Return what lies in a project."""
        return [each for each in self if each.project == project and each.there]

    def put(self, placement: Placement) -> None:
        """Add a placement, or replace one."""
        held = self._all.get((placement.task, placement.annotator))
        placement.new = held is None or held.new
        self._all[placement.task, placement.annotator] = placement

    @property
    def news(self) -> list[Placement]:
        """Those that the lake does not have, or has otherwise."""
        return [each for each in self if each.news]

    def commit(self, tx: Transaction, queue: str) -> None:
        """Add the news to a transaction: what is new is appended, so that of two who place one task one is refused."""
        import pyarrow as pa

        modes: tuple[Literal["append", "upsert"], ...] = ("append", "upsert")
        for mode in modes:
            rows = [each.row() for each in self.news if each.new is (mode == "append")]
            if rows:
                table = pa.Table.from_pylist(rows, schema("placements"))
                tx.ingest(table, into=dataset(queue, "placements"), mode=mode, key=KEYS["placements"])


def shown_by(project: Project) -> LabelConfig | None:
    """Return the config that a project shows; None where somebody made it what cannot be read."""
    from dataplat.labeling.config import LabelConfig

    try:
        return LabelConfig.from_xml(project.config)
    except LabelConfigError:
        return None


def find_projects(state: State, server: LabelServer) -> dict[str, list[Project]]:
    """Return the queue's projects by annotator, the oldest first: two callers at once may have made one each."""
    prefix = project_mark(state.lake.id, state.name, "")
    found: dict[str, list[Project]] = {}
    for project in sorted(server.projects(prefix), key=lambda each: each.id):
        found.setdefault(project.mark.removeprefix(prefix), []).append(project)
    return found


def make_projects(state: State, server: LabelServer, annotators: Iterable[str]) -> dict[str, list[Project]]:
    """Return the queue's projects by annotator; those of `annotators` who lack one get it.

    What was made is looked for again: of callers at once who each made one, all take the oldest.
    """
    found = find_projects(state, server)
    lacking = [name for name in annotators if name not in found]
    for annotator in lacking:
        mark = project_mark(state.lake.id, state.name, annotator)
        title = f"{state.name} · {annotator}"
        server.create_project(mark, title[:_TITLE], state.spec.config)
    return find_projects(state, server) if lacking else found
