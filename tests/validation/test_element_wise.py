"""Functions of single values see what pandera would show them, from a process of their own, and answer as there."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from threading import Thread
from typing import Any

import pandera.polars as pdr
import polars as pl
import pytest
from pandera.errors import SchemaErrors

import dataplat as dp
from dataplat.validation._element_wise import ask_each

VALUES: list[list[Any]] = [
    [1, None, 3],
    [0.5, None, float("nan")],
    ["a", None, "é"],
    [True, None, False],
    [b"x", None, b""],
    [dt.date(2026, 1, 1), None, dt.date(1, 1, 1)],
    [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, dt.datetime(1999, 1, 1, tzinfo=dt.UTC)],
    [Decimal("1.50"), None, Decimal("0.10")],
    [[1, 2], None, []],
    [{"k": 1}, None, {"k": None}],
]


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
@pytest.mark.parametrize("values", VALUES, ids=lambda values: type(values[0]).__name__)
@pytest.mark.parametrize("ignore_na", [True, False])
def test_the_same_rows_fail_as_by_pandera(values: list[Any], ignore_na: bool) -> None:
    """Of every type the function is shown the same kind of value, and null counts as pandera has it."""
    frame = pl.DataFrame({"a": pl.Series(values)})
    kind = type(next(iter(frame["a"])))

    def first(value: Any) -> bool:
        return isinstance(value, kind) and repr(value) == repr(frame["a"][0])

    check = pdr.Check(first, element_wise=True, ignore_na=ignore_na)
    schema = pdr.DataFrameSchema({"a": pdr.Column(frame["a"].dtype, check, nullable=True)})
    with pytest.raises(SchemaErrors) as caught:
        schema.validate(frame, lazy=True)
    theirs = sorted(caught.value.failure_cases["index"].to_list())
    (failure,) = dp.validate(frame, schema).failed
    assert [example.position for example in failure.examples] == theirs


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
def test_a_check_of_the_frame_is_asked_of_every_value() -> None:
    """An element_wise check of the whole frame passes a row when it passes each of its values."""
    frame = pl.DataFrame({"a": [1, -1, 2, None], "b": [3, 4, -5, 6]})
    schema = pdr.DataFrameSchema(checks=pdr.Check(lambda value: value > 0, element_wise=True))
    with pytest.raises(SchemaErrors) as caught:
        schema.validate(frame, lazy=True)
    (failure,) = dp.validate(frame, schema).failed
    assert (
        [e.position for e in failure.examples] == sorted(set(caught.value.failure_cases["index"].to_list())) == [1, 2]
    )


def test_answers_come_in_order() -> None:
    """Many answers, more than a pipe holds, come back in order, None for None."""
    values = [None if number % 5 == 0 else number for number in range(200_000)]
    expected = [None if value is None else value % 3 == 0 for value in values]
    assert ask_each(lambda value: value % 3 == 0, values) == expected


def test_threads_ask_side_by_side() -> None:
    """Each of several threads gets the answers to its own question."""
    found: dict[int, Any] = {}
    threads = [
        Thread(target=lambda n=n: found.__setitem__(n, ask_each(lambda value: value == n, [n, n + 1] * 500)))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [True, False] * 500 for n in range(6)}


def test_what_it_changes_is_forgotten() -> None:
    """The function runs beside this process, not in it."""
    seen: list[int] = []

    def note(value: int) -> bool:
        seen.append(value)
        return len(seen) == value

    assert ask_each(note, [1, 2, 3]) == [True, True, True]
    assert not seen
