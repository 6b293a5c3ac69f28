"""What is asked of a library that speaks Kafka's protocol: read topics by position, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dataplat.connectors.codecs import Records


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is now: `id` is another one once it was deleted and made again; `cluster` the id of its cluster."""

    name: str
    id: str
    cluster: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a partition holds: offsets from `earliest` up to `end`.

    Where only committed records are read, `end` is the last stable offset: a transaction that is open ends it.
    """

    earliest: int
    end: int


class Client(Protocol):
    """Reads one topic. Keys and values stay bytes; no group is joined, and no offset is kept in Kafka.

    Raises:
        SourceUnreachable: No broker answers, or not in time.
        SourceNotFound: There is no such topic.
        SourceError: The cluster refuses: a wrong password, no right to read.
        SourceGap: A position is not in the log (any more).
    """

    def topic(self) -> Topic:
        """Return the topic as the cluster knows it now."""
        ...

    def bounds(self, partitions: Iterable[int]) -> Mapping[int, Bounds]:
        """Return what the partitions hold now."""
        ...

    def seek(self, starts: Mapping[int, int]) -> None:
        """Read exactly these partitions from now on, each from its offset; none of them is paused."""
        ...

    def poll(self, seconds: float, max_records: int) -> list[Records]:
        """Return what has come, at most one `Records` a partition; waits up to `seconds` for anything."""
        ...

    def positions(self) -> Mapping[int, int]:
        """Return the offset at which each partition goes on: behind the last record and the markers that follow it."""
        ...

    def pause(self, partitions: Iterable[int]) -> None:
        """Let these partitions give nothing until they are resumed."""
        ...

    def resume(self, partitions: Iterable[int]) -> None:
        """Let these partitions give records again."""
        ...

    def close(self) -> None:
        """Let all connections go."""
        ...
