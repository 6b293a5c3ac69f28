"""Small values that are remembered of the blocks of a version, all in one entry: the next version asks of new blocks only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dataplat.lake.memos import Memos, computation_id
from dataplat.validation.subject import Block

_LEDGER: Final = computation_id("validation.ledger", 1)
_PART, _DELETES = 32, 16  # hex digits, enough to tell the parts of one lake apart


@dataclass(slots=True)
class Ledger:
    """Looks up and keeps JSON values by what was asked and by block; `save` writes them."""

    memos: Memos | None
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)

    def find(self, versions: Iterable[str], asked: str) -> Mapping[str, Any]:
        """Return what was asked of blocks of the first of these versions where it was, by `page` of the block."""
        for version in versions:
            found = self._of(version).get(asked)
            if isinstance(found, dict):
                return found
        return {}

    def keep(self, version: str | None, asked: str, values: Mapping[str, Any]) -> None:
        """Remember what was found in the blocks of a version."""
        if self.memos is not None and version is not None:
            self._of(version)[asked] = dict(values)
            self._changed.add(version)

    def save(self) -> None:
        """Write what is to be remembered."""
        while self._changed and self.memos is not None:
            version = self._changed.pop()
            self.memos.put(self._known[version], _LEDGER, version)

    def _of(self, version: str) -> dict[str, Any]:
        if self.memos is None:
            return {}
        if version not in self._known:
            found = self.memos.get(_LEDGER, version)
            self._known[version] = found if isinstance(found, dict) else {}
        return self._known[version]


def page(block: Block) -> str | None:
    """Return under what the ledger keeps values of a block; None for one whose rows may change."""
    if block.identity is None:
        return None
    part, deletes = block.identity
    return f"{part[:_PART]}.{deletes[:_DELETES]}" if deletes else part[:_PART]
