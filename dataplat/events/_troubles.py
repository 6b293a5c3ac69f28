"""What does not work for a while: told once when it begins, and once when it is over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.events._derive import Kind

_HOUR: Final = 3600
_LONGEST: Final = 300
"""Letters of an error that an event holds."""


@dataclass
class Troubles:
    """Troubles of a lake's branch, by what they are of.

    An event has the id of what it is about, and of the hour in which it began: processes that see the same tell it once.

    Attributes:
        lake: the lake.
        branch: its branch.
        begins: the kind of event that tells of one.
        ends: that it is over.
    """

    lake: Lake
    branch: str
    begins: Kind
    ends: Kind
    _since: dict[str, tuple[str, str]] = field(default_factory=dict)  # which hour, and what

    def failed(self, of: str, dataset: str, error: Exception) -> bool:
        """Tell of a dataset (or service) that something fails; return False where that was told."""
        if of in self._since:
            return False
        what = f"{type(error).__name__}: {str(error)[:_LONGEST]}"
        self._since[of] = str(int(time.time()) // _HOUR), what
        self._tell(self.begins, of, dataset, None, what)
        return True

    def worked(self, of: str, dataset: str) -> None:
        """Tell that it works again, where it was told that it does not."""
        if of in self._since:
            self._tell(self.ends, of, dataset, self._since[of][1], None)
            del self._since[of]

    def _tell(self, kind: Kind, of: str, dataset: str, before: str | None, after: str | None) -> None:
        from dataplat.events._derive import Place
        from dataplat.events._notice import notice

        since, what = self._since[of]
        place = Place(self.lake.id, dataset, self.branch, since, self.lake.refs.now())
        notice(self.lake, [place.event(kind, what.partition(":")[0], before, after)])
