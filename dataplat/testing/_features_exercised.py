"""Which cases of PIT.md's rules a world holds: so that a run of many can show that it tried each of them, and how often."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dataplat.feature_store.definitions import FeatureService, FeatureView, Field, OnDemand
from dataplat.feature_store.status import Status
from dataplat.feature_store.windows import Count, Ratio, Window
from dataplat.lake.schema import JsonType
from dataplat.testing._features_functions import begins, tile_of
from dataplat.testing._features_history import Fact, Row, Source, current, facts, visible
from dataplat.testing.features_reference import Answer, AsKnown, Cell, all_views, micros_at

CASES: Final = (
    "1 e is t",
    "2 age is the ttl",
    "2 age is a microsecond more",
    "3 never expires",
    *(f"4 {status.word}" for status in Status),
    "5 equal spine rows",
    "6 k decides",
    "6 own columns decide",
    "6 rows are equal",
    "7 a correction counts",
    "7 a correction moved an event",
    "8 a late row is not seen",
    "8 as_known is now",
    "8 delay holds a row back",
    "10 the newest value is null",
    "10 an older value fills",
    "10 what fills is too old",
    "11 composite key",
    "12 null key in the spine",
    "12 null key in the source",
    "13 naive with a zone",
    "13 an hour that is there twice",
    "14 ns with a rest",
    "14 ms",
    "14 s",
    "14 before 1970",
    "16 first microsecond of a tile",
    "16 last microsecond of a tile",
    "18 a future row is known",
    "19 a deleted row would be served",
    "19 a deletion leaves nothing",
    "20 no entity",
    "21 alias",
    "22 an event at the far edge of an exact window",
    "22 hop holds what exact does not",
    "23 NaN",
    "23 infinite",
    "23 empty count",
    "23 empty, and null",
    "23 events, but nulls",
    "24 integer beyond floats",
    "24 integer column with nulls",
    "25 on demand",
    "25 on demand fails",
    "25 a chain",
    "28 an upsert replaced what was served",
)


class Counts(Counter[str]):
    """How often each of `CASES` occurred."""

    @classmethod
    def of(
        cls,
        service: FeatureService,
        sources: Mapping[str, Source],
        spine: Sequence[Row],
        types: Mapping[str, JsonType],
        as_known: AsKnown,
        answer: Answer,
    ) -> Counts:
        """Count those of one world."""
        found = cls()
        times = [micros_at(row, types, "t") for row in spine]
        texts = Counter(repr(row) for row in spine)
        found["5 equal spine rows"] = sum(number for number in texts.values() if number > 1)
        for view in all_views(service):
            source = sources[str(view.view.source)]
            every = facts(view, source)
            _of_view(found, view, source, every)
            for row, t in zip(spine, times, strict=True):
                key = tuple(row[column] for column in view.spine_keys)
                found["12 null key in the spine"] += None in key
                mine = [fact for fact in every if fact.key == key]
                _of_moment(found, view, every, mine, t, now=as_known == "now")
        _of_cells(found, service, answer)
        return found


def _of_view(found: Counts, view: FeatureView, source: Source, every: Sequence[Fact]) -> None:
    told = view.view
    kind = str(source.types[told.timestamp])
    found["3 never expires"] += told.ttl is None
    found["11 composite key"] += len(told.entities) > 1
    found["12 null key in the source"] += sum(fact.key is None for fact in every)
    found["13 naive with a zone"] += told.zone is not None
    found["14 ns with a rest"] += sum("[ns" in kind and fact.row[told.timestamp] % 1000 > 0 for fact in every)
    found["14 ms"] += "[ms" in kind
    found["14 s"] += "[s" in kind
    found["14 before 1970"] += sum(fact.e < 0 for fact in every)
    found["20 no entity"] += not told.entities
    found["21 alias"] += bool(view.renamed)
    integers = [fact.row["n"] for fact in every if "n" in told.columns]
    found["24 integer column with nulls"] += None in integers
    if told.zone in {"Europe/Berlin", "America/New_York"}:
        found["13 an hour that is there twice"] += sum(_twice(fact.e, told.zone) for fact in every)


def _twice(e: int, zone: str) -> bool:
    from datetime import UTC, datetime, timedelta
    from zoneinfo import ZoneInfo

    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=e)).astimezone(ZoneInfo(zone))
    return wall.utcoffset() != wall.replace(fold=1 - wall.fold).utcoffset()


def _of_moment(found: Counts, view: FeatureView, every: list[Fact], mine: list[Fact], t: int, *, now: bool) -> None:
    told = view.view
    known = [fact for fact in mine if visible(fact, t, told.delay, now=now)]
    past = sorted((fact for fact in known if fact.e <= t), key=lambda fact: fact.order)
    found["8 as_known is now"] += now and any(fact.k + told.delay > t for fact in past)
    found["8 a late row is not seen"] += any(fact.e <= t < fact.k for fact in mine) and not now
    found["8 delay holds a row back"] += (
        any(fact.e <= t and fact.k <= t < fact.k + told.delay for fact in mine) and not now
    )
    found["18 a future row is known"] += any(fact.e > t for fact in known)
    _of_gone(found, told.delay, mine, past, t, now=now)
    if past:
        _of_newest(found, past, told.ttl, t)
    seen = [fact for fact in every if visible(fact, t, told.delay, now=now)]
    if told.row_key:
        newest = current(seen)
        found["7 a correction counts"] += any(fact not in newest for fact in known)
        keys = {fact.event: fact.key for fact in newest if fact.event}
        found["7 a correction moved an event"] += any(fact.event and keys[fact.event] != fact.key for fact in known)
    for feature in view.features:
        if isinstance(feature, Window):
            _of_window(found, feature, past, t)


def _of_gone(found: Counts, delay: int, mine: Sequence[Fact], past: Sequence[Fact], t: int, *, now: bool) -> None:
    gone = [fact for fact in mine if fact.gone is not None and fact.gone + delay <= t and fact.e <= t and not now]
    newest = max((fact.order for fact in past), default=None)
    found["19 a deleted row would be served"] += any(newest is not None and fact.order > newest for fact in gone)
    found["19 a deletion leaves nothing"] += bool(gone) and not past
    ids = {fact.row["id"] for fact in past if fact.k > 0}
    found["28 an upsert replaced what was served"] += any(fact.row["id"] in ids for fact in gone)


def _of_newest(found: Counts, past: Sequence[Fact], ttl: int | None, t: int) -> None:
    newest = past[-1]
    found["1 e is t"] += newest.e == t
    found["2 age is the ttl"] += ttl is not None and t - newest.e == ttl
    found["2 age is a microsecond more"] += ttl is not None and t - newest.e == ttl + 1
    if len(past) > 1 and past[-2].e == newest.e:
        (_, k, own), (_, before, others) = newest.order, past[-2].order
        case = "k decides" if k != before else "own columns decide" if own != others else "rows are equal"
        found[f"6 {case}"] += 1


def _of_window(found: Counts, window: Window, past: Sequence[Fact], t: int) -> None:
    after = begins(window, t)
    inside = [fact for fact in past if after is None or fact.e > after]
    if window.column is not None:
        found["23 events, but nulls"] += bool(inside) and all(fact.row[window.column] is None for fact in inside)
    if after is None:
        return
    if window.hop is None:
        found["22 an event at the far edge of an exact window"] += any(fact.e == after for fact in past)
        return
    exact = t - (window.span or 0)
    found["22 hop holds what exact does not"] += any(after < fact.e <= exact for fact in past)
    found["16 first microsecond of a tile"] += any(
        tile_of(fact.e, window.hop) * window.hop + 1 == fact.e for fact in past
    )
    found["16 last microsecond of a tile"] += any(
        (tile_of(fact.e, window.hop) + 1) * window.hop == fact.e for fact in past
    )


def _of_cells(found: Counts, service: FeatureService, answer: Answer) -> None:
    for cells in answer.cells.values():
        for cell in cells:
            found[f"4 {cell.status.word}"] += 1
            found["24 integer beyond floats"] += type(cell.value) is int and abs(cell.value) > 2**53
    for each in service.features:
        if isinstance(each, OnDemand):
            cells = answer.cells[each.name]
            found["25 on demand"] += len(cells)
            found["25 on demand fails"] += sum(cell.status is Status.ERROR for cell in cells)
            found["25 a chain"] += len(cells) * any(isinstance(one, OnDemand) for one in each.inputs)
            continue
        for feature in each.features:
            for cell in answer.cells[f"{each.name}__{feature.feature}"]:
                _of_cell(found, feature, cell, each.view.ttl)


def _of_cell(found: Counts, feature: Any, cell: Cell, ttl: int | None) -> None:
    served = cell.status in {Status.PRESENT, Status.NULL}
    if isinstance(feature, Field):
        filling = feature.fill == "last_non_null"
        found["10 the newest value is null"] += not filling and cell.status is Status.NULL
        found["10 an older value fills"] += filling and cell.status is Status.PRESENT
        found["10 what fills is too old"] += filling and cell.status is Status.EXPIRED and ttl is not None
        return
    wild = isinstance(cell.value, float) and not math.isfinite(cell.value)
    found["23 NaN"] += wild and math.isnan(cell.value)
    found["23 infinite"] += wild and math.isinf(cell.value)
    found["23 empty count"] += isinstance(feature, Count) and cell.value == 0 and served
    found["23 empty, and null"] += not isinstance(feature, Count | Ratio) and cell.status is Status.NULL
