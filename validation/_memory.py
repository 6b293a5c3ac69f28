"""Verdicts that are remembered: of a block what each check found in it, one bundle per (part, deletes).

Bundles grow: a contract that asks more adds to them. Losing one costs a look at the rows. What a check came to over a
whole version is one bundle more, so that the next version asks of no part that the last one passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dataplat.lake.engine import Engine, Local
from dataplat.lake.memos import Memos, computation_id
from dataplat.validation._ledger import Ledger
from dataplat.validation.report import CheckOutcome, Example, How
from dataplat.validation.subject import Block, Identity

CODE: Final = 1
"""Version of the code that judges rows: to be raised when a verdict would be another."""

_KIND: Final = computation_id("validation.rows", CODE)
_WHOLE: Final = computation_id("validation.whole", CODE)


@dataclass(frozen=True, slots=True)
class Found:
    """What a row check found in a block: how many rows fail, and the first of them."""

    failing: int
    examples: tuple[Example, ...] = ()

    def encode(self) -> Any:
        """Return it as JSON."""
        return [self.failing, [[e.position, e.value, list(map(list, e.key))] for e in self.examples]]

    @classmethod
    def decode(cls, value: Any, part: str | None) -> Found:
        """Read what `encode` wrote; raise `ValueError`, `TypeError` or `KeyError` where it is something else."""
        failing, rows = value
        examples = tuple(Example(row, text, tuple((str(a), b) for a, b in key), part) for row, text, key in rows)
        return cls(int(failing), examples)


@dataclass(slots=True)
class Memory:
    """Looks up and keeps what was found, by block and by the id of what was asked.

    What `engine` calls has a memory of its own, of the same memos: it travels as one that knows nothing yet.
    """

    memos: Memos | None
    engine: Engine = field(default_factory=Local)
    reads: int = 0
    """Bundles looked for."""
    ledger: Ledger = field(init=False)
    _known: dict[Identity, dict[str, Any]] = field(default_factory=dict)
    _whole: dict[str, dict[str, Any]] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.memos)

    def __reduce__(self) -> tuple[type[Memory], tuple[Memos | None]]:
        return Memory, (self.memos,)

    def of(self, block: Block) -> dict[str, Any]:
        """Return what is remembered of a block, by what was asked."""
        if self.memos is None or block.identity is None:
            return {}
        if block.identity not in self._known:
            part, deletes = block.identity
            self.reads += 1
            found = self.memos.get(_KIND, part, deletes)
            self._known[block.identity] = found if isinstance(found, dict) else {}
        return self._known[block.identity]

    def find(self, block: Block, asked: str) -> Found | None:
        """Return what was found in a block when this was asked before, or None."""
        value = self.of(block).get(asked)
        if value is None:
            return None
        try:
            return Found.decode(value, block.name)
        except (ValueError, TypeError):
            return None

    def keep(self, block: Block, found: Mapping[str, Found], *, new: bool = False) -> None:
        """Remember what was found in a block; of a `new` one nothing was known."""
        if self.memos is None or block.identity is None or not found:
            return
        part, deletes = block.identity
        bundle = {**({} if new else self.of(block)), **{asked: one.encode() for asked, one in found.items()}}
        self._known[block.identity] = bundle
        self.memos.put(bundle, _KIND, part, deletes)

    def whole(self, version: str | None, asked: str) -> CheckOutcome | None:
        """Return what a check came to on all of a version before, or None."""
        value = self._wholes(version).get(asked)
        if value is None:
            return None
        try:
            outcome = outcome_from(value)
        except (KeyError, ValueError, TypeError):
            return None
        proven = dict(outcome.settled).get("proven", 0)
        settled: tuple[tuple[How, int], ...] = (("proven", proven), ("remembered", outcome.rows - proven))
        return replace(outcome, settled=tuple((way, rows) for way, rows in settled if rows) or outcome.settled)

    def keep_whole(self, version: str | None, asked: str, outcome: CheckOutcome) -> None:
        """Remember what a check came to on all of a version, if it could be evaluated; `save` writes it."""
        if self.memos is not None and version is not None and outcome.status != "could not check":
            self._wholes(version)[asked] = outcome.to_dict()
            self._changed.add(version)

    def save(self) -> None:
        """Write what is to be remembered of versions."""
        while self._changed and self.memos is not None:
            version = self._changed.pop()
            self.memos.put(self._whole[version], _WHOLE, version)
        self.ledger.save()

    def _wholes(self, version: str | None) -> dict[str, Any]:
        if self.memos is None or version is None:
            return {}
        if version not in self._whole:
            found = self.memos.get(_WHOLE, version)
            self._whole[version] = found if isinstance(found, dict) else {}
        return self._whole[version]


def outcome_from(value: Mapping[str, Any]) -> CheckOutcome:
    """Read what `CheckOutcome.to_dict` gave; raise `KeyError`, `ValueError` or `TypeError` where it is something else."""
    examples = tuple(
        Example(each["position"], each["value"], tuple(each["key"].items()), each["part"]) for each in value["examples"]
    )
    return CheckOutcome(
        name=value["name"],
        level=value["level"],
        status=value["status"],
        column=value["column"],
        number=value["number"],
        severity=value["severity"],
        failing=value["failing"],
        rows=value["rows"],
        examples=examples,
        detail=value["detail"],
        settled=tuple(value["settled"].items()),
    )
